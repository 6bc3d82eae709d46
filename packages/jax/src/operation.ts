/** What `chain` puts between functions of jax-js: a function with derivatives of its own. */
import type { JaxTree } from './tree.ts';

/** A tree of arrays, or nothing where there may be none. */
export type Argument = JaxTree | undefined;

/**
 * Takes gradients back, as what jax-js's `vjp` gives: from those of the results, in the form of these, to those of
 * the arguments. It uses up what it is given, may be called again, and holds on to memory until `dispose()`.
 */
export interface Pullback<In extends readonly Argument[] = JaxTree[]> {
  (cotangents: JaxTree): In;
  dispose(): void;
}

/** A function of parameters and arrays, in the form of jax-js's transformations. */
export interface JaxOperation {
  /** The results alone. */
  apply(params: JaxTree, ...inputs: Argument[]): JaxTree;
  /** The results at [params, ...inputs], and their gradients' way back. */
  vjp(primals: readonly Argument[]): [JaxTree, Pullback<readonly Argument[]>];
  /** The results, and their derivatives along a direction. */
  jvp(primals: readonly Argument[], tangents: readonly Argument[]): [JaxTree, JaxTree];
}
