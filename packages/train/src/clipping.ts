/** Clipping of gradients by their global norm (Pascanu, Mikolov and Bengio, 2013). */
import { type Parameter, requireParameters } from '@invnet/layers';
import { formatValue, norm, requireAtLeast, ValueError } from '@invnet/tensor';

/**
 * The Euclidean norm of all gradients taken as one vector. Parameters without a gradient count as
 * zero. Right for all gradients that are finite themselves; reads from the backend once, as a rule.
 *
 * @example
 * const norm = await gradientNorm(network.parameters);
 * optimizer.step(network.parameters, { learningRate, gradientScale: clipFactor(norm, 1) });
 */
export async function gradientNorm(parameters: readonly Parameter[]): Promise<number> {
  requireParameters('gradientNorm', parameters);
  return norm(parameters.flatMap((p) => p.grad ?? []));
}

/**
 * What to multiply gradients by so that their norm is at most `maxNorm`: min(1, maxNorm/norm).
 *
 * @throws ValueError unless norm is finite and not negative, and maxNorm > 0.
 */
export function clipFactor(norm: number, maxNorm: number): number {
  requireAtLeast('clipFactor', 'norm', norm, 0);
  if (!(typeof maxNorm === 'number' && maxNorm > 0)) {
    throw new ValueError(
      `clipFactor: maxNorm is ${formatValue(maxNorm)}; expected a number above 0.`,
    );
  }
  return norm > maxNorm ? maxNorm / norm : 1;
}
