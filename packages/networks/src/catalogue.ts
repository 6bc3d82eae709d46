/** All types of this package and of the layers, for loading and building. */
import { layerCatalogue, type ModuleType } from '@invnet/layers';
import { ConditionalGlow } from './conditional-glow.ts';
import { ConditionalHint, MultiScaleConditionalHint } from './conditional-hint.ts';
import { Glow } from './glow.ts';
import { GraphNetwork } from './graph/graph-network.ts';
import { HyperbolicNetwork } from './hyperbolic-network.ts';
import { InvertibleUNet } from './invertible-u-net.ts';
import { LearnedPrior } from './learned-prior.ts';
import { LearnedSqueeze } from './learned-squeeze.ts';
import { MisfitGradient } from './misfit-gradient.ts';
import { MultiScale } from './multi-scale.ts';
import { MultiScaleHint } from './multi-scale-hint.ts';
import { RevNet } from './rev-net.ts';
import { SummarizedNetwork } from './summarized-network.ts';
import { UnrolledLoop } from './unrolled-loop.ts';

/** The networks, layers and activations that `loadModel` and `build` may be passed. */
export const networkCatalogue: readonly ModuleType[] =
  // Pure, so that bundlers leave it out of a page that does not use it.
  /* @__PURE__ */ layerCatalogue.concat([
    Glow,
    ConditionalGlow,
    MultiScale,
    MultiScaleHint,
    ConditionalHint,
    MultiScaleConditionalHint,
    HyperbolicNetwork,
    InvertibleUNet,
    LearnedPrior,
    LearnedSqueeze,
    RevNet,
    GraphNetwork,
    SummarizedNetwork,
    MisfitGradient,
    UnrolledLoop,
  ]);
