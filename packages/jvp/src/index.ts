/** Derivative checks and vector–Jacobian products of invertible layers. */

export type { ArrayOperator } from './arrays.ts';
export { fromArrays, toArrays } from './arrays.ts';
export { cg } from './cg.ts';
export type { ConditionerCheckOptions } from './check-conditioner.ts';
export { assertConditioner, checkConditioner } from './check-conditioner.ts';
export type { CheckResult, Tolerances } from './check-results.ts';
export { CheckError, float64Tolerances } from './check-results.ts';
export type { CheckOptions } from './checks.ts';
export { assertBijection, checkBijection } from './checks.ts';
export type { DotTestOptions, DotTestResult } from './dot-test.ts';
export { assertAdjoint, dotTest } from './dot-test.ts';
export type { GaussNewton, GaussNewtonOptions } from './gauss-newton.ts';
export { gaussNewton } from './gauss-newton.ts';
export type { Direction, Jacobian, JacobianOptions, Response, With } from './jacobian.ts';
export { jacobian } from './jacobian.ts';
export type { Solution, SolverOptions, SolverProgress, StopReason } from './krylov.ts';
export type { LinearOperator, OperatorParts } from './linear-operator.ts';
export {
  addOperators,
  composeOperators,
  identityOperator,
  makeOperator,
  OperatorError,
  operatorOf,
  scaleOperator,
} from './linear-operator.ts';
export { lsmr } from './lsmr.ts';
export type { LeastSquaresOptions } from './lsqr.ts';
export { lsqr } from './lsqr.ts';
export type { OperatorNormOptions } from './operator-norm.ts';
export { operatorNorm } from './operator-norm.ts';
export type { Vector, VectorLike } from './vector.ts';
export {
  addInPlace,
  copyVector,
  disposeVector,
  innerProduct,
  randomOf,
  scaleInPlace,
  vectorNorm,
  zerosOf,
} from './vector.ts';
export type { Vjp } from './vjp.ts';
export { vjp } from './vjp.ts';
