/** Derivatives in the argument alone. */
import type { Module } from '@invnet/layers';

/** Runs `fn` while no parameter of the module gathers a gradient, as if all were frozen. */
export function withoutGradients<T>(module: Module, fn: () => T): T {
  const trained = module.parameters.filter((p) => !p.frozen);
  for (const p of trained) p.frozen = true;
  try {
    return fn();
  } finally {
    for (const p of trained) p.frozen = false;
  }
}
