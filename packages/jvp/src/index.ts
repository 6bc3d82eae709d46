/** Derivative checks and vector–Jacobian products of invertible layers. */

export type { ConditionerCheckOptions } from './check-conditioner.ts';
export { assertConditioner, checkConditioner } from './check-conditioner.ts';
export type { CheckResult, Tolerances } from './check-results.ts';
export { CheckError, float64Tolerances } from './check-results.ts';
export type { CheckOptions } from './checks.ts';
export { assertBijection, checkBijection } from './checks.ts';
export type { Vjp } from './vjp.ts';
export { vjp } from './vjp.ts';
