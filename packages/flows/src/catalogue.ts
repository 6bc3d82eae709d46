/** All types of this package and of those it is made from, for loading and building. */
import type { ModuleType } from '@invnet/layers';
import { networkCatalogue } from '@invnet/networks';
import { ClassConditional } from './bases/class-conditional.ts';
import { ConditionalNormal } from './bases/conditional-normal.ts';
import { MultivariateNormal } from './bases/multivariate-normal.ts';
import { Normal } from './bases/normal.ts';
import { NormalMixture } from './bases/normal-mixture.ts';
import { StandardNormal } from './bases/standard-normal.ts';
import { StudentT } from './bases/student-t.ts';
import { Uniform } from './bases/uniform.ts';
import { Flow } from './flow.ts';
import { MixtureFlow } from './mixture-flow.ts';
import { VariationalDequantization } from './variational-dequantization.ts';

/** The flows, networks, layers and activations that `loadModel` and `build` may be passed. */
export const flowCatalogue: readonly ModuleType[] =
  // Pure, so that bundlers leave it out of a page that does not use it.
  /* @__PURE__ */ networkCatalogue.concat([
    Flow,
    MixtureFlow,
    StandardNormal,
    Normal,
    MultivariateNormal,
    Uniform,
    NormalMixture,
    StudentT,
    ClassConditional,
    ConditionalNormal,
    VariationalDequantization,
  ]);
