/** What `toJax` makes: a network as a function of jax-js's arrays. */
import type { JaxArray } from './arrays.ts';
import type { JaxOperation, Pullback } from './operation.ts';
import type { JaxTree } from './tree.ts';

/** The parameters of a network that are not frozen, by their paths. */
export type JaxParams = Record<string, JaxArray>;

/** A map's arguments: parameters, state and context. */
export type JaxPrimals<X> = readonly [params: JaxParams, x: X, context?: JaxArray];

/** Their gradients, that of the context where there is one. */
export type JaxGradients<X> = [params: JaxParams, x: X, context?: JaxArray];

/**
 * A network as a function of jax-js's arrays. Like functions there, its own use up what they are given, once it
 * was found right; only `.ref`s of an array can be used again.
 *
 * The numbers that the network has meanwhile are those of the last call: `params()` before, and `assign(params)`
 * after training carry them over. Gradients that its parameters have gathered stay as they are.
 */
export interface JaxMap<X extends JaxTree, Out extends JaxTree> extends JaxOperation {
  /** The network's parameters that are not frozen, in new arrays. */
  params(): JaxParams;
  /** Writes parameters into the network. */
  assign(params: JaxParams): void;
  apply(params: JaxParams, x: X, context?: JaxArray): Out;
  /**
   * The results, and the way back of their gradients. Until `dispose()` it keeps y, and a context: no state of
   * the layers between, whatever their number.
   */
  vjp(primals: JaxPrimals<X>): [Out, Pullback<JaxGradients<X>>];
  /** The results, and their derivatives along directions of all arguments. */
  jvp(primals: JaxPrimals<X>, tangents: JaxPrimals<X>): [Out, Out];
}
