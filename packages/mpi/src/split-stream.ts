/** Random numbers of a volume that is split: each rank draws those of its slab. */
import {
  formatShape,
  RandomStream,
  type Shape,
  ShapeError,
  sizeOf,
  type Tensor,
} from '@invnet/tensor';
import type { Slabs } from './slabs.ts';

/**
 * The stream of a seed, of which each rank draws what its slab has of the whole: the slabs of all ranks
 * together are the numbers of a `RandomStream` in one process. For noise and samples of one shape;
 * weights, which are alike on all ranks, take a `RandomStream`.
 */
export class SplitStream extends RandomStream {
  readonly #slabs: Slabs;
  readonly #whole: Shape;
  readonly #shape: Shape;

  constructor(slabs: Slabs, seed: number, shape: Shape) {
    super(seed);
    this.#slabs = slabs;
    this.#whole = slabs.wholeShape(shape);
    this.#shape = slabs.slabShape(this.#whole);
  }

  override uniform(shape: Shape, low = 0, high = 1): Tensor {
    this.#require(shape);
    return super.uniform(shape, low, high);
  }

  override normal(shape: Shape, deviation = 1): Tensor {
    this.#require(shape);
    return super.normal(shape, deviation);
  }

  override uniformArray(size: number, low = 0, high = 1): Float64Array<ArrayBuffer> {
    return this.#draw(size, (stream, count) => stream.uniformArray(count, low, high));
  }

  override normalArray(size: number, deviation = 1): Float64Array<ArrayBuffer> {
    return this.#draw(size, (stream, count) => stream.normalArray(count, deviation));
  }

  #draw(
    size: number,
    numbers: (stream: RandomStream, count: number) => Float64Array<ArrayBuffer>,
  ): Float64Array<ArrayBuffer> {
    this.#require([size], sizeOf(this.#shape) === size);
    const { seed, block } = this.state;
    const all = new Float64Array(size);
    for (const { inSlab, inWhole, length } of this.#slabs.runs(this.#whole)) {
      // A stream can start at every fourth number.
      const lead = inWhole % 4;
      const stream = new RandomStream(seed, block + (inWhole - lead) / 4);
      all.set(numbers(stream, lead + length).subarray(lead), inSlab);
    }
    this.skip(sizeOf(this.#whole));
    return all;
  }

  #require(shape: Shape, fits = formatShape(shape) === formatShape(this.#shape)): void {
    if (fits) return;
    throw new ShapeError(
      `split.random: asked for ${formatShape(shape)}; expected ${formatShape(this.#shape)}, the shape that ` +
        'the stream was made for. Weights and orders, alike on all ranks, are drawn by a RandomStream.',
    );
  }
}
