/** A simulated scan: phase, random lines, noise. */
import { cartesianLines, type PhaseEncodedFourier } from '@invnet/operators';
import { add, type RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { smoothField, uniformly } from './random.ts';

/** Options of `acquire`. */
export interface AcquireOptions {
  /** Its `lines` become those of the scan. */
  readonly operator: PhaseEncodedFourier;
  /** One of so many lines is taken. */
  readonly acceleration: number;
  /** Share of all lines around the centre that are always taken. */
  readonly center: number;
  /** Deviation of the noise of real and imaginary part, where images are 1 at most. */
  readonly noise: number;
  readonly random: RandomStream;
}

/** Data [N, 2, L, W] of complex images [N, 2, H, W], each with lines of its own. */
export function acquire(images: Tensor, options: AcquireOptions): Tensor {
  const { operator, acceleration, center, noise, random } = options;
  const [count, , height] = images.shape as [number, number, number];
  operator.lines = Array.from({ length: count }, () =>
    cartesianLines({ size: height, acceleration, center, random }),
  );
  return tidy(() => {
    const exact = operator.forward(images);
    return add(exact, random.normal(exact.shape, noise));
  });
}

/** Complex images [N, 2, n, n] of magnitudes [N, n, n], their phase smooth and random. */
export async function withPhase(magnitudes: Tensor, random: RandomStream): Promise<Tensor> {
  const [count, size] = magnitudes.shape as [number, number, number];
  const values = await magnitudes.data();
  const pixels = size * size;
  const uniform = uniformly(random);
  const images = new Float32Array(2 * values.length);
  for (let n = 0; n < count; n++) {
    const offset = uniform(-Math.PI, Math.PI);
    const [down, across] = [uniform(-3, 3), uniform(-3, 3)];
    const uneven = uniform(-0.5, 0.5);
    const field = smoothField(random, { size, cells: 3 });
    for (let i = 0; i < pixels; i++) {
      const [y, x] = [Math.floor(i / size) / size - 0.5, (i % size) / size - 0.5];
      const phase = offset + down * y + across * x + uneven * field[i]!;
      const at = 2 * n * pixels + i;
      images[at] = values[n * pixels + i]! * Math.cos(phase);
      images[at + pixels] = values[n * pixels + i]! * Math.sin(phase);
    }
  }
  return tensor(images, [count, 2, size, size]);
}
