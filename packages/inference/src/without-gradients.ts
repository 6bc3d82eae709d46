/** Derivatives in parameters of a model, and in observations: those in the weights of networks are not wanted. */
import type { Module } from '@invnet/layers';

/**
 * Runs `fn` while no weight of the module gathers a gradient, as if all were frozen. It does not wait for anything, so that
 * searches and chains of one flow may run at the same time.
 */
export function withoutGradients<T>(module: Module, fn: () => T): T {
  const trained = module.parameters.filter((p) => !p.frozen);
  for (const p of trained) p.frozen = true;
  try {
    return fn();
  } finally {
    for (const p of trained) p.frozen = false;
  }
}
