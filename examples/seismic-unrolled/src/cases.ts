/** Cases: a shot, what it recorded, and, where it is simulated, what is to be found. */
import { affine, type RandomStream, sumSquares, type Tensor, ValueError } from '@invnet/tensor';
import { mediumOf } from './medium.ts';
import { drawWeights, type Physics, type Survey } from './survey.ts';

/** A shot in units that follow from what it recorded, in which all shots are much alike. */
export interface Shot {
  /** With a gain by which A Aᵀ d is about as large as d. */
  readonly physics: Physics;
  readonly data: Tensor;
  /** The image of reverse-time migration, Aᵀ d, of the size that fits the data best: [1, 1, height, width]. */
  readonly migrated: Tensor;
}

/** A shot over an earth that is known. */
export interface Case extends Shot {
  readonly truth: Tensor;
}

/** How often `prepare` applies J or Jᵀ. */
export const callsBefore = 2;
/** ‖A Aᵀ d‖²/‖Aᵀ d‖² of a prepared shot; the largest of all ‖A u‖²/‖u‖² is about twice as large. */
const strength = 1.5;
/** Root mean square of a migrated image; that of a true one is about 1 then. */
const usual = 0.5;

/** One shot over an earth of velocities in km/s, row by row; its data are linear in what is to be found, without noise. */
export async function simulate(
  survey: Survey,
  velocity: Float32Array,
  random: RandomStream,
): Promise<Case> {
  const { background, rock, change } = mediumOf(velocity, survey.size);
  const physics = { background, rock, weights: drawWeights(random), gain: 1 };
  survey.physics = physics;
  using image = survey.imageOf(change);
  using recorded = survey.forward(image);
  const { unit, ...shot } = await prepare(survey, physics, recorded);
  return { ...shot, truth: affine(image, 1 / unit) };
}

/**
 * Gives a shot units of its own: images are `unit` times what they are in them. The gain of `physics` is 1.
 *
 * @throws ValueError for data of zeros.
 */
export async function prepare(
  survey: Survey,
  physics: Physics,
  recorded: Tensor,
): Promise<Shot & { readonly unit: number }> {
  survey.physics = physics;
  using gradient = survey.adjoint(recorded);
  using back = survey.forward(gradient);
  const size = await norm(gradient);
  if (size === 0) {
    throw new ValueError(
      'prepare: the data are zero; expected a shot over an earth that scatters.',
    );
  }
  // The step along the gradient that fits the data best: LSQR's first.
  const step = (size / (await norm(back))) ** 2;
  const unit = (step * size) / Math.sqrt(gradient.size) / usual;
  const gain = Math.sqrt(strength * step);
  return {
    physics: { ...physics, gain },
    data: affine(recorded, gain / unit),
    migrated: affine(gradient, step / unit),
    unit,
  };
}

/** Frees its tensors. */
export function disposeCase({ data, migrated, truth }: Case): void {
  for (const t of [data, migrated, truth]) t.dispose();
}

async function norm(x: Tensor): Promise<number> {
  using squares = sumSquares(x);
  return Math.sqrt((await squares.data())[0]!);
}
