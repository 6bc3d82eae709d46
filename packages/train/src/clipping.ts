/** Clipping of gradients by their global norm (Pascanu, Mikolov and Bengio, 2013). */
import type { Parameter } from '@invnet/layers';
import { concat, sumSquares, tidy, ValueError } from '@invnet/tensor';

/**
 * The Euclidean norm of all gradients taken as one vector. Parameters without a gradient count as
 * zero. Reads from the backend once.
 *
 * @example
 * const norm = await gradientNorm(network.parameters);
 * optimizer.step(network.parameters, { learningRate, gradientScale: clipFactor(norm, 1) });
 */
export async function gradientNorm(parameters: readonly Parameter[]): Promise<number> {
  const gradients = parameters.flatMap((p) => p.grad ?? []);
  if (gradients.length === 0) return 0;
  using squares = tidy(() =>
    concat(
      gradients.map((g) => sumSquares(g).reshape([1])),
      0,
    ),
  );
  // Added up here, in double precision, and in one order whatever the backend.
  let total = 0;
  for (const s of await squares.data()) total += s;
  return Math.sqrt(total);
}

/**
 * What to multiply gradients by so that their norm is at most `maxNorm`: min(1, maxNorm/norm).
 *
 * @throws ValueError unless maxNorm > 0.
 */
export function clipFactor(norm: number, maxNorm: number): number {
  if (!(maxNorm > 0)) {
    throw new ValueError(`clipFactor: maxNorm ${maxNorm}; expected a number above 0.`);
  }
  return norm > maxNorm ? maxNorm / norm : 1;
}
