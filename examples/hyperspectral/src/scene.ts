/**
 * Indian Pines as the networks see it, and its two splits.
 *
 * Left out: reading files, which @invnet/data-indian-pines does. For an image of your own, make a `Scene`.
 */
import { indianPinesClasses, loadIndianPines } from '@invnet/data-indian-pines';
import { randomStream } from 'example-kit';

/** A hyperspectral image with labels. */
export interface Scene {
  readonly height: number;
  readonly width: number;
  readonly bands: number;
  /** [bands, height, width], each band with mean 0 and deviation 1. */
  readonly cube: Float32Array;
  /** [height, width]: 0 for a pixel without a label, or a class from 1 on. */
  readonly labels: Uint8Array;
  /** Names of the classes, from 1 on. */
  readonly classes: readonly string[];
}

/** Which pixels, of those with a label, are trained on, and which are tested; 1 for a pixel that is. */
export interface Split {
  readonly train: Uint8Array;
  readonly test: Uint8Array;
}

/** The names of the splits, in the order of all tables. */
export const splitNames = ['random', 'blocks'] as const;
export type SplitName = (typeof splitNames)[number];
export type Splits = Readonly<Record<SplitName, Split>>;

/** Part of each class that is drawn by the random split, and the least number of its pixels. */
const drawn = { share: 0.1, least: 3 };
/** Side of a block in pixels, and the part of all blocks that is trained on. */
const blocks = { side: 12, share: 0.25 };

/** Loads the scene and standardizes its bands. */
export async function loadScene(): Promise<Scene> {
  const { cube, labels, height, width, bands } = await loadIndianPines();
  const standardized = new Float32Array(cube.length);
  const pixels = height * width;
  for (let b = 0; b < bands; b++) {
    const band = cube.subarray(b * pixels, (b + 1) * pixels);
    let [sum, squares] = [0, 0];
    for (const v of band) {
      sum += v;
      squares += v * v;
    }
    const mean = sum / pixels;
    const deviation = Math.sqrt(squares / pixels - mean * mean);
    band.forEach((v, i) => {
      standardized[b * pixels + i] = (v - mean) / deviation;
    });
  }
  return { height, width, bands, cube: standardized, labels, classes: indianPinesClasses };
}

/** Both splits of a seed. */
export function splitsOf(scene: Scene, seed: number): Splits {
  return { random: randomSplit(scene, seed), blocks: blockSplit(scene, seed) };
}

/** A tenth of each class, at least three pixels, is trained on: a test pixel has neighbours among them. */
function randomSplit({ labels, classes }: Scene, seed: number): Split {
  const random = randomStream(seed, 'test', 0);
  const train = new Uint8Array(labels.length);
  for (let label = 1; label <= classes.length; label++) {
    const pixels = [...labels.keys()].filter((i) => labels[i] === label);
    if (pixels.length === 0) continue;
    const count = Math.max(drawn.least, Math.round(drawn.share * pixels.length));
    for (const i of random.permutation(pixels.length).subarray(0, count)) train[pixels[i]!] = 1;
  }
  return { train, test: others(labels, train) };
}

/** A quarter of all blocks of 12 × 12 pixels is trained on: most test pixels have no neighbour among them. */
function blockSplit({ labels, height, width }: Scene, seed: number): Split {
  const [rows, columns] = [height, width].map((size) => Math.ceil(size / blocks.side));
  const count = rows! * columns!;
  const order = randomStream(seed, 'test', 1).permutation(count);
  const chosen = new Set(order.subarray(0, Math.round(blocks.share * count)));
  const train = labels.map((label, i) => {
    const row = Math.floor(i / width / blocks.side);
    const column = Math.floor((i % width) / blocks.side);
    return label > 0 && chosen.has(row * columns! + column) ? 1 : 0;
  });
  return { train, test: others(labels, train) };
}

function others(labels: Uint8Array, train: Uint8Array): Uint8Array {
  return labels.map((label, i) => (label > 0 && train[i] === 0 ? 1 : 0));
}
