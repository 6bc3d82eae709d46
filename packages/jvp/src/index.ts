/** Derivative checks and vector–Jacobian products of invertible layers. */

export type { CheckOptions, CheckResult, Tolerances } from './checks.ts';
export { assertBijection, CheckError, checkBijection, float64Tolerances } from './checks.ts';
export type { Vjp } from './vjp.ts';
export { vjp } from './vjp.ts';
