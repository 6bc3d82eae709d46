/** Derivative checks and vector–Jacobian products of invertible layers. */
export { CheckError, assertBijection, checkBijection, float64Tolerances } from './checks.ts';
export type { CheckOptions, CheckResult, Tolerances } from './checks.ts';
export { vjp } from './vjp.ts';
export type { Vjp } from './vjp.ts';
