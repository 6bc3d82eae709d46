/**
 * log det of a step of the midpoint rule, log det(I + aJ) − log det(I − aJ), with the pairings of its gradient.
 * Mathematics: docs/math/continuous/midpoint-flow.md
 */
import { add, affine, mul, sub, sumPerSample, type Tensor, tidy } from '@invnet/tensor';
import { inverseByElimination } from '../residual/elimination.ts';
import type { BlockAt } from '../residual/lipschitz-block.ts';
import {
  type FoundLogDeterminant,
  identityLike,
  jacobianOf,
  rowPairings,
} from '../residual/log-determinant.ts';

/** Exactly, from the Jacobian of each sample; its gradient is tr a((I + aJ)⁻¹ + (I − aJ)⁻¹) ∂J. */
export function exactMidpoint(block: BlockAt, a: number): FoundLogDeterminant {
  const { logdet, weights } = tidy(() => {
    const scaled = affine(jacobianOf(block), a);
    const one = identityLike(scaled);
    const [after, before] = [add(one, scaled), sub(one, scaled)].map(inverseByElimination);
    return {
      logdet: sub(after!.logdet, before!.logdet),
      weights: affine(add(after!.inverse, before!.inverse), a),
    };
  });
  return { logdet, tensors: [weights], pairings: () => rowPairings(weights, block.x.shape) };
}

/** 2a⟨ε, Jε⟩, the first term of the series, with a probe ε. */
export function estimatedMidpoint(block: BlockAt, a: number, probe: Tensor): FoundLogDeterminant {
  const w = affine(probe, 2 * a);
  const logdet = tidy(() => sumPerSample(mul(w, block.push(probe))));
  return { logdet, tensors: [w], pairings: () => [{ v: probe, w }] };
}
