/**
 * Counter-based random numbers: Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", 2011). Numbers are made on the host and uploaded, so one seed gives one stream on
 * every backend, and a stream's whole state is two numbers that a checkpoint can hold.
 */
import type { Shape } from './backend.ts';
import { ValueError } from './errors.ts';
import { sizeOf, type Tensor, tensor } from './tensor.ts';

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

  /** @throws ValueError unless `seed` is a whole number from 0 to 2⁵³ − 1. */
  constructor(seed: number, block = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new ValueError(
        `RandomStream: seed ${seed}; expected a whole number from 0 to 2^53 − 1.`,
      );
    }
    this.seed = seed;
    this.#block = block;
  }

  /** The state to continue from with `RandomStream.from`. */
  get state(): RandomState {
    return { seed: this.seed, block: this.#block };
  }

  /** A stream that goes on where `state` was taken. */
  static from(state: RandomState): RandomStream {
    return new RandomStream(state.seed, state.block);
  }

  /** Uniform numbers in [low, high), each a multiple of 2⁻²⁴ of the range. */
  uniform(shape: Shape, low = 0, high = 1): Tensor {
    return tensor(this.uniformArray(sizeOf(shape), low, high), shape);
  }

  /** Standard normal numbers times `deviation`, by the Box–Muller transform. */
  normal(shape: Shape, deviation = 1): Tensor {
    return tensor(this.normalArray(sizeOf(shape), deviation), shape);
  }

  /** As `uniform`, as plain numbers. */
  uniformArray(size: number, low = 0, high = 1): Float64Array<ArrayBuffer> {
    const out = new Float64Array(size);
    for (let i = 0; i < size; i += 4) {
      this.#draw();
      for (let j = 0; j < 4 && i + j < size; j++) {
        out[i + j] = low + (high - low) * unit(this.#words[j]!);
      }
    }
    return out;
  }

  /** As `normal`, as plain numbers. */
  normalArray(size: number, deviation = 1): Float64Array<ArrayBuffer> {
    const out = new Float64Array(size);
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

  /** The numbers 0 … size − 1 in random order (Fisher–Yates). */
  permutation(size: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length: size }, (_, i) => i);
    const draws = this.uniformArray(size);
    for (let i = size - 1; i > 0; i--) {
      const j = Math.floor(draws[i]! * (i + 1));
      const swapped = order[i]!;
      order[i] = order[j]!;
      order[j] = swapped;
    }
    return order;
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
