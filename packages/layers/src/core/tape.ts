/**
 * Where calls pass by whoever keeps what they computed for their backward (`models/recording.ts`). Without
 * one nothing is kept, and backward recomputes: what a page that never keeps loads is this file alone.
 */
import type { Tensor } from '@invnet/tensor';
import type { Module } from '../tree/module.ts';
import { guarded } from './guard.ts';
import type { Evaluation } from './saved.ts';
import type { State } from './state.ts';

/** The map that a call computes or takes back: f, or its inverse. */
export type Way = 'forward' | 'inverse';

/** A bijection, as far as a tape knows it. */
export interface Mapping extends Module {
  /** See `Bijection.keepsInput`. */
  readonly keepsInput: boolean;
}

/** Evaluates a conditioner at x. */
export type Evaluate<K> = (x: Tensor, context?: Tensor) => Evaluation<K>;

/** What calls pass by. */
export interface Tape {
  /** A `forward` or `inverse` of the argument x, which `run` computes. */
  forth<R extends Partial<Record<'x' | 'y', State>>>(
    f: Mapping,
    way: Way,
    x: State,
    run: () => R,
  ): R;
  /** The backward of either, of the result y; `run` takes the argument, where it was kept. */
  back<S extends State, R>(f: Mapping, way: Way, y: S, run: (x?: S) => R): R;
  /** A conditioner's forward. */
  evaluate<K>(g: Module, x: Tensor, context: Tensor | undefined, run: Evaluate<K>): Evaluation<K>;
  /** A conditioner's backward. */
  evaluateBack<R>(run: () => R): R;
}

let tape: Tape | undefined;

/** Runs `fn`, whose calls pass by that tape, or by none. */
export function withTape<T>(next: Tape | undefined, fn: () => T): T {
  const outer = tape;
  tape = next;
  try {
    return fn();
  } finally {
    tape = outer;
  }
}

/** A guarded forward or inverse, of the argument x. */
export function forth<R extends Partial<Record<'x' | 'y', State>>>(
  f: Mapping,
  way: Way,
  x: State,
  body: (outermost: boolean) => R,
): R {
  const run = () => guarded(f, body);
  return tape ? tape.forth(f, way, x, run) : run();
}

/** A guarded backward of either, of the result y; it gets the argument, where that was kept. */
export function back<S extends State, R>(
  f: Mapping,
  way: Way,
  y: S,
  body: (outermost: boolean, x?: S) => R,
): R {
  const run = (x?: S) => guarded(f, (outermost) => body(outermost, x));
  return tape ? tape.back(f, way, y, run) : run();
}

/** A guarded forward of a conditioner. */
export function evaluation<K>(
  g: Module,
  x: Tensor,
  context: Tensor | undefined,
  body: (outermost: boolean, x: Tensor, context?: Tensor) => Evaluation<K>,
): Evaluation<K> {
  const run = (x: Tensor, context?: Tensor) =>
    guarded(g, (outermost) => body(outermost, x, context));
  return tape ? tape.evaluate(g, x, context, run) : run(x, context);
}

/** A guarded backward of a conditioner. */
export function evaluationBack<R>(g: Module, body: () => R): R {
  const run = () => guarded(g, body);
  return tape ? tape.evaluateBack(run) : run();
}
