/**
 * Brains of 64 × 64 with a quarter of the lines of k-space, other ones for each image, and noise: complex images of
 * smooth random phase, simulated from magnitudes with one coil. See `brain-mri` for where they come from.
 *
 * Images get noise of deviation 0.02 in both parts. Magnitudes are at most 1, and zero around the head, where a
 * density would be infinite.
 */

import { PhaseEncodedFourier } from '@invnet/operators';
import { add, concat, type RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { acquire, drawSlices, type Head, testSlices, withPhase } from 'brain-mri';
import type { InverseProblem, Observations } from './problem.ts';

const size = 64;
const acceleration = 4;
const center = 0.08;
/** Deviation of the noise in each part of the images. */
export const imageNoise = 0.02;
const noise = 0.005;

/** Real and imaginary parts; of the zero-filled image, and which lines were taken. */
export const brainChannels = { channels: 2, contextChannels: 3 };

/** The problem over slices of one head. */
export function brain(head: Head): InverseProblem {
  return {
    ...brainChannels,
    size,
    noise,
    observed: (2 * size * size) / acceleration,
    spread: 0.08,
    region: { name: 'head', of: brightPixels },
    elsewhere: { 'other head': otherHead },
    draw: async (split, count, random) => {
      using magnitudes = drawSlices(head, {
        count,
        size,
        random,
        split: split === 'training' ? 'train' : 'held-out',
      });
      return scan(magnitudes, random);
    },
  };
}

/** Another person, scanner and contrast: 20 slices. */
async function otherHead(random: RandomStream): Promise<Observations> {
  using magnitudes = await testSlices(size);
  return scan(magnitudes, random);
}

async function scan(magnitudes: Tensor, random: RandomStream): Promise<Observations> {
  using images = await withPhase(magnitudes, random);
  return tidy(() => {
    const x = add(images, random.normal(images.shape, imageNoise));
    const operator = new PhaseEncodedFourier({ size: [size, size], lines: [0] });
    const data = acquire(x, { operator, acceleration, center, noise, random });
    const lines = operator.lines as readonly Uint32Array[];
    const context = concat([operator.adjoint(data), planesOf(lines)], 1);
    const operatorOf = (index: number) =>
      new PhaseEncodedFourier({ size: [size, size], lines: lines[index]! });
    return { x, data, context, operator, operatorOf };
  });
}

/** Where an image is not dark: a magnitude above a tenth of the brightest possible one. */
function brightPixels(mean: Float32Array): Uint8Array {
  const pixels = size * size;
  return Uint8Array.from(mean, (_, i) =>
    Math.hypot(mean[i % pixels]!, mean[(i % pixels) + pixels]!) > 0.1 ? 1 : 0,
  );
}

/** 1 in the rows of lines that were taken, 0 elsewhere, [N, 1, size, size]. */
function planesOf(lines: readonly Uint32Array[]): Tensor {
  const values = new Float32Array(lines.length * size * size);
  lines.forEach((taken, n) => {
    for (const line of taken) {
      const start = (n * size + line) * size;
      values.fill(1, start, start + size);
    }
  });
  return tensor(values, [lines.length, 1, size, size]);
}
