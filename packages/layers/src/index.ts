/** Invertible layers with hand-written derivatives, and the conditioners inside them. */
export { ActNorm } from './act-norm.ts';
export type { Activation } from './activations.ts';
export { expClamp, leakyRelu, relu, sigmoid, sigmoid2, softplus, tanh } from './activations.ts';
export type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
export type { Conditioner, Saved } from './conditioner.ts';
export type { Conv1x1Options } from './conv1x1.ts';
export { Conv1x1 } from './conv1x1.ts';
export type { GlowCouplingOptions } from './glow-coupling.ts';
export { GlowCoupling } from './glow-coupling.ts';
export { Logit } from './logit.ts';
export type { ParameterVector } from './parameter.ts';
export {
  addVectors,
  dotVectors,
  flatten,
  gradients,
  normOfVector,
  Parameter,
  prefixNames,
  scaleVector,
  unflatten,
  zeroGrad,
} from './parameter.ts';
export type { ResidualBlockOptions } from './residual-block.ts';
export { ResidualBlock } from './residual-block.ts';
export type { ShufflePattern } from './squeeze.ts';
export { HaarSqueeze, ShuffleSqueeze, Squeeze } from './squeeze.ts';
