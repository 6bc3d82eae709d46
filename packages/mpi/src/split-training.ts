/**
 * Training on volumes that are split: the loss and the gradients of parameters are sums over the slabs of
 * all ranks, where those of data-parallel training are means over their batches.
 */
import { type Json, moduleOf, type Parameter, type Ranks } from '@invnet/layers';
import { type NumericArray, type Tensor, withNumbers } from '@invnet/tensor';
import type {
  Communicator,
  Exchange,
  PendingSum,
  Readiness,
  SharedSetup,
  SharedTraining,
} from '@invnet/train';
import { requireLocal } from './local.ts';
import type { Slabs } from './slabs.ts';

/** A communicator whose ranks share volumes and not samples. For `train`; all else is that of the other. */
export class SplitCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly #inner: Communicator;
  readonly #slabs: Slabs;
  readonly #local: readonly string[];

  constructor(inner: Communicator, slabs: Slabs, local: readonly string[]) {
    this.rank = inner.rank;
    this.size = inner.size;
    this.#inner = inner;
    this.#slabs = slabs;
    this.#local = local;
  }

  /** @throws ValueError for a network that cannot be split. */
  async share(setup: SharedSetup): Promise<SharedTraining | undefined> {
    const network = moduleOf(setup.parameters);
    if (network) requireLocal(network, { local: this.#local });
    const shared = await this.#inner.share(setup);
    if (!shared) return undefined;
    return new SplitTraining(shared, splitRanks(this.#inner, this.#slabs), setup.parameters);
  }

  sum(numbers: NumericArray): void {
    this.#inner.sum(numbers);
  }

  startSum(numbers: NumericArray): PendingSum {
    return this.#inner.startSum(numbers);
  }

  exchange(messages: Exchange): void {
    this.#inner.exchange(messages);
  }

  broadcast(bytes: Uint8Array): Uint8Array {
    return this.#inner.broadcast(bytes);
  }

  gather<T extends Json>(value: T): T[] {
    return this.#inner.gather(value);
  }

  barrier(): void {
    this.#inner.barrier();
  }

  abort(reason: string): never {
    this.#inner.abort(reason);
  }

  close(): void {
    this.#inner.close();
  }
}

/** A training of several ranks, made of one that takes means. */
class SplitTraining implements SharedTraining {
  readonly size: number;
  readonly #means: SharedTraining;
  readonly #ranks: Ranks;
  readonly #parameters: readonly Parameter[];

  constructor(means: SharedTraining, ranks: Ranks, parameters: readonly Parameter[]) {
    this.size = means.size;
    this.#means = means;
    this.#ranks = ranks;
    this.#parameters = parameters;
  }

  average(t: Tensor): void {
    this.#ranks.average(t);
  }

  /** Slabs, unlike batches, may differ in their sizes. */
  goesOn({ batch: _, ...state }: Readiness): boolean {
    return this.#means.goesOn(state);
  }

  begin(): void {
    this.#means.begin();
  }

  complete(of: { readonly loss: number; readonly learningRate: number }) {
    const { loss, learningRate } = this.#means.complete(of);
    for (const { grad } of this.#parameters) if (grad) scale(grad, this.size);
    return { loss: loss * this.size, learningRate };
  }

  dispose(): void {
    this.#means.dispose();
  }
}

/** Means over positions, of which slabs have as many as their share of the volume. */
export function splitRanks(communicator: Communicator, { rank, sizes }: Slabs): Ranks {
  const share = sizes[rank]! / sizes.reduce((sum, size) => sum + size, 0);
  return {
    size: communicator.size,
    average(t) {
      scale(t, share);
      withNumbers(t, (numbers) => communicator.sum(numbers));
    },
  };
}

function scale(t: Tensor, factor: number): void {
  withNumbers(t, (numbers) => {
    for (let i = 0; i < numbers.length; i++) numbers[i] = numbers[i]! * factor;
  });
}
