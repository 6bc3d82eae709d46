/** The types of modules that posteriors are made of. */
import { flowCatalogue } from '@invnet/flows';
import type { ModuleType } from '@invnet/layers';
import { Likelihood } from './likelihoods/likelihood.ts';
import { Posterior } from './posteriors/posterior.ts';
import { TypicalObservations } from './posteriors/typical-observations.ts';
import { FeatureStandardization } from './summaries/feature-standardization.ts';

/**
 * All types of this package and those of flows, for files with posteriors and likelihoods.
 *
 * @example await loadModel('posterior.safetensors', { modules: inferenceCatalogue, as: Posterior })
 */
export const inferenceCatalogue: readonly ModuleType[] = [
  ...flowCatalogue,
  FeatureStandardization,
  Likelihood,
  Posterior,
  TypicalObservations,
];
