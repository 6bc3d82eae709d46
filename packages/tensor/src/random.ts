/**
 * Counter-based random numbers: Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", 2011). Numbers are made on the host and uploaded, so one seed gives one stream on
 * every backend, and a stream's whole state is two numbers that a checkpoint can hold.
 */
import type { DType, Shape } from './backend.ts';
import { requireAtLeast, requireFinite, requireRecord, requireWhole } from './checks.ts';
import { currentPlacement } from './engine.ts';
import { formatValue, OutOfMemoryError, ValueError } from './errors.ts';
import { nextAbove, nextBelow, roundTo } from './floats.ts';
import { requireRoom } from './memory.ts';
import { checkShape, sizeOf, type Tensor, tensor } from './tensor.ts';

/** Where a stream stands. */
export interface RandomState {
  readonly seed: number;
  /** Blocks of four 32-bit numbers drawn so far. */
  readonly block: number;
}

/**
 * A stream of random numbers.
 *
 * @example
 * const random = new RandomStream(42);
 * const x = random.normal([2, 3]);
 */
export class RandomStream {
  readonly seed: number;
  #block: number;
  readonly #words = new Uint32Array(4);

  /** @throws ValueError unless `seed` and `block` are whole numbers from 0 to 2⁵³ − 1. */
  constructor(seed: number, block = 0) {
    requireWhole('RandomStream', 'seed', seed, 0);
    requireWhole('RandomStream', 'block', block, 0);
    this.seed = seed;
    this.#block = block;
  }

  /** The state to continue from with `RandomStream.from`. */
  get state(): RandomState {
    return { seed: this.seed, block: this.#block };
  }

  /** A stream that goes on where `state` was taken. @throws ValueError unless it holds two whole numbers. */
  static from(state: RandomState): RandomStream {
    requireRecord('RandomStream.from', 'state', state, '{ seed, block }');
    // The constructor would take the start for a place that is missing.
    requireWhole('RandomStream.from', 'block', state.block, 0);
    return new RandomStream(state.seed, state.block);
  }

  /** Goes on as if `size` numbers had been drawn at once. */
  skip(size: number): void {
    requireWhole('RandomStream.skip', 'size', size, 0);
    const block = this.#block + Math.ceil(size / 4);
    requireWhole('RandomStream.skip', 'block after these numbers', block, 0);
    this.#block = block;
  }

  /**
   * Uniform numbers in [low, high), each a multiple of 2⁻²⁴ of the range, rounded to a number of the
   * current dtype that lies in it: `high` is never reached.
   *
   * @throws ValueError unless low < high, both finite, and the dtype has a number in between.
   * @throws ShapeError @throws OutOfMemoryError beyond 2²⁹ numbers, or what the current backend takes;
   * nothing is drawn then.
   */
  uniform(shape: Shape, low = 0, high = 1): Tensor {
    const size = sizeWithRoom('RandomStream.uniform', shape);
    const [least, most] = boundsWithin(low, high, currentPlacement().dtype);
    const values = this.uniformArray(size, low, high);
    for (let i = 0; i < size; i++) {
      if (values[i]! > most) values[i] = most;
      else if (values[i]! < least) values[i] = least;
    }
    return tensor(values, shape);
  }

  /**
   * Standard normal numbers times `deviation`, by the Box–Muller transform.
   *
   * @throws ValueError unless the deviation is not negative, and all that can be drawn is finite in the
   * current dtype.
   * @throws ShapeError @throws OutOfMemoryError beyond 2²⁹ numbers, or what the current backend takes;
   * nothing is drawn then.
   */
  normal(shape: Shape, deviation = 1): Tensor {
    const size = sizeWithRoom('RandomStream.normal', shape);
    requireDeviation(deviation, currentPlacement().dtype);
    return tensor(this.normalArray(size, deviation), shape);
  }

  /** As `uniform`, as plain numbers. */
  uniformArray(size: number, low = 0, high = 1): Float64Array<ArrayBuffer> {
    const [, most] = boundsWithin(low, high, 'float64');
    const out = this.#room(size);
    for (let i = 0; i < size; i += 4) {
      this.#draw();
      for (let j = 0; j < 4 && i + j < size; j++) {
        out[i + j] = Math.min(low + (high - low) * unit(this.#words[j]!), most);
      }
    }
    return out;
  }

  /** As `normal`, as plain numbers. */
  normalArray(size: number, deviation = 1): Float64Array<ArrayBuffer> {
    requireDeviation(deviation, 'float64');
    const out = this.#room(size);
    for (let i = 0; i < size; i += 4) {
      this.#draw();
      for (let j = 0; j < 4; j += 2) {
        // 1 − u lies in (0, 1], so the logarithm is finite.
        const radius = deviation * Math.sqrt(-2 * Math.log(1 - unit(this.#words[j]!)));
        const angle = 2 * Math.PI * unit(this.#words[j + 1]!);
        if (i + j < size) out[i + j] = radius * Math.cos(angle);
        if (i + j + 1 < size) out[i + j + 1] = radius * Math.sin(angle);
      }
    }
    return out;
  }

  /** The numbers 0 … size − 1 in random order (Fisher–Yates). @throws OutOfMemoryError beyond 2²⁹ */
  permutation(size: number): Uint32Array<ArrayBuffer> {
    const draws = this.uniformArray(size);
    const order = Uint32Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i--) {
      const j = Math.floor(draws[i]! * (i + 1));
      const swapped = order[i]!;
      order[i] = order[j]!;
      order[j] = swapped;
    }
    return order;
  }

  /** For numbers that are to be drawn. */
  #room(size: number): Float64Array<ArrayBuffer> {
    requireWhole('RandomStream', 'size', size, 0);
    if (size > mostAtOnce) throw tooMany(size);
    requireWhole('RandomStream', 'block after these numbers', this.#block + Math.ceil(size / 4), 0);
    try {
      return new Float64Array(size);
    } catch (cause) {
      throw tooMany(size, cause);
    }
  }

  /** Fills `#words` with the block at the counter, and moves the counter on. */
  #draw(): void {
    let c0 = this.#block >>> 0;
    let c1 = Math.floor(this.#block / 2 ** 32) >>> 0;
    let c2 = 0;
    let c3 = 0;
    let k0 = this.seed >>> 0;
    let k1 = Math.floor(this.seed / 2 ** 32) >>> 0;
    for (let round = 0; round < 10; round++) {
      const high0 = multiplyHigh(0xd2511f53, c0);
      const low0 = Math.imul(0xd2511f53, c0) >>> 0;
      const high1 = multiplyHigh(0xcd9e8d57, c2);
      const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
      c0 = (high1 ^ c1 ^ k0) >>> 0;
      c1 = low1;
      c2 = (high0 ^ c3 ^ k1) >>> 0;
      c3 = low0;
      k0 = (k0 + 0x9e3779b9) >>> 0;
      k1 = (k1 + 0xbb67ae85) >>> 0;
    }
    this.#words.set([c0, c1, c2, c3]);
    this.#block += 1;
  }
}

/** The stream itself. @throws ValueError unless it is one. */
export function requireStream(op: string, random: RandomStream): RandomStream {
  if (random instanceof RandomStream) return random;
  throw new ValueError(
    `${op}: random is ${formatValue(random)}; expected a RandomStream, such as new RandomStream(1).`,
  );
}

/** 4 GiB of them. */
const mostAtOnce = 2 ** 29;

function tooMany(size: number, cause?: unknown): OutOfMemoryError {
  return new OutOfMemoryError(
    `RandomStream: no room for ${size} numbers at once, of at most ${mostAtOnce}; draw them in parts.`,
    { cause },
  );
}

/** The least and the largest number of a type in [low, high). */
function boundsWithin(low: number, high: number, dtype: DType): readonly [number, number] {
  requireFinite('RandomStream', 'low', low);
  requireFinite('RandomStream', 'high', high);
  const least = roundTo(dtype, low) < low ? nextAbove(dtype, low) : roundTo(dtype, low);
  const most = nextBelow(dtype, high);
  const inRange = Number.isFinite(high - low) && Number.isFinite(roundTo(dtype, high) - least);
  if (low < high && least <= most && inRange) return [least, most];
  throw new ValueError(
    `RandomStream: low is ${low} and high ${high}; expected low < high, with numbers of ${dtype} from the ` +
      'one to the other, and a finite range.',
  );
}

/** Standard normal numbers drawn from 24 bits are no larger: √(−2 log 2⁻²⁴). */
const LARGEST_NORMAL = 5.77;

/** @throws ValueError unless it is at least 0, and what it makes of normal numbers is finite. */
function requireDeviation(deviation: number, dtype: DType): void {
  requireAtLeast('RandomStream', 'deviation', deviation, 0);
  if (Number.isFinite(roundTo(dtype, LARGEST_NORMAL * deviation))) return;
  throw new ValueError(
    `RandomStream: deviation is ${deviation}; expected one whose numbers are finite in ${dtype}.`,
  );
}

/** How many numbers fill a shape, if the current backend could have a tensor of it. */
function sizeWithRoom(op: string, shape: Shape): number {
  const size = sizeOf(checkShape(op, shape));
  const { backend, dtype } = currentPlacement();
  requireRoom(op, size * (dtype === 'float64' ? 8 : 4), 0, backend.maxTensorBytes);
  return size;
}

/** 24 bits of a word as a number in [0, 1), exact in float32. */
function unit(word: number): number {
  return (word >>> 8) / 2 ** 24;
}

/** The upper 32 bits of a product of two 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carry = (middle & 0xffff) + a0 * b1;
  // Products of 16-bit halves exceed 2³², so they are shifted by division.
  return (a1 * b1 + Math.floor(middle / 2 ** 16) + Math.floor(carry / 2 ** 16)) >>> 0;
}
