/**
 * How states and results of maps look as trees of arrays: a tensor is an array, a pair is a list of two, and a
 * network's result is [y, logdet], a flow's the log-density alone.
 */
import type { BaseDistribution } from '@invnet/flows';
import { type Pair, perSample, type State, tensorsOf } from '@invnet/layers';
import { add, formatValue, mul, sumPerSample, type Tensor, ValueError } from '@invnet/tensor';
import type { JaxArray } from './arrays.ts';

/** A place of an array, or places in a list. */
export type Template = 'array' | readonly Template[];

/** The values at the places. @throws ValueError for what is not of that form. */
export function valuesAt(
  op: string,
  name: string,
  value: unknown,
  template: Template,
): { readonly name: string; readonly value: unknown }[] {
  if (template === 'array') return [{ name, value }];
  if (Array.isArray(value) && value.length === template.length) {
    return template.flatMap((part, i) => valuesAt(op, `${name}[${i}]`, value[i], part));
  }
  throw new ValueError(
    `${op}: ${name} is ${formatValue(value)}; expected a list of ${template.length}.`,
  );
}

/** A state as a tree of arrays. */
export interface StateForm<S extends State, X> {
  readonly template: Template;
  state(tensors: readonly Tensor[]): S;
  tree(arrays: readonly JaxArray[]): X;
}

export const tensorForm: StateForm<Tensor, JaxArray> = {
  template: 'array',
  state: ([x]) => x!,
  tree: ([x]) => x!,
};

export const pairForm: StateForm<Pair, [JaxArray, JaxArray]> = {
  template: ['array', 'array'],
  state: ([a, b]) => [a!, b!],
  tree: ([a, b]) => [a!, b!],
};

/** What a map's function gives of y and its log-determinant, and how that is differentiated. */
export interface Ending<S extends State, Out> {
  readonly template: Template;
  values(y: S, logdet: Tensor): Tensor[];
  /** Gradients of the values, taken back to y and logdet. */
  pull(gradients: readonly Tensor[], y: S): { dy: S; dlogdet: Tensor };
  /** Derivatives of the values along those of y and logdet. */
  push(y: S, dy: S, dlogdet: Tensor): Tensor[];
  tree(arrays: readonly JaxArray[]): Out;
}

/** [y, logdet] */
export function networkEnding<S extends State, X>(form: StateForm<S, X>): Ending<S, [X, JaxArray]> {
  return {
    template: [form.template, 'array'],
    values: (y, logdet) => [...tensorsOf(y), logdet],
    pull: (gradients) => ({ dy: form.state(gradients), dlogdet: gradients.at(-1)! }),
    push: (_, dy, dlogdet) => [...tensorsOf(dy), dlogdet],
    tree: (arrays) => [form.tree(arrays), arrays.at(-1)!],
  };
}

/** log p(x) = log p(y) + logdet */
export function flowEnding(base: BaseDistribution): Ending<Tensor, JaxArray> {
  return {
    template: 'array',
    values: (y, logdet) => [add(base.logProb(y), logdet)],
    pull: ([d], y) => ({ dy: mul(base.gradient(y), perSample(d!, y)), dlogdet: d! }),
    push: (y, dy, dlogdet) => [add(sumPerSample(mul(base.gradient(y), dy)), dlogdet)],
    tree: ([logProb]) => logProb!,
  };
}
