/** All types of this package and of those it is made from, for loading and building. */
import type { ModuleType } from '@invnet/layers';
import { networkCatalogue } from '@invnet/networks';
import { StandardNormal } from './bases/standard-normal.ts';
import { Flow } from './flow.ts';

/** The flows, networks, layers and activations that `loadModel` and `build` may be passed. */
export const flowCatalogue: readonly ModuleType[] =
  // Pure, so that bundlers leave it out of a page that does not use it.
  /* @__PURE__ */ networkCatalogue.concat([Flow, StandardNormal]);
