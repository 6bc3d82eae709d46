/** Invertible layers with hand-written derivatives, the conditioners inside them, and their tree. */

// Autoregressive maps.
export type { AutoregressiveOptions } from './autoregressive/autoregressive.ts';
export { Autoregressive } from './autoregressive/autoregressive.ts';
export type { CausalOptions } from './autoregressive/causal-graph.ts';
export { MadeBlock } from './autoregressive/made-block.ts';
export type { MadeBlockOptions, MadeOptions } from './autoregressive/made-options.ts';
export { madeOptions } from './autoregressive/made-options.ts';
export type { MadeBlocks } from './autoregressive/masked-layers.ts';
export { layerCatalogue } from './catalogue.ts';
// Combinators.
export type { AxisHalvesOptions } from './combinators/axis-halves.ts';
export { AxisHalves } from './combinators/axis-halves.ts';
export { ChannelHalves, halvesOf } from './combinators/channel-halves.ts';
export type { ChannelSplit } from './combinators/channel-parts.ts';
export { Composite } from './combinators/composite.ts';
export type { CustomBijectionParts } from './combinators/custom-bijection.ts';
export { CustomBijection, MissingPartError } from './combinators/custom-bijection.ts';
export { FirstHalf } from './combinators/first-half.ts';
export { fixedLinear } from './combinators/fixed-linear.ts';
export type { PairShape } from './combinators/flattened.ts';
export { Flattened, flattenPair, unflattenPair } from './combinators/flattened.ts';
export { Identity } from './combinators/identity.ts';
export { JoinedChannels } from './combinators/joined-channels.ts';
export { Parallel } from './combinators/parallel.ts';
export type { ReshapeOptions } from './combinators/reshape.ts';
export { Reshape } from './combinators/reshape.ts';
export { Reversed, reverse } from './combinators/reverse.ts';
export type { Layers } from './combinators/sequential.ts';
export { compose, Sequential } from './combinators/sequential.ts';
export { Swapped } from './combinators/swapped.ts';
export { Unflattened } from './combinators/unflattened.ts';
// Conditioners.
export type { ActivationLayerOptions } from './conditioners/activation-layer.ts';
export { ActivationLayer } from './conditioners/activation-layer.ts';
export { AsConditioner, asConditioner } from './conditioners/as-conditioner.ts';
export type { AttentionBlockOptions } from './conditioners/attention-block.ts';
export { attentionBlock } from './conditioners/attention-block.ts';
export type { BatchNormOptions } from './conditioners/batch-norm.ts';
export { BatchNorm } from './conditioners/batch-norm.ts';
export { Chain, chain } from './conditioners/chain.ts';
export type { ConditionalResidualBlockOptions } from './conditioners/conditional-residual-block.ts';
export { ConditionalResidualBlock } from './conditioners/conditional-residual-block.ts';
export type {
  ConditionerFactory,
  ConditionerShape,
  ConditionerSupply,
  Conditioners,
} from './conditioners/conditioner-factory.ts';
export {
  makeConditioner,
  supplyConditioners,
  withContext,
} from './conditioners/conditioner-factory.ts';
export type { ConvolutionOptions } from './conditioners/conv.ts';
export { Conv, ConvTranspose } from './conditioners/conv.ts';
export type { ConvBlockOptions } from './conditioners/conv-block.ts';
export { convBlock } from './conditioners/conv-block.ts';
export type { CustomBlockParts } from './conditioners/custom-block.ts';
export { CustomBlock } from './conditioners/custom-block.ts';
export type { DeepSetOptions } from './conditioners/deep-set.ts';
export { DeepSet } from './conditioners/deep-set.ts';
export type {
  ConditionerDefaults,
  DefaultConditionerOptions,
} from './conditioners/default-conditioner.ts';
export { defaultConditioner } from './conditioners/default-conditioner.ts';
export type { DenseOptions } from './conditioners/dense.ts';
export { Dense } from './conditioners/dense.ts';
export type { DenseBlockOptions } from './conditioners/dense-block.ts';
export { DenseBlock } from './conditioners/dense-block.ts';
export type { InducedAttentionOptions } from './conditioners/induced-attention.ts';
export { InducedAttention } from './conditioners/induced-attention.ts';
export type { JoinedConditionersOptions } from './conditioners/joined-conditioners.ts';
export { JoinedConditioners } from './conditioners/joined-conditioners.ts';
export type { LayerNormOptions } from './conditioners/layer-norm.ts';
export { LayerNorm } from './conditioners/layer-norm.ts';
export type { MultiHeadAttentionOptions } from './conditioners/multi-head-attention.ts';
export { MultiHeadAttention } from './conditioners/multi-head-attention.ts';
export type { NormalizationName } from './conditioners/normalization.ts';
export type { OutputActivationName } from './conditioners/output-activation.ts';
export type { PeriodicFeaturesOptions } from './conditioners/periodic-features.ts';
export { PeriodicFeatures } from './conditioners/periodic-features.ts';
export type { PoolOptions } from './conditioners/pooling.ts';
export { AveragePool, GlobalAveragePool, MaxPool } from './conditioners/pooling.ts';
export type { ResNetOptions } from './conditioners/res-net.ts';
export { ResNet } from './conditioners/res-net.ts';
export type { ResidualBlockOptions } from './conditioners/residual-block.ts';
export { ResidualBlock } from './conditioners/residual-block.ts';
export type { ScaledConditionerOptions } from './conditioners/scaled-conditioner.ts';
export { ScaledConditioner } from './conditioners/scaled-conditioner.ts';
export type { SetTransformerOptions } from './conditioners/set-transformer.ts';
export { SetTransformer } from './conditioners/set-transformer.ts';
export { padSets } from './conditioners/sets.ts';
export type { SkipConnectionOptions } from './conditioners/skip-connection.ts';
export { concatSkip, residual, SkipConnection } from './conditioners/skip-connection.ts';
export type { SymmetricBlockOptions } from './conditioners/symmetric-block.ts';
export { SymmetricBlock } from './conditioners/symmetric-block.ts';
export type { UNetOptions } from './conditioners/unet.ts';
export { UNet } from './conditioners/unet.ts';
export type { UpsampleOptions } from './conditioners/upsample.ts';
export { Upsample } from './conditioners/upsample.ts';
export { WithContext } from './conditioners/with-context.ts';
// Continuous flows.
export type { ConditionerFieldOptions } from './continuous/conditioner-field.ts';
export { ConditionerField } from './continuous/conditioner-field.ts';
export type { ContinuousFlowOptions } from './continuous/continuous-flow.ts';
export { ContinuousFlow } from './continuous/continuous-flow.ts';
export type { DivergenceOptions } from './continuous/divergence.ts';
export type { MidpointFlowOptions } from './continuous/midpoint-flow.ts';
export { MidpointFlow } from './continuous/midpoint-flow.ts';
export type { SmoothFieldOptions } from './continuous/smooth-field.ts';
export { SmoothField } from './continuous/smooth-field.ts';
export type { FlowRate } from './continuous/velocity-field.ts';
export { VelocityField, withTime } from './continuous/velocity-field.ts';
// The tree, its contract, and what is done with it.
export type { BackwardOptions } from './core/bijection.ts';
export { Bijection, PairBijection, requireBijection } from './core/bijection.ts';
export {
  requireChannels,
  requireDimensions,
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  requireSpatialSizes,
  requireWhole,
} from './core/checks.ts';

export { Conditioner, evaluate, requireConditioner } from './core/conditioner.ts';
export { asMethod } from './core/guard.ts';
export { alongChannels, channelSums, perSample, positions, sumOfTerms } from './core/idioms.ts';
export type { SampleOptions } from './core/sample-shape.ts';
export type { Saved } from './core/saved.ts';
export type { Pair, ShapeOf, State } from './core/state.ts';
export {
  disposeState,
  isPair,
  mapShape,
  mapState,
  shapeOf,
  shapesIn,
  tensorsOf,
  zipStates,
} from './core/state.ts';
export { addOwned } from './core/sums.ts';
export type { Tangent } from './core/tangent.ts';
export type { DataDependent, Ranks } from './core/training-step.ts';
export { activeStep, outsideSteps, TrainingStep } from './core/training-step.ts';
export { withoutLogdet } from './core/without-logdet.ts';
// Couplings.
export { AdditiveCoupling } from './couplings/additive-coupling.ts';
export type { AllInOneBlockOptions } from './couplings/all-in-one-block.ts';
export { AllInOneBlock } from './couplings/all-in-one-block.ts';
export type { AffineOptions, BasicCouplingOptions } from './couplings/basic-coupling.ts';
export { affineDefaults, affineOptions, BasicCoupling } from './couplings/basic-coupling.ts';
export type { ConditionalHintCouplingOptions } from './couplings/conditional-hint-coupling.ts';
export { ConditionalHintCoupling } from './couplings/conditional-hint-coupling.ts';
export type { ConditionalTransformOptions } from './couplings/conditional-transform.ts';
export { ConditionalTransform } from './couplings/conditional-transform.ts';
export type {
  ConditionalGlowCouplingOptions,
  GlowCouplingOptions,
} from './couplings/glow-coupling.ts';
export { ConditionalGlowCoupling, GlowCoupling } from './couplings/glow-coupling.ts';
export type { HintCouplingOptions, HintPermutation } from './couplings/hint-coupling.ts';
export { HintCoupling, hintDefaults, hintOptions } from './couplings/hint-coupling.ts';
export type { HyperbolicLayerOptions, ResolutionChange } from './couplings/hyperbolic-layer.ts';
export { channelsAfter, HyperbolicLayer } from './couplings/hyperbolic-layer.ts';
export type { IrimCouplingOptions } from './couplings/irim-coupling.ts';
export { IrimCoupling } from './couplings/irim-coupling.ts';
export type { LeapfrogOptions } from './couplings/leapfrog.ts';
export { Leapfrog } from './couplings/leapfrog.ts';
export type { Mask } from './couplings/mask.ts';
export type { MaskedCouplingOptions } from './couplings/masked-coupling.ts';
export { MaskedCoupling } from './couplings/masked-coupling.ts';
export { RecursiveCoupling } from './couplings/recursive-coupling.ts';
export type { TransformerCouplingOptions } from './couplings/transformer-coupling.ts';
export { TransformerCoupling } from './couplings/transformer-coupling.ts';
export type { TwoSidedCouplingOptions } from './couplings/two-sided-coupling.ts';
export { TwoSidedCoupling } from './couplings/two-sided-coupling.ts';
// Element-wise maps.
export type { Activation, InvertibleActivation, ScaleLogarithm } from './elementwise/activation.ts';
export { requireActivation } from './elementwise/activation.ts';
export { activationTypes } from './elementwise/activation-types.ts';
export { leakyRelu, relu, sigmoid, sigmoid2, softplus, tanh } from './elementwise/activations.ts';
export type { BoxOptions } from './elementwise/box.ts';
export { Box } from './elementwise/box.ts';
export type { CircularShiftOptions } from './elementwise/circular-shift.ts';
export { CircularShift } from './elementwise/circular-shift.ts';
export { Elementwise } from './elementwise/elementwise.ts';
export { atanClamp, exp, expClamp, softsignClamp } from './elementwise/exponentials.ts';
export type { LearnedSlopesOptions } from './elementwise/learned-slopes.ts';
export { LearnedSlopes } from './elementwise/learned-slopes.ts';
export { Logit } from './elementwise/logit.ts';
export type { OrderedOptions } from './elementwise/ordered.ts';
export { Ordered } from './elementwise/ordered.ts';
export { shiftedSigmoid, softplusScale } from './elementwise/scales.ts';
export { elu, gelu, silu } from './elementwise/smooth-activations.ts';
export { StickBreaking } from './elementwise/stick-breaking.ts';
// Linear maps.
export { ActNorm } from './linear/act-norm.ts';
export type { AffineLayerOptions } from './linear/affine-layer.ts';
export { AffineLayer } from './linear/affine-layer.ts';
export type { ConditionalHouseholderOptions } from './linear/conditional-householder.ts';
export { ConditionalHouseholder } from './linear/conditional-householder.ts';
export type { Conv1x1Options } from './linear/conv1x1.ts';
export { Conv1x1 } from './linear/conv1x1.ts';
export { conv1x1Of } from './linear/conv1x1-of.ts';
export type { HouseholderOptions } from './linear/householder.ts';
export { Householder } from './linear/householder.ts';
export type { InvertibleBatchNormOptions } from './linear/invertible-batch-norm.ts';
export { InvertibleBatchNorm } from './linear/invertible-batch-norm.ts';
export { invertTriangular } from './linear/matrices.ts';
export type { OrthogonalOptions } from './linear/orthogonal.ts';
export { Orthogonal } from './linear/orthogonal.ts';
export type { PermutationOptions } from './linear/permutation.ts';
export { Permutation } from './linear/permutation.ts';
export type { Moments } from './linear/standardization.ts';
export { Standardization } from './linear/standardization.ts';
export type { BuildOptions } from './models/build.ts';
export { build } from './models/build.ts';
export type { Json, ModuleConfig } from './models/config.ts';
export { ConfigurationError, configDifferences } from './models/config.ts';
export { copyModule, copyModuleBy, replacePart } from './models/copy.ts';
export { describe } from './models/describe.ts';
export { countParameters, freeze, unfreeze, withoutGradients } from './models/freezing.ts';
export type { Initializable, InitializeOptions } from './models/initialize.ts';
export {
  initialize,
  initializeSync,
  isInitialized,
  resetInitialization,
} from './models/initialize.ts';
export type { Keep } from './models/keeping.ts';
export { Keeping, keeping } from './models/keeping.ts';
export { moduleAt } from './models/parts.ts';
export type { KeepLevel } from './models/recording.ts';
export type { SummaryOptions } from './models/summary.ts';
export { summary } from './models/summary.ts';
// Residual flows.
export type { LipschitzBlockOptions } from './residual/default-lipschitz-block.ts';
export { lipschitzBlock } from './residual/default-lipschitz-block.ts';
export type { InvertibleResidualOptions } from './residual/invertible-residual.ts';
export { InvertibleResidual } from './residual/invertible-residual.ts';
export { LipSwish } from './residual/lip-swish.ts';
export type { LipschitzActivationName } from './residual/lipschitz-activation.ts';
export { LipschitzActivation } from './residual/lipschitz-activation.ts';
export { LipschitzBlock } from './residual/lipschitz-block.ts';
export type { EvaluatedLayer } from './residual/lipschitz-layer.ts';
export { LipschitzLayer } from './residual/lipschitz-layer.ts';
export type { LogDeterminantOptions } from './residual/log-determinant.ts';
export type { PlanarOptions } from './residual/planar.ts';
export { Planar } from './residual/planar.ts';
export type { RadialOptions } from './residual/radial.ts';
export { Radial } from './residual/radial.ts';
export type { SpectralConvOptions } from './residual/spectral-conv.ts';
export { SpectralConv } from './residual/spectral-conv.ts';
export type { SpectralDenseOptions } from './residual/spectral-dense.ts';
export { SpectralDense } from './residual/spectral-dense.ts';
export type { SpectralOptions } from './residual/spectral-layer.ts';
export { SpectralLayer } from './residual/spectral-layer.ts';
export type { SylvesterOptions } from './residual/sylvester.ts';
export { Sylvester } from './residual/sylvester.ts';
export type { TriangularSylvesterOptions } from './residual/triangular-sylvester.ts';
export { TriangularSylvester } from './residual/triangular-sylvester.ts';
export { updateLipschitz } from './residual/update-lipschitz.ts';
// Squeezes.
export { HaarSqueeze } from './squeezes/haar-squeeze.ts';
export type {
  ShufflePattern,
  ShuffleSqueezeOptions,
  SqueezeOrder,
} from './squeezes/shuffle-squeeze.ts';
export { ShuffleSqueeze } from './squeezes/shuffle-squeeze.ts';
export { Squeeze } from './squeezes/squeeze.ts';
export type { WaveletName } from './squeezes/wavelet-filters.ts';
export type { WaveletSqueezeOptions } from './squeezes/wavelet-squeeze.ts';
export { WaveletSqueeze } from './squeezes/wavelet-squeeze.ts';
// Transformers.
export { AdditiveTransformer } from './transformers/additive-transformer.ts';
export type { AffineTransformerOptions } from './transformers/affine-transformer.ts';
export { AffineTransformer } from './transformers/affine-transformer.ts';
export type { ElementwiseTransformOptions } from './transformers/elementwise-transform.ts';
export { ElementwiseTransform } from './transformers/elementwise-transform.ts';
export type { LinearSplineOptions } from './transformers/linear-spline.ts';
export { LinearSpline } from './transformers/linear-spline.ts';
export type { QuadraticSplineOptions } from './transformers/quadratic-spline.ts';
export { QuadraticSpline } from './transformers/quadratic-spline.ts';
export type {
  RationalQuadraticSplineOptions,
  SplineTails,
} from './transformers/rational-quadratic-spline.ts';
export { RationalQuadraticSpline } from './transformers/rational-quadratic-spline.ts';
export type { ScalingTransformerOptions } from './transformers/scaling-transformer.ts';
export { ScalingTransformer } from './transformers/scaling-transformer.ts';
export { Transformer } from './transformers/transformer.ts';
export type { VolumePreservingTransformerOptions } from './transformers/volume-preserving-transformer.ts';
export { VolumePreservingTransformer } from './transformers/volume-preserving-transformer.ts';
export { Counter, Flag, ModuleBuffer, TensorBuffer } from './tree/buffer.ts';
export { Construction } from './tree/construction.ts';
export type { ModuleType, Options, Place } from './tree/module.ts';
export {
  isModuleType,
  Module,
  moduleOf,
  namedBuffers,
  namedParameters,
  placesIn,
  requireModule,
} from './tree/module.ts';
export { named } from './tree/named.ts';
export type { ParameterOptions } from './tree/parameter.ts';
export { Parameter, ParameterMap, requireParameters, zeroGrad } from './tree/parameter.ts';
export type { ParameterVector } from './tree/parameter-vector.ts';
export {
  addVectors,
  dotVectors,
  flatten,
  gradients,
  normOfVector,
  scaleVector,
  unflatten,
} from './tree/parameter-vector.ts';
export { requireName } from './tree/path.ts';
