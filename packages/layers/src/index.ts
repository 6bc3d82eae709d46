/** Invertible layers with hand-written derivatives, and the conditioners inside them. */
export { ActNorm } from './act-norm.ts';
export type { Activation, InvertibleActivation } from './activations.ts';
export { expClamp, leakyRelu, relu, sigmoid, sigmoid2, softplus, tanh } from './activations.ts';
export { AdditiveCoupling } from './additive-coupling.ts';
export type { AffineLayerOptions } from './affine-layer.ts';
export { AffineLayer } from './affine-layer.ts';
export { asConditioner } from './as-conditioner.ts';
export type { AffineOptions, BasicCouplingOptions } from './basic-coupling.ts';
export { BasicCoupling } from './basic-coupling.ts';
export type { BatchNormOptions } from './batch-norm.ts';
export { BatchNorm } from './batch-norm.ts';
export type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
export { ChannelHalves, halvesOf } from './channel-halves.ts';
export type { ConditionalHintCouplingOptions } from './conditional-hint-coupling.ts';
export { ConditionalHintCoupling } from './conditional-hint-coupling.ts';
export type { ConditionalResidualBlockOptions } from './conditional-residual-block.ts';
export { ConditionalResidualBlock } from './conditional-residual-block.ts';
export type { Conditioner, Saved } from './conditioner.ts';
export type { Conv1x1Options } from './conv1x1.ts';
export { Conv1x1 } from './conv1x1.ts';
export type { CustomBlockParts } from './custom-block.ts';
export { CustomBlock } from './custom-block.ts';
export type { DefaultConditionerOptions } from './default-conditioner.ts';
export { defaultConditioner } from './default-conditioner.ts';
export type { DenseBlockOptions } from './dense-block.ts';
export { DenseBlock } from './dense-block.ts';
export { Elementwise } from './elementwise.ts';
export type { PairShape } from './flattened.ts';
export { Flattened, flattenPair, unflattenPair } from './flattened.ts';
export type { ConditionalGlowCouplingOptions, GlowCouplingOptions } from './glow-coupling.ts';
export { ConditionalGlowCoupling, GlowCoupling } from './glow-coupling.ts';
export type { HintCouplingOptions, HintPermutation } from './hint-coupling.ts';
export { HintCoupling } from './hint-coupling.ts';
export type { HyperbolicLayerOptions, ResolutionChange } from './hyperbolic-layer.ts';
export { channelsAfter, HyperbolicLayer } from './hyperbolic-layer.ts';
export { Identity } from './identity.ts';
export type { IrimCouplingOptions } from './irim-coupling.ts';
export { IrimCoupling } from './irim-coupling.ts';
export { JoinedChannels } from './joined-channels.ts';
export { Logit } from './logit.ts';
export type { OutputActivationName } from './output-activation.ts';
export { Parallel } from './parallel.ts';
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
export { RecursiveCoupling } from './recursive-coupling.ts';
export type { ResNetOptions } from './res-net.ts';
export { ResNet } from './res-net.ts';
export type { ResidualBlockOptions } from './residual-block.ts';
export { ResidualBlock } from './residual-block.ts';
export { reverse } from './reverse.ts';
export { compose, Sequential } from './sequential.ts';
export type { ShufflePattern } from './squeeze.ts';
export { HaarSqueeze, ShuffleSqueeze, Squeeze } from './squeeze.ts';
export type { Pair, State } from './state.ts';
export { disposeState, isPair, mapState, tensorsOf, zipStates } from './state.ts';
export { addOwned } from './sums.ts';
export type { SymmetricBlockOptions } from './symmetric-block.ts';
export { SymmetricBlock } from './symmetric-block.ts';
export type { WaveletName } from './wavelet-filters.ts';
export type { WaveletSqueezeOptions } from './wavelet-squeeze.ts';
export { WaveletSqueeze } from './wavelet-squeeze.ts';
export { WithContext } from './with-context.ts';
