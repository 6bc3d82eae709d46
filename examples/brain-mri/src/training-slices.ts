/**
 * Images to train on, made of one head as long as anybody asks: slices in three orientations, moved, turned and
 * scaled, of any contrast, with layers of skull and scalp that Colin27 lacks, and of things that are no brain at all.
 */
import { div, max, type RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { fourierCrop } from './fourier-crop.ts';
import { interpolate } from './grid.ts';
import { type Head, margin, step } from './head.ts';
import { smoothField, uniformly } from './random.ts';

/** What is drawn. */
export interface SliceOptions {
  readonly count: number;
  /** Height and width. */
  readonly size: number;
  /** From slices that are trained on, or from those that lie at least 2 mm from all of them. */
  readonly split: 'train' | 'held-out';
  readonly random: RandomStream;
}

/** Magnitudes [count, size, size], the largest of each image 1. Rows are the phase-encoding axis. */
export function drawSlices(head: Head, options: SliceOptions): Tensor {
  const { count, size, split, random } = options;
  const fine = Math.round(1.5 * size);
  const images = new Float32Array(count * fine * fine);
  for (let n = 0; n < count; n++) images.set(drawSlice(head, fine, split, random), n * fine * fine);
  return tidy(() => {
    const cropped = fourierCrop(tensor(images, [count, fine, fine]), size);
    return div(cropped, max(cropped, { axes: [1, 2], keepDims: true }));
  });
}

/** Axes of the volume along rows, columns and the normal of a slice. */
const orientations = [
  [0, 1, 2],
  [0, 1, 2],
  [0, 2, 1],
  [1, 2, 0],
] as const;

function drawSlice(
  head: Head,
  size: number,
  split: SliceOptions['split'],
  random: RandomStream,
): Float64Array {
  const uniform = uniformly(random);
  const anatomy = uniform(0, 1) < 0.85 ? brainSlice(head, size, split, random) : blob(size, random);
  const curve = contrastCurve(random);
  const layers = headLayers(random);
  const uneven = smoothField(random, { size, cells: 5 });
  const bias = smoothField(random, { size, cells: 2 });
  const { tissue, outside } = anatomy;
  const image = new Float64Array(size * size);
  for (let at = 0; at < image.length; at++) {
    const d = outside[at]! * (1 + 0.2 * uneven[at]!);
    let value = d < 2 ? curve(tissue[at]!) : 0;
    for (const { from, intensity } of layers) {
      const part = (d - from) / 1.2 + 0.5;
      if (part > 0) value += (intensity - value) * Math.min(1, part);
    }
    image[at] = value;
  }
  addEllipses(image, outside, size, random);
  for (let at = 0; at < image.length; at++) image[at]! *= Math.exp(0.25 * bias[at]!);
  const largest = image.reduce((a, b) => Math.max(a, b), 1e-6);
  return image.map((v) => v / largest);
}

/** Intensities of tissue from 0 to 1, and how many millimetres outside of it a pixel is. */
interface Anatomy {
  readonly tissue: Float64Array;
  readonly outside: Float64Array;
}

/** Millimetres at both ends of an axis where slices show next to nothing. */
const rim = 10;

function brainSlice(
  head: Head,
  size: number,
  split: SliceOptions['split'],
  random: RandomStream,
): Anatomy {
  const uniform = uniformly(random);
  const axes = orientations[Math.floor(uniform(0, orientations.length))]!;
  const extent = head.brain.size[axes[2]]! - 2 * rim;
  const block = Math.floor(uniform(0, Math.floor(extent / 30)));
  const position = rim + block * 30 + (split === 'train' ? uniform(0, 20) : uniform(22, 28));
  const spacing = uniform(180, 270) / size;
  const angle = uniform(-0.35, 0.35);
  const sign = () => (uniform(-1, 1) < 0 ? -1 : 1);
  const [down, across] = [sign(), sign()];
  const middle = (axis: number) => head.brain.size[axis]! / 2 + uniform(-10, 10);
  const [rowMiddle, columnMiddle] = [middle(axes[0]), middle(axes[1])];
  const [cos, sin] = [Math.cos(angle) * spacing, Math.sin(angle) * spacing];
  const place: [number, number, number] = [0, 0, 0];
  place[axes[2]] = position;
  const tissue = new Float64Array(size * size);
  const outside = new Float64Array(size * size);
  for (let r = 0, at = 0; r < size; r++) {
    for (let c = 0; c < size; c++, at++) {
      const [y, x] = [(r - size / 2) * down, (c - size / 2) * across];
      place[axes[0]] = rowMiddle + cos * y - sin * x;
      place[axes[1]] = columnMiddle + sin * y + cos * x;
      const [px, py, pz] = place;
      const node = (p: number) => (p + margin) / step;
      const d = interpolate(head.distance, node(px), node(py), node(pz));
      outside[at] = d;
      if (d < 4) tissue[at] = interpolate(head.brain, px, py, pz);
    }
  }
  return { tissue, outside };
}

/** What is no brain, as in slices of a neck: a blob of uneven tissue. */
function blob(size: number, random: RandomStream): Anatomy {
  const uniform = uniformly(random);
  const rows = size * uniform(0.15, 0.35);
  const columns = size * uniform(0.15, 0.4);
  const shape = smoothField(random, { size, cells: 3 });
  const coarse = smoothField(random, { size, cells: 6 });
  const fine = smoothField(random, { size, cells: Math.floor(uniform(10, 30)) });
  const [low, high] = [uniform(0, 0.25), uniform(0, 0.25)];
  return {
    tissue: coarse.map((v, at) => 0.5 + low * v + high * fine[at]!),
    outside: shape.map((v, at) => {
      const [y, x] = [Math.floor(at / size) - size / 2, (at % size) - size / 2];
      return Math.max(0, Math.hypot(y / rows, x / columns) * (1 + 0.15 * v) - 1) * 60;
    }),
  };
}

/** Piecewise linear on [0, 1], with knots that rise as in T1, fall as in T2, or do neither. */
function contrastCurve(random: RandomStream): (v: number) => number {
  const kind = uniformly(random)();
  const knots = random.uniformArray(6, 0.1, 1);
  if (kind < 0.7) knots.sort();
  if (kind < 0.3) knots.reverse();
  return (v) => {
    const at = Math.min(Math.max(v, 0), 1) * 5;
    const i = Math.min(Math.floor(at), 4);
    return knots[i]! + (at - i) * (knots[i + 1]! - knots[i]!);
  };
}

/** What begins so many millimetres outside of the brain, from the inside out. */
interface Layer {
  readonly from: number;
  readonly intensity: number;
}

/** Fluid, skull, its marrow, scalp and air; or air alone. */
function headLayers(random: RandomStream): Layer[] {
  const uniform = uniformly(random);
  if (uniform() < 0.15) return [{ from: 1, intensity: 0 }];
  const skull = uniform(2, 5);
  const marrow = skull + uniform(1, 5);
  const scalp = marrow + uniform(0, 4);
  return [
    { from: 1, intensity: uniform() },
    { from: skull, intensity: uniform(0, 0.15) },
    { from: marrow, intensity: uniform(0, 0.6) },
    { from: scalp, intensity: uniform(0.4, 2) },
    { from: scalp + uniform(2, 10), intensity: 0 },
  ];
}

/** Eyes, sinuses, teeth, muscles, and whatever else is round: ellipses outside of the brain, some of them striped. */
function addEllipses(
  image: Float64Array,
  outside: Float64Array,
  size: number,
  random: RandomStream,
): void {
  const uniform = uniformly(random);
  const count = Math.floor(uniform(-12, 28));
  for (let n = 0; n < count; n++) {
    const [row, column] = [size * uniform(0.15, 0.85), size * uniform(0.1, 0.9)];
    const radius = size * (0.01 + 0.1 * uniform() ** 2);
    const ratio = uniform(0.3, 1);
    const turn = uniform(0, Math.PI);
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    const intensity = uniform() < 0.3 ? 0.05 : uniform(0.4, 1.4);
    const waves = uniform() < 0.3 ? uniform(2, 6) : 0;
    const reach = radius + 1;
    const to = (middle: number) => Math.min(size, Math.ceil(middle + reach));
    for (let i = Math.max(0, Math.floor(row - reach)); i < to(row); i++) {
      for (let j = Math.max(0, Math.floor(column - reach)); j < to(column); j++) {
        const at = i * size + j;
        const [y, x] = [i - row, j - column];
        const along = cos * y - sin * x;
        const part = radius - Math.hypot(along, (sin * y + cos * x) / ratio) + 0.5;
        // As far out as a head reaches.
        if (part <= 0 || outside[at]! < 3 || outside[at]! > 30) continue;
        const texture = 1 + (waves ? 0.4 * Math.sin((waves * along) / radius) : 0);
        image[at]! += (intensity * texture - image[at]!) * Math.min(1, part);
      }
    }
  }
}
