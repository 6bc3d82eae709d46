/** From velocities to what is known beforehand, a smooth background, and what is to be found. */

/** A medium in squared slowness, s²/km², row by row. */
export interface Medium {
  /** What is known: the water, and below it no more than the trend. */
  readonly background: Float32Array;
  /** What is to be found: the medium less its background. */
  readonly change: Float32Array;
  /** 1 in the rock, 0 in the water above it, where nothing is to be found. */
  readonly rock: Float32Array;
}

/** Velocities up to this one, in km/s, are those of water. */
const fastestWater = 1.51;

/** Deviation of the Gaussian that makes the background, in cells. */
const smoothness = 3;

/** The medium of velocities in km/s. Smoothing stops at the water: nothing of it leaks into the rock. */
export function mediumOf(
  velocity: Float32Array,
  [height, width]: readonly [number, number],
): Medium {
  const rock = new Float32Array(velocity.length);
  velocity.forEach((c, i) => {
    rock[i] = c > fastestWater || rock[i - width] === 1 ? 1 : 0;
  });
  const whole = velocity.map((c) => 1 / c ** 2);
  const blurred = (values: Float32Array) =>
    blur(blur(values, { length: height, stride: width }), { length: width, stride: 1 });
  const amount = blurred(rock);
  const sums = blurred(whole.map((m, i) => m * rock[i]!));
  const background = whole.map((m, i) => (rock[i] ? sums[i]! / amount[i]! : m));
  return { background, change: whole.map((m, i) => m - background[i]!), rock };
}

/** By a Gaussian along an axis; beyond the ends, values are those at them. */
function blur(
  values: Float32Array,
  { length, stride }: { readonly length: number; readonly stride: number },
): Float32Array {
  const reach = Math.ceil(3 * smoothness);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-0.5 * ((i - reach) / smoothness) ** 2),
  );
  return values.map((_, i) => {
    const at = Math.floor(i / stride) % length;
    return kernel.reduce((sum, weight, k) => {
      const there = Math.min(length - 1, Math.max(0, at + k - reach));
      return sum + weight * values[i + (there - at) * stride]!;
    }, 0);
  });
}
