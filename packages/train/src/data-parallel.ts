/**
 * Training by several ranks, each on its own part of every batch: their gradients are averaged, so all make the same
 * update, and their parameters stay equal bit for bit. Beside the gradients they agree on the loss, the learning rate,
 * whether there is a next step, and the statistics that layers take of a batch.
 *
 * Left out: how ranks talk (communicator.ts), and which part of the data is whose (agreement.ts).
 */
import {
  ConfigurationError,
  describe,
  type Json,
  moduleOf,
  namedBuffers,
  type Parameter,
} from '@invnet/layers';
import {
  BackendError,
  backendInfo,
  collectTensors,
  type NumericArray,
  type Tensor,
  withNumbers,
} from '@invnet/tensor';
import { requireSame } from './agreement.ts';
import {
  type Communicator,
  CommunicatorError,
  type Readiness,
  type SharedSetup,
  type SharedTraining,
} from './communicator.ts';
import { GradientSums } from './gradient-sums.ts';

/** The training of one rank among several; see `Communicator.share`, whose implementations make it. */
export class DataParallel implements SharedTraining {
  readonly size: number;
  readonly #communicator: Communicator;
  readonly #parameters: readonly Parameter[];
  readonly #gradients: GradientSums;

  /**
   * Compares the ranks' networks, numbers included, optimizers and backends.
   *
   * @throws CommunicatorError on all ranks, with the rank and what differs. @throws BackendError where numbers cannot
   * be reached in place.
   */
  static async start(communicator: Communicator, setup: SharedSetup): Promise<DataParallel> {
    const { parameters, optimizer, clipNorm, startStep = 0 } = setup;
    const first = parameters[0]?.data;
    if (first && !first.backend.view) {
      throw new BackendError(
        `train: ranks cannot sum numbers on ${first.backend.name}; expected parameters on native, wasm or reference.`,
      );
    }
    requireSame(communicator, 'What is trained', {
      network: describeNetwork(parameters),
      parameters: parameters.map((p) => `${p.name} [${p.shape}]${p.frozen ? ', frozen' : ''}`),
      optimizer: { name: optimizer.name, ...constantsOf(optimizer) },
      clipNorm: clipNorm ?? 'none',
      startStep,
      backend: first?.backend.info().name ?? backendInfo().name,
      dtype: first?.dtype ?? 'none',
    });
    const digests = await digestsOf(setup);
    const whole = digest(Float64Array.from(digests.values()));
    if (new Set(communicator.gather(whole)).size > 1) {
      requireSame(communicator, 'Each number', Object.fromEntries(digests));
    }
    return new DataParallel(communicator, parameters);
  }

  private constructor(communicator: Communicator, parameters: readonly Parameter[]) {
    this.size = communicator.size;
    this.#communicator = communicator;
    this.#parameters = parameters;
    this.#gradients = new GradientSums(communicator, parameters);
  }

  average(t: Tensor): void {
    withNumbers(t, (numbers) => {
      this.#communicator.sum(numbers);
      for (let i = 0; i < numbers.length; i++) numbers[i] = numbers[i]! / this.size;
    });
  }

  goesOn({ step, batch, ended, aborted }: Readiness): boolean {
    const seen = { shapes: shapesIn(batch), parameters: this.#sample() };
    // 20 bits, whose squares sums hold exactly.
    const mark = digest(new TextEncoder().encode(JSON.stringify(seen))) % 2 ** 20;
    const numbers = Float64Array.of(ended ? 0 : 1, aborted ? 1 : 0, mark, mark ** 2);
    this.#communicator.sum(numbers);
    const [ready, stopping, marks, squares] = numbers;
    if (stopping! > 0 || ready === 0) return false;
    if (ready! < this.size) {
      const rank = this.#communicator.gather(ended).indexOf(true);
      throw new CommunicatorError(
        `train: the batches of rank ${rank} ended after step ${step}, while others go on; expected as many on all ` +
          'ranks.',
      );
    }
    if (marks !== this.size * mark || squares !== this.size * mark ** 2) {
      requireSame(this.#communicator, `train: the batch of step ${step + 1}`, seen);
    }
    return true;
  }

  begin(): void {
    this.#gradients.begin();
  }

  complete({ loss, learningRate }: { readonly loss: number; readonly learningRate: number }) {
    const numbers = Float64Array.of(loss, this.#communicator.rank === 0 ? learningRate : 0);
    this.#gradients.complete(numbers);
    return { loss: numbers[0]! / this.size, learningRate: numbers[1]! };
  }

  dispose(): void {
    this.#gradients.dispose();
  }

  /** A number of the parameters: machines that compute differently come apart in all of them. */
  #sample(): number {
    const p = this.#parameters.find(({ frozen }) => !frozen);
    return p ? withNumbers(p.data, (numbers) => digest(numbers)) : 0;
  }
}

/** What the network is, as far as it can be said: functions without a name cannot. */
function describeNetwork(parameters: readonly Parameter[]): Json {
  const module = moduleOf(parameters);
  try {
    return module ? describe(module) : 'a list of parameters';
  } catch (error) {
    if (error instanceof ConfigurationError) return 'not described';
    throw error;
  }
}

/** What an optimizer was made with: numbers, such as Adam's betas, and choices. */
function constantsOf(optimizer: object): Record<string, Json> {
  const constants = Object.entries(optimizer).filter(([, value]) =>
    ['number', 'boolean'].includes(typeof value),
  );
  return Object.fromEntries(constants);
}

/** A digest of each parameter, buffer and array of the optimizer's, by name. */
async function digestsOf({ parameters, optimizer }: SharedSetup): Promise<Map<string, number>> {
  const digests = new Map<string, number>();
  for (const p of parameters) {
    digests.set(
      p.name,
      withNumbers(p.data, (numbers) => digest(numbers)),
    );
  }
  const module = moduleOf(parameters);
  for (const [name, buffer] of module ? namedBuffers(module) : []) {
    digests.set(name, digest(await buffer.read()));
  }
  for (const [name, { data }] of await optimizer.state(parameters)) {
    digests.set(`${optimizer.name}'s ${name}`, digest(data));
  }
  return digests;
}

/** 32 bits that differ when the bytes do, by all odds (in the manner of FNV, on words where there are any). */
function digest(array: NumericArray | Uint8Array): number {
  const { buffer, byteOffset, byteLength } = array;
  const words =
    array instanceof Uint8Array ? array : new Uint32Array(buffer, byteOffset, byteLength / 4);
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193) ^ (hash >>> 15);
  return hash >>> 0;
}

function shapesIn(batch: unknown): Json {
  const found = new Set<Tensor>();
  collectTensors(batch, found);
  return [...found].map(({ shape }) => [...shape]);
}
