/** Watches which shapes modules give while `outputShape` is asked; for `summary`. */
import type { Shape } from '@invnet/tensor';
import type { Module } from './module.ts';

type AnyShape = Shape | readonly [Shape, Shape];

let trace: Map<Module, AnyShape> | undefined;

/** Called by modules with the shape that they give. */
export function traceShape(module: Module, shape: AnyShape): void {
  if (trace && !trace.has(module)) trace.set(module, shape);
}

/** The shapes that modules give while `ask` runs, each module's first. */
export function shapesGivenBy(ask: () => void): ReadonlyMap<Module, AnyShape> {
  const found = new Map<Module, AnyShape>();
  const outer = trace;
  trace = found;
  try {
    ask();
  } finally {
    trace = outer;
  }
  return found;
}
