/** Networks of invertible layers. */
export { compose, FirstHalf, reverse, Sequential } from '@invnet/layers';
export { networkCatalogue } from './catalogue.ts';
export type { ConditionalGlowOptions } from './conditional-glow.ts';
export { ConditionalGlow } from './conditional-glow.ts';
export type {
  ConditionalHintOptions,
  MultiScaleConditionalHintOptions,
} from './conditional-hint.ts';
export { ConditionalHint, MultiScaleConditionalHint } from './conditional-hint.ts';
export type { GlowOptions } from './glow.ts';
export { Glow } from './glow.ts';
export type {
  ConditionPort,
  GraphBuilder,
  GraphPort,
  NodeOptions,
  SplitOptions,
  StatePort,
} from './graph/builder.ts';
export { graph } from './graph/builder.ts';
export type { GraphSide } from './graph/graph-network.ts';
export { GraphNetwork } from './graph/graph-network.ts';
export { graphSvg } from './graph/graph-svg.ts';
export type { GraphNode } from './graph/nodes.ts';
export type {
  GraphBackwardOptions,
  GraphDerivatives,
  GraphTangent,
  Tensors,
} from './graph/records.ts';
export type { HyperbolicNetworkOptions, HyperbolicStage } from './hyperbolic-network.ts';
export { HyperbolicNetwork } from './hyperbolic-network.ts';
export type { InvertibleUNetOptions } from './invertible-u-net.ts';
export { InvertibleUNet } from './invertible-u-net.ts';
export type { LatentPlace } from './latent-prior.ts';
export { LatentPrior } from './latent-prior.ts';
export type { LearnedPriorOptions } from './learned-prior.ts';
export { LearnedPrior } from './learned-prior.ts';
export type { LearnedSqueezeOptions } from './learned-squeeze.ts';
export { LearnedSqueeze } from './learned-squeeze.ts';
export type { MaskedAutoregressiveFlowOptions } from './masked-autoregressive-flow.ts';
export { maskedAutoregressiveFlow } from './masked-autoregressive-flow.ts';
export type {
  ForwardOperator,
  LinearForwardOperator,
  MisfitGradientOptions,
  NonlinearForwardOperator,
} from './misfit-gradient.ts';
export { MisfitGradient } from './misfit-gradient.ts';
export type { MultiScaleOptions, MultiScaleSizes } from './multi-scale.ts';
export { MultiScale } from './multi-scale.ts';
export type { MultiScaleHintOptions } from './multi-scale-hint.ts';
export { MultiScaleHint } from './multi-scale-hint.ts';
export type { RevNetOptions } from './rev-net.ts';
export { RevNet } from './rev-net.ts';
export type { SummarizedNetworkParts } from './summarized-network.ts';
export { SummarizedNetwork } from './summarized-network.ts';
export type { UnrolledLoopOptions } from './unrolled-loop.ts';
export { UnrolledLoop } from './unrolled-loop.ts';
