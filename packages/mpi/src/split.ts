/**
 * Volumes that are split among ranks along one axis, for what one process has no room for: networks run
 * and train on slabs as on the whole. Mathematics: docs/math/mpi/halo-exchange.md
 *
 * Left out: reading of files. Each rank reads its own part, or rank 0 reads all and scatters it.
 */
import type { Ranks } from '@invnet/layers';
import {
  type Backend,
  BackendError,
  currentPlacement,
  type DType,
  formatValue,
  type NumericArray,
  type Placement,
  requireList,
  requireOptions,
  requireTensor,
  type Shape,
  setBackend,
  sizeOf,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { type Communicator, requireCommunicator, requireSame } from '@invnet/train';
import { type SlabOptions, Slabs, slabOptions } from './slabs.ts';
import { arrayOf, SplitBackend } from './split-backend.ts';
import { SplitStream } from './split-stream.ts';
import { SplitCommunicator, splitRanks } from './split-training.ts';

/** How volumes are split, and what computes on the slabs. */
export interface SplitOptions extends SlabOptions {
  /** Computes on the slabs; it belongs to the split from then on. Default: the current backend. */
  readonly backend?: Backend;
  /** Types of modules that `train` takes for local beside those that are known; see `requireLocal`. Default: none. */
  readonly local?: readonly string[];
}

/**
 * Splits volumes among the ranks, and makes the backend that does so the current one. Networks that are
 * made from now on act on slabs: their convolutions fetch what they need from other ranks, so every rank
 * makes the same calls in the same order. `requireLocal` says whether a network can be split.
 *
 * Results and gradients of the input are this rank's slab of those of the whole. Log-determinants,
 * log-densities, losses that are sums over positions, and gradients of parameters are its share, which
 * adds up over ranks.
 *
 * @throws ValueError for sizes that do not fit. @throws BackendError for a backend that cannot read at once.
 * @throws CommunicatorError where ranks were given different options.
 * @example
 * await setBackend('wasm', { threads: 4 });
 * using split = await splitBackend(communicator, { size: 512, ndims: 3, multiple: 4 });
 * const flow = new Flow({ network: new Glow({ channels: 1, ndims: 3 }) });
 * requireLocal(flow);
 * using x = split.scatter([1, 1, 512, 512, 512], volume); // on each rank its slab
 * using logProb = split.sum(flow.logProb(x)); // of the whole volume
 */
export async function splitBackend(
  communicator: Communicator,
  options: SplitOptions,
): Promise<Split> {
  requireCommunicator('splitBackend', communicator);
  requireOptions('splitBackend', options, [...slabOptions, 'backend', 'local']);
  const { dtype, backend: current } = currentPlacement();
  const { backend = current, local = [], ...cut } = options;
  requireList('splitBackend', 'local', local);
  const slabs = new Slabs(communicator.size, communicator.rank, cut);
  requireReadable(backend, dtype);
  if (backend instanceof SplitBackend) {
    throw new BackendError(
      `splitBackend: ${backend.name} splits volumes already; expected a backend of whole ones, as after ` +
        "setBackend('wasm').",
    );
  }
  const { axis, ndims, sizes } = slabs;
  const { name } = backend;
  requireSame(communicator, 'How volumes are split', { axis, ndims, sizes, backend: name, dtype });
  const split = new SplitBackend(backend, communicator, slabs);
  await setBackend(split, { dtype });
  return new Split(communicator, slabs, { backend: split, dtype }, local);
}

/** A split, as `splitBackend` makes it. `scatter`, `gather` and `sum` are collective. */
export class Split implements Disposable {
  readonly slabs: Slabs;
  /**
   * For `train`, with which ranks train on the whole: losses and gradients are summed over slabs, the first step
   * sets what depends on data by all of them, and networks that cannot be split are refused.
   */
  readonly communicator: Communicator;
  /** For a `TrainingStep` of one's own: statistics of data are those of the whole. */
  readonly ranks: Ranks;
  readonly #communicator: Communicator;
  readonly #place: Placement;

  constructor(
    communicator: Communicator,
    slabs: Slabs,
    place: Placement,
    local: readonly string[],
  ) {
    this.communicator = new SplitCommunicator(communicator, slabs, local);
    this.ranks = splitRanks(communicator, slabs);
    this.#communicator = communicator;
    this.slabs = slabs;
    this.#place = place;
  }

  /** Where this rank's slabs are. */
  get backend(): Backend {
    return this.#place.backend;
  }

  /** The shape of this rank's slab of a volume, at any resolution. @throws ShapeError */
  slabShape(whole: Shape): Shape {
    return this.slabs.slabShape(whole);
  }

  /**
   * This rank's slab of a volume that rank 0 has. Rank 0 takes no more memory for it than for one slab.
   *
   * @throws ShapeError for the shape of another volume. @throws ValueError on all ranks, unless rank 0 gave
   * numbers that fill it.
   */
  scatter(whole: Shape, values?: NumericArray): Tensor {
    const shape = this.slabs.slabShape(whole);
    const { rank, size } = this.#communicator;
    const wanted = sizeOf(whole);
    const good = isNumeric(values) && values.length === wanted;
    const [given] = this.#communicator.gather(good || formatValue(values?.length));
    if (given !== true) {
      throw new ValueError(
        `split.scatter: rank 0 gave ${given} numbers; expected a Float32Array or a Float64Array of ${wanted}.`,
      );
    }
    if (rank !== 0 || !values) {
      const numbers = arrayOf(this.#place.dtype, sizeOf(shape));
      this.#communicator.exchange({ send: [], receive: [{ rank: 0, numbers }] });
      return tensor(numbers, shape, this.#place);
    }
    const slabOf = (r: number) => {
      const runs = this.slabs.runs(whole, r);
      const numbers = arrayOf(this.#place.dtype, runs.length * runs[0]!.length);
      for (const { inSlab, inWhole, length } of runs) {
        numbers.set(values.subarray(inWhole, inWhole + length), inSlab);
      }
      return numbers;
    };
    for (let r = 1; r < size; r++) {
      this.#communicator.exchange({ send: [{ rank: r, numbers: slabOf(r) }], receive: [] });
    }
    return tensor(slabOf(0), shape, this.#place);
  }

  /** The whole that this and all other slabs are, on rank 0; nothing on others. @throws ShapeError */
  gather(slab: Tensor): NumericArray | undefined {
    const whole = this.slabs.wholeShape(requireTensor('split.gather', slab).shape);
    const { rank, size } = this.#communicator;
    const own = slab.backend.readSync(slab.storage);
    if (rank !== 0) {
      this.#communicator.exchange({ send: [{ rank: 0, numbers: own }], receive: [] });
      return undefined;
    }
    const values = arrayOf(slab.dtype, sizeOf(whole));
    for (let r = 0; r < size; r++) {
      const runs = this.slabs.runs(whole, r);
      const numbers = r === 0 ? own : arrayOf(slab.dtype, runs.length * runs[0]!.length);
      if (r > 0) this.#communicator.exchange({ send: [], receive: [{ rank: r, numbers }] });
      for (const { inSlab, inWhole, length } of runs) {
        values.set(numbers.subarray(inSlab, inSlab + length), inWhole);
      }
    }
    return values;
  }

  /** The sum over ranks of what each has its share of: a log-determinant, a log-density, a loss. */
  sum(share: Tensor): Tensor {
    const numbers = requireTensor('split.sum', share).backend.readSync(share.storage);
    this.#communicator.sum(numbers);
    return tensor(numbers, share.shape, share);
  }

  /**
   * Random numbers of slabs of one shape: those of all ranks together are what `new RandomStream(seed)` draws
   * for the whole. Weights, which are alike on all ranks, take a `RandomStream`.
   *
   * @example
   * const shape = split.slabShape([1, 1, 64, 64, 64]);
   * flow.sample({ shape, seed: split.random(7, shape) }); // the slab of a sample of the whole
   */
  random(seed: number, shape: Shape): SplitStream {
    return new SplitStream(this.slabs, seed, shape);
  }

  /** Frees the backend, and all that is on it. */
  dispose(): void {
    this.backend.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function isNumeric(values: unknown): values is NumericArray {
  return values instanceof Float32Array || values instanceof Float64Array;
}

/** @throws BackendError where rows could not be sent in the midst of a convolution. */
function requireReadable(backend: Backend, dtype: DType): void {
  try {
    const one = backend.fill(1, 0, dtype);
    backend.readSync(one);
    backend.free(one);
  } catch (cause) {
    throw new BackendError(
      `splitBackend: ${formatValue(backend?.name)} does not read numbers at once, as the exchange of rows ` +
        "asks for; expected 'wasm', 'native' or 'reference'.",
      { cause },
    );
  }
}
