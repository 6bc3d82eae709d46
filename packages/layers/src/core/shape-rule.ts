/** Shapes that modules give for those that they take: asked at every call, so the last answer is kept. */

import type { Module } from '../tree/module.ts';
import { traceErrors } from './guard.ts';
import { type AnyShape, sameShape } from './state.ts';

/** A rule from the shape of an argument to that of a result, with the last answer it gave. */
export class ShapeRule<X extends AnyShape, Y extends AnyShape | undefined> {
  #last: { readonly x: X; readonly y: Y } | undefined;

  /** What `rule` gives for x; `module` stands in its errors, and in a trace that is under way. */
  of(x: X, module: Module, rule: () => Y): Y {
    if (!trace && this.#last && sameShape(x, this.#last.x)) return this.#last.y;
    const y = traceErrors(module, rule);
    this.#last = { x, y };
    if (y && trace && !trace.has(module)) trace.set(module, y);
    return y;
  }
}

let trace: Map<Module, AnyShape> | undefined;

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
