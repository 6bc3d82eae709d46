/** All types of this package, for loading and building: what a page does not import costs it nothing. */
import { Autoregressive } from './autoregressive/autoregressive.ts';
import { MadeBlock } from './autoregressive/made-block.ts';
import { AxisHalves } from './combinators/axis-halves.ts';
import { ChannelHalves } from './combinators/channel-halves.ts';
import { CustomBijection } from './combinators/custom-bijection.ts';
import { FirstHalf } from './combinators/first-half.ts';
import { Flattened } from './combinators/flattened.ts';
import { Identity } from './combinators/identity.ts';
import { JoinedChannels } from './combinators/joined-channels.ts';
import { Parallel } from './combinators/parallel.ts';
import { Reshape } from './combinators/reshape.ts';
import { Reversed } from './combinators/reverse.ts';
import { Sequential } from './combinators/sequential.ts';
import { Swapped } from './combinators/swapped.ts';
import { Unflattened } from './combinators/unflattened.ts';
import { ActivationLayer } from './conditioners/activation-layer.ts';
import { AsConditioner } from './conditioners/as-conditioner.ts';
import { BatchNorm } from './conditioners/batch-norm.ts';
import { Chain } from './conditioners/chain.ts';
import { ConditionalResidualBlock } from './conditioners/conditional-residual-block.ts';
import { Conv, ConvTranspose } from './conditioners/conv.ts';
import { CustomBlock } from './conditioners/custom-block.ts';
import { DeepSet } from './conditioners/deep-set.ts';
import { Dense } from './conditioners/dense.ts';
import { DenseBlock } from './conditioners/dense-block.ts';
import { InducedAttention } from './conditioners/induced-attention.ts';
import { JoinedConditioners } from './conditioners/joined-conditioners.ts';
import { LayerNorm } from './conditioners/layer-norm.ts';
import { MultiHeadAttention } from './conditioners/multi-head-attention.ts';
import { PeriodicFeatures } from './conditioners/periodic-features.ts';
import { AveragePool, GlobalAveragePool, MaxPool } from './conditioners/pooling.ts';
import { ResNet } from './conditioners/res-net.ts';
import { ResidualBlock } from './conditioners/residual-block.ts';
import { ScaledConditioner } from './conditioners/scaled-conditioner.ts';
import { SetTransformer } from './conditioners/set-transformer.ts';
import { SkipConnection } from './conditioners/skip-connection.ts';
import { SymmetricBlock } from './conditioners/symmetric-block.ts';
import { UNet } from './conditioners/unet.ts';
import { Upsample } from './conditioners/upsample.ts';
import { WithContext } from './conditioners/with-context.ts';
import { ConditionerField } from './continuous/conditioner-field.ts';
import { ContinuousFlow } from './continuous/continuous-flow.ts';
import { MidpointFlow } from './continuous/midpoint-flow.ts';
import { SmoothField } from './continuous/smooth-field.ts';
import { AdditiveCoupling } from './couplings/additive-coupling.ts';
import { AllInOneBlock } from './couplings/all-in-one-block.ts';
import { BasicCoupling } from './couplings/basic-coupling.ts';
import { ConditionalHintCoupling } from './couplings/conditional-hint-coupling.ts';
import { ConditionalTransform } from './couplings/conditional-transform.ts';
import { ConditionalGlowCoupling, GlowCoupling } from './couplings/glow-coupling.ts';
import { HintCoupling } from './couplings/hint-coupling.ts';
import { HyperbolicLayer } from './couplings/hyperbolic-layer.ts';
import { IrimCoupling } from './couplings/irim-coupling.ts';
import { Leapfrog } from './couplings/leapfrog.ts';
import { MaskedCoupling } from './couplings/masked-coupling.ts';
import { RecursiveCoupling } from './couplings/recursive-coupling.ts';
import { TransformerCoupling } from './couplings/transformer-coupling.ts';
import { TwoSidedCoupling } from './couplings/two-sided-coupling.ts';
import { activationTypes } from './elementwise/activation-types.ts';
import { Box } from './elementwise/box.ts';
import { CircularShift } from './elementwise/circular-shift.ts';
import { Elementwise } from './elementwise/elementwise.ts';
import { LearnedSlopes } from './elementwise/learned-slopes.ts';
import { Logit } from './elementwise/logit.ts';
import { Ordered } from './elementwise/ordered.ts';
import { StickBreaking } from './elementwise/stick-breaking.ts';
import { ActNorm } from './linear/act-norm.ts';
import { AffineLayer } from './linear/affine-layer.ts';
import { ConditionalHouseholder } from './linear/conditional-householder.ts';
import { Conv1x1 } from './linear/conv1x1.ts';
import { Householder } from './linear/householder.ts';
import { InvertibleBatchNorm } from './linear/invertible-batch-norm.ts';
import { Orthogonal } from './linear/orthogonal.ts';
import { Permutation } from './linear/permutation.ts';
import { Standardization } from './linear/standardization.ts';
import { InvertibleResidual } from './residual/invertible-residual.ts';
import { LipSwish } from './residual/lip-swish.ts';
import { LipschitzActivation } from './residual/lipschitz-activation.ts';
import { LipschitzBlock } from './residual/lipschitz-block.ts';
import { Planar } from './residual/planar.ts';
import { Radial } from './residual/radial.ts';
import { SpectralConv } from './residual/spectral-conv.ts';
import { SpectralDense } from './residual/spectral-dense.ts';
import { Sylvester } from './residual/sylvester.ts';
import { TriangularSylvester } from './residual/triangular-sylvester.ts';
import { HaarSqueeze } from './squeezes/haar-squeeze.ts';
import { ShuffleSqueeze } from './squeezes/shuffle-squeeze.ts';
import { WaveletSqueeze } from './squeezes/wavelet-squeeze.ts';
import { AdditiveTransformer } from './transformers/additive-transformer.ts';
import { AffineTransformer } from './transformers/affine-transformer.ts';
import { ElementwiseTransform } from './transformers/elementwise-transform.ts';
import { LinearSpline } from './transformers/linear-spline.ts';
import { QuadraticSpline } from './transformers/quadratic-spline.ts';
import { RationalQuadraticSpline } from './transformers/rational-quadratic-spline.ts';
import { ScalingTransformer } from './transformers/scaling-transformer.ts';
import { VolumePreservingTransformer } from './transformers/volume-preserving-transformer.ts';
import type { ModuleType } from './tree/module.ts';

/** The layers, conditioners and activations that `loadModel` and `build` may be passed. */
export const layerCatalogue: readonly ModuleType[] =
  // Pure, so that bundlers leave it out of a page that does not use it.
  /* @__PURE__ */ activationTypes.concat([
    Elementwise,
    Logit,
    Box,
    CircularShift,
    LearnedSlopes,
    Ordered,
    StickBreaking,
    ActNorm,
    AffineLayer,
    Conv1x1,
    Permutation,
    Householder,
    ConditionalHouseholder,
    Orthogonal,
    InvertibleBatchNorm,
    Standardization,
    ShuffleSqueeze,
    HaarSqueeze,
    WaveletSqueeze,
    AdditiveTransformer,
    AffineTransformer,
    ScalingTransformer,
    ElementwiseTransform,
    LinearSpline,
    QuadraticSpline,
    RationalQuadraticSpline,
    VolumePreservingTransformer,
    AsConditioner,
    BatchNorm,
    ConditionalResidualBlock,
    CustomBlock,
    DenseBlock,
    PeriodicFeatures,
    JoinedConditioners,
    ResNet,
    ResidualBlock,
    ScaledConditioner,
    SymmetricBlock,
    WithContext,
    ActivationLayer,
    Chain,
    DeepSet,
    InducedAttention,
    MultiHeadAttention,
    SetTransformer,
    Conv,
    ConvTranspose,
    Dense,
    LayerNorm,
    AveragePool,
    GlobalAveragePool,
    MaxPool,
    SkipConnection,
    UNet,
    Upsample,
    AxisHalves,
    ChannelHalves,
    CustomBijection,
    FirstHalf,
    Flattened,
    Identity,
    JoinedChannels,
    Parallel,
    Reshape,
    Reversed,
    Sequential,
    Swapped,
    Unflattened,
    AdditiveCoupling,
    AllInOneBlock,
    BasicCoupling,
    ConditionalGlowCoupling,
    ConditionalHintCoupling,
    ConditionalTransform,
    GlowCoupling,
    HintCoupling,
    HyperbolicLayer,
    IrimCoupling,
    Leapfrog,
    MaskedCoupling,
    RecursiveCoupling,
    Autoregressive,
    MadeBlock,
    TransformerCoupling,
    TwoSidedCoupling,
    InvertibleResidual,
    LipSwish,
    LipschitzActivation,
    LipschitzBlock,
    SpectralConv,
    SpectralDense,
    Planar,
    Radial,
    Sylvester,
    ConditionerField,
    SmoothField,
    ContinuousFlow,
    MidpointFlow,
    TriangularSylvester,
  ]);
