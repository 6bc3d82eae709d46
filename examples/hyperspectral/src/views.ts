/**
 * Views of a scene for the networks: turned and mirrored in eight ways, and in training with noise and with
 * patches left out, so that a network has to look at more than a pixel's own spectrum.
 */
import { type Tensor, tensor } from '@invnet/tensor';
import { randomStream } from 'example-kit';
import type { Scene, Split, SplitName, Splits } from './scene.ts';

/** The ways to turn and mirror an image. */
export const orientations = 8;
/** Networks halve the resolution twice, so sizes are multiples of this. */
const multiple = 4;
/** Deviation of the noise on a standardized band. */
const noiseDeviation = 0.3;
/** Side of a patch in pixels, and the part of them that is left out. */
const patch = { side: 4, dropped: 0.5 };

/** Where the pixels of a view come from. */
export interface View {
  readonly height: number;
  readonly width: number;
  /** The scene's pixel for each of the view, −1 beyond its edges. */
  readonly source: Int32Array;
}

/** What a step of training sees: the image, and for each split the labels that it trains on. */
export interface Batch {
  readonly image: Tensor;
  readonly labels: Uint8Array;
  readonly masks: Readonly<Record<SplitName, Uint8Array>>;
}

/** A view turned by the bits of `orientation`: transposed, columns mirrored, rows mirrored. */
export function viewOf(scene: Scene, orientation: number): View {
  const transposed = (orientation & 1) !== 0;
  const padded = [scene.height, scene.width].map((size) => Math.ceil(size / multiple) * multiple);
  const [height, width] = transposed ? [padded[1]!, padded[0]!] : [padded[0]!, padded[1]!];
  const source = new Int32Array(height * width).map((_, i) => {
    let [row, column] = [Math.floor(i / width), i % width];
    if (orientation & 2) column = width - 1 - column;
    if (orientation & 4) row = height - 1 - row;
    if (transposed) [row, column] = [column, row];
    return row < scene.height && column < scene.width ? row * scene.width + column : -1;
  });
  return { height, width, source };
}

/** The image of a view, [1, bands, height, width]; zero beyond the edges. */
export function imageOf(scene: Scene, { height, width, source }: View): Tensor {
  const image = new Float32Array(scene.bands * source.length);
  for (let b = 0; b < scene.bands; b++) {
    for (let i = 0; i < source.length; i++) {
      const pixel = source[i]!;
      if (pixel >= 0) image[b * source.length + i] = scene.cube[b * scene.labels.length + pixel]!;
    }
  }
  return tensor(image, [1, scene.bands, height, width]);
}

/** The classes of a view's pixels from 0 on, as a network counts them; anything where there is no label. */
export function classesIn(scene: Scene, { source }: View): Uint8Array {
  return Uint8Array.from(source, (pixel) => Math.max(0, (scene.labels[pixel] ?? 0) - 1));
}

/** 1 for the pixels of a view that a split trains on. */
export function maskIn(split: Split, { source }: View): Uint8Array {
  return Uint8Array.from(source, (pixel) => split.train[pixel] ?? 0);
}

/** The batches of training from a step on, which follow from the seed. */
export function* batches(
  scene: Scene,
  splits: Splits,
  { seed, step }: { readonly seed: number; readonly step: number },
): Generator<Batch, never, undefined> {
  for (let at = step; ; at++) yield batchOf(scene, splits, seed, at);
}

function batchOf(scene: Scene, splits: Splits, seed: number, step: number): Batch {
  // The noise of a step takes more numbers than one step's part of the stream has.
  const random = randomStream(seed, 'training', 2 * step);
  const view = viewOf(scene, Math.floor(random.uniformArray(1, 0, orientations)[0]!));
  const { height, width, source } = view;
  const columns = Math.ceil(width / patch.side);
  const kept = random
    .uniformArray(columns * Math.ceil(height / patch.side))
    .map((u) => (u < patch.dropped ? 0 : 1));
  // Uniform numbers, which are drawn faster than normal ones; this bound gives them the deviation.
  const bound = noiseDeviation * Math.sqrt(3);
  const noise = random.uniformArray(scene.bands * source.length, -bound, bound);
  const image = new Float32Array(noise.length);
  // Where a pixel of the view is to be taken from, −1 for one that is left out.
  const taken = source.map((pixel, i) => {
    const row = Math.floor(i / width / patch.side);
    const column = Math.floor((i % width) / patch.side);
    return kept[row * columns + column] === 0 ? -1 : pixel;
  });
  for (let b = 0; b < scene.bands; b++) {
    const [from, to] = [b * scene.labels.length, b * source.length];
    for (let i = 0; i < source.length; i++) {
      const pixel = taken[i]!;
      if (pixel >= 0) image[to + i] = scene.cube[from + pixel]! + noise[to + i]!;
    }
  }
  return {
    image: tensor(image, [1, scene.bands, height, width]),
    labels: classesIn(scene, view),
    masks: { random: maskIn(splits.random, view), blocks: maskIn(splits.blocks, view) },
  };
}
