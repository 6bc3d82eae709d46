/** InvNet and jax-js: networks of one as functions of the other, in both directions. */
export type { JaxArray } from './arrays.ts';
export { JaxError } from './arrays.ts';
export type { JaxChain, JaxStage } from './chain.ts';
export { chain } from './chain.ts';
export type { JaxBlockOptions, JaxFunction, JaxShapes } from './from-jax.ts';
export { fromJax, JaxBlock } from './from-jax.ts';
export type { JaxGradients, JaxMap, JaxParams, JaxPrimals } from './jax-map.ts';
export type { JaxOperation, Pullback } from './operation.ts';
export { toJax } from './to-jax.ts';
export type { JaxTree } from './tree.ts';
