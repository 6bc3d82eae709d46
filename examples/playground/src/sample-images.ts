/** Images sampled from a flow. Runs in the worker. */
import type { Flow } from '@invnet/flows';
import type { ImageShape, Images } from './protocol.ts';

const count = 16;

/** @throws ShapeError for a shape that the network does not take. */
export async function sampleImages(
  flow: Flow,
  image: ImageShape,
  { temperature, seed }: { readonly temperature: number; readonly seed: number },
): Promise<Images> {
  const shape = flow.outputShape([count, ...image]);
  using images = flow.sample({ shape, temperature, seed });
  return { pixels: Float32Array.from(await images.data()), shape: image, count };
}
