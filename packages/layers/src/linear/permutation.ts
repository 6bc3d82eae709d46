/** Permutations of the channels. Mathematics: docs/math/linear/permutation.md */
import { concat, RandomStream, type Shape, slice, type Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireModuleOptions,
  requirePermutation,
  requireWhole,
} from '../core/checks.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `Permutation`. */
export interface PermutationOptions {
  readonly channels: number;
  /**
   * Channel c of y is channel `order[c]` of x, counted from 0. `reversed` puts the last channel first;
   * `random` is drawn. Saved is the list, in any case.
   */
  readonly order: readonly number[] | 'reversed' | 'random';
  /** Draws a random order. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y[n, c, …] = x[n, order[c], …]; logdet = 0. Nothing is trained.
 *
 * @example
 * const swap = new Permutation({ channels: 4, order: [2, 3, 0, 1] });
 * const { y } = swap.forward(x); // x [N, 4, ...]
 */
export class Permutation extends Bijection {
  static readonly type: string = 'Permutation';
  readonly channels: number;
  readonly order: readonly number[];
  readonly #runs: readonly Run[];
  readonly #inverseRuns: readonly Run[];

  /** @throws ValueError for an order that does not have each channel once. */
  constructor(options: PermutationOptions) {
    super();
    requireModuleOptions('Permutation', options, ['channels', 'order']);
    const { channels, order, random = new RandomStream(0) } = options;
    requireWhole('Permutation', 'channels', channels, 1);
    this.channels = channels;
    this.order = Object.freeze(listOf(channels, order, random));
    this.#runs = runsOf(this.order);
    this.#inverseRuns = runsOf(inverseOf(this.order));
  }

  get options() {
    return { channels: this.channels, order: this.order };
  }

  protected apply(x: Tensor) {
    return { y: taken(x, this.#runs) };
  }

  protected invert(y: Tensor) {
    return { x: taken(y, this.#inverseRuns) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, _: BackwardOptions, kept?: Tensor) {
    return { x: kept ?? taken(y, this.#inverseRuns), dx: taken(dy, this.#inverseRuns) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, _: BackwardOptions, kept?: Tensor) {
    return { y: kept ?? taken(x, this.#runs), dy: taken(dx, this.#runs) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: taken(x, this.#runs), dy: dx && taken(dx, this.#runs) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    return { x: taken(y, this.#inverseRuns), dx: dy && taken(dy, this.#inverseRuns) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('Permutation', x, this.channels);
  }
}

/** Channels that stay side by side, and so are copied in one piece. */
export interface Run {
  readonly start: number;
  length: number;
}

/** The channels of x in the order of the runs; x itself where nothing moves. */
export function taken(x: Tensor, runs: readonly Run[]): Tensor {
  if (runs.length === 1) return x;
  return concat(
    runs.map(({ start, length }) => slice(x, 1, start, length)),
    1,
  );
}

/** An order of channels as runs. */
export function runsOf(order: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const channel of order) {
    const last = runs.at(-1);
    if (last && channel === last.start + last.length) last.length++;
    else runs.push({ start: channel, length: 1 });
  }
  return runs;
}

/** The order that undoes an order. */
export function inverseOf(order: readonly number[]): number[] {
  const inverse = new Array<number>(order.length);
  order.forEach((from, to) => {
    inverse[from] = to;
  });
  return inverse;
}

function listOf(
  channels: number,
  order: PermutationOptions['order'],
  random: RandomStream,
): number[] {
  if (order === 'random') return Array.from(random.permutation(channels));
  if (order === 'reversed') return Array.from({ length: channels }, (_, c) => channels - 1 - c);
  requirePermutation('Permutation', 'order', order, channels, "channels, 'reversed' or 'random'");
  return [...order];
}
