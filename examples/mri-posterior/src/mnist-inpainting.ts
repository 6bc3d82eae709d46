/**
 * Digits with a hole: MNIST at 16 × 16 whose centre of 5 × 5 pixels is not observed, in the settings of
 * InvertibleNetworks.jl's `amortized_glow_mnist_inpainting.jl`: its first 2,048 images, of which nine in
 * ten are trained on, resized by linear interpolation.
 *
 * Images get noise of deviation 0.05: most pixels are exactly black, where a density would be infinite.
 */
import type { Mnist } from '@invnet/datasets';
import { Mask } from '@invnet/operators';
import { add, clone, tensor, tidy } from '@invnet/tensor';
import type { InverseProblem } from './problem.ts';

const size = 16;
const pixels = size * size;
const hole = { first: 5, last: 9 };
const imageNoise = 0.05;
const noise = 0.01;
const images = 2048;
const trained = Math.floor(0.9 * images);

/** Grey values; those around the hole. */
export const mnistInpaintingChannels = { channels: 1, contextChannels: 1 };

/** The problem over the first images of MNIST's training set. */
export function mnistInpainting(mnist: Mnist): InverseProblem {
  const digits = Array.from({ length: images }, (_, i) => resized(mnist, i));
  return {
    ...mnistInpaintingChannels,
    size,
    noise,
    observed: pixels - (hole.last - hole.first + 1) ** 2,
    spread: 0.25,
    region: { name: 'hole', of: (mean) => Uint8Array.from(mean, (_, i) => (inHole(i) ? 1 : 0)) },
    draw: async (split, count, random) => {
      const some = split === 'training' ? digits.slice(0, trained) : digits.slice(trained);
      const order = random.permutation(some.length);
      const values = new Float32Array(count * pixels);
      for (let i = 0; i < count; i++) values.set(some[order[i % order.length]!]!, i * pixels);
      return tidy(() => {
        const x = add(
          tensor(values, [count, 1, size, size]),
          random.normal([count, 1, size, size], imageNoise),
        );
        const operator = frame();
        const data = operator.forward(add(x, random.normal(x.shape, noise)));
        return { x, data, context: clone(data), operator, operatorOf: frame };
      });
    },
  };
}

/** Sets the hole to zero: a projection, so A Aᵀ = 1 on what it leaves. */
function frame(): Mask {
  const seen = Float32Array.from({ length: pixels }, (_, i) => (inHole(i) ? 0 : 1));
  using mask = tensor(seen, [1, size, size]);
  return new Mask({ shape: [1, size, size], mask });
}

/** Whether a pixel is not observed. */
function inHole(pixel: number): boolean {
  const within = (at: number) => at >= hole.first && at <= hole.last;
  return within(Math.floor(pixel / size)) && within(pixel % size);
}

/** An image in [0, 1] at 16 × 16, by linear interpolation at the new pixels' centres. */
function resized({ images: bytes, height, width }: Mnist, index: number): Float32Array {
  const at = (y: number, x: number) => bytes[(index * height + y) * width + x]!;
  const stretch = height / size;
  return Float32Array.from({ length: pixels }, (_, i) => {
    const y = (Math.floor(i / size) + 0.5) * stretch - 0.5;
    const x = ((i % size) + 0.5) * stretch - 0.5;
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const [down, right] = [y - top, x - left];
    const upper = (1 - right) * at(top, left) + right * at(top, left + 1);
    const lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1);
    return ((1 - down) * upper + down * lower) / 255;
  });
}
