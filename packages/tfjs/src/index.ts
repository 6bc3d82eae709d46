/** Networks of InvNet in TensorFlow.js, and functions of it in them. */
export { fromTfjs, TfjsBlock } from './from-tfjs.ts';
export type { TfjsFunction, TfjsModel } from './source.ts';
export { type TfjsBijection, type TfjsFlow, toTfjs } from './to-tfjs.ts';
