/**
 * Which inputs a network takes. Files do not say it, but for a note that whoever saved one may have
 * left in the metadata: `input: '[1,28,28]'`, without the batch. Otherwise usual shapes are tried
 * by `outputShape`, which computes no numbers and throws a ShapeError for what does not fit.
 *
 * Many networks take several shapes: a convolution does not mind the size of an image, an ActNorm not
 * even the number of axes. Points of the plane come first, for they can be trained here, then images,
 * the usual sizes first. What is neither is looked for only to be named.
 */
import { type Bijection, placesIn } from '@invnet/layers';
import { type Shape, ShapeError } from '@invnet/tensor';

/** The metadata's key for the shape. */
export const inputKey = 'input';

/** Two numbers: as a vector, and as two channels at one position of convolutions. */
const points: readonly Shape[] = [[2], [2, 1], [2, 1, 1]];

const images: readonly Shape[] = [
  ...[28, 32, 64, 128, 16, 8].map((side) => [1, side, side]),
  ...[32, 64, 128, 28, 16, 8].map((side) => [3, side, side]),
];

/** Along each axis of other data. */
const otherSize = 32;

/** The shapes, without the batch, that a network takes, the likeliest first. */
export function inputShapes(network: Bijection, note: string | undefined): Shape[] {
  const noted = shapeIn(note);
  const others = channelsIn(network).flatMap((channels) =>
    [0, 1, 2, 3].map((axes) => [channels, ...Array<number>(axes).fill(otherSize)]),
  );
  const candidates = [...(noted ? [noted] : []), ...points, ...images, ...others];
  const taken = candidates.filter((shape) => takes(network, shape));
  return taken.filter((shape, i) => taken.findIndex((s) => String(s) === String(shape)) === i);
}

function takes(network: Bijection, shape: Shape): boolean {
  try {
    network.outputShape([1, ...shape]);
    return true;
  } catch (error) {
    if (error instanceof ShapeError) return false;
    throw error;
  }
}

/** All numbers of channels that stand in a network's options, from the outside in. */
function channelsIn(network: Bijection): number[] {
  const channels = [...placesIn(network)].map(({ module }) => module.options.channels);
  return [...new Set(channels)].filter((c) => typeof c === 'number');
}

/** Anybody may have written it, so it may be anything. */
function shapeIn(note: string | undefined): Shape | undefined {
  if (!/^\s*\[\s*[1-9]\d*(\s*,\s*[1-9]\d*)*\s*\]\s*$/.test(note ?? '')) return undefined;
  return JSON.parse(note!) as number[];
}
