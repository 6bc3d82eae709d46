/** Norms of weights that came from elsewhere than from training steps. */
import { requireOptions } from '@invnet/tensor';
import { requireRepeats } from '../core/checks.ts';
import { type Module, placesIn, requireModule } from '../tree/module.ts';
import { SpectralLayer } from './spectral-layer.ts';

/**
 * Takes steps of the power iteration in all spectral layers of a network. Training steps do that themselves; it is for
 * weights that were assigned, or are trained in a loop without a `TrainingStep`.
 *
 * @throws ValueError unless it is a number of iterations.
 * @example updateLipschitz(flow, { iterations: 50 });
 */
export function updateLipschitz(
  network: Module,
  options: { readonly iterations?: number } = {},
): void {
  requireModule('updateLipschitz', network);
  requireOptions('updateLipschitz', options, ['iterations']);
  const { iterations = 30 } = options;
  requireRepeats('updateLipschitz', 'iterations', iterations);
  for (const { module } of placesIn(network)) {
    if (module instanceof SpectralLayer) module.updateNorm(iterations);
  }
}
