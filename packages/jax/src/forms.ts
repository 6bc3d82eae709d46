/**
 * How states and results of maps look as trees of arrays: a tensor is an array, a pair is a list of two, and a
 * network's result is [y, logdet], a flow's the log-density alone.
 */
import type { Flow } from '@invnet/flows';
import { type Pair, type State, tensorsOf } from '@invnet/layers';
import { add, formatValue, mul, ones, sumPerSample, type Tensor, ValueError } from '@invnet/tensor';
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
  values(y: S, logdet: Tensor, context: Tensor | undefined): Tensor[];
  /** Gradients of the values, taken back to y, logdet and the context. */
  pull(
    gradients: readonly Tensor[],
    y: S,
    context: Tensor | undefined,
  ): { dy: S; dlogdet: Tensor; dcontext?: Tensor };
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
export function flowEnding({ base }: Flow): Ending<Tensor, JaxArray> {
  const own = (context: Tensor | undefined) => (base.usesContext ? context : undefined);
  return {
    template: 'array',
    values: (y, logdet, context) => [add(base.logProb(y, own(context)), logdet)],
    pull: ([d], y, context) => {
      const { dz, dcontext } = base.backward(y, d!, own(context));
      return { dy: dz, dlogdet: d!, ...(dcontext && { dcontext }) };
    },
    push: (y, dy, dlogdet) => {
      if (base.usesContext || base.parameters.length > 0) {
        throw new ValueError(
          `toJax(Flow).jvp: its base, ${base.type}, has parameters or a context; expected vjp, or a base without.`,
        );
      }
      const { dz } = base.backward(y, ones([y.shape[0]!], y));
      return [add(sumPerSample(mul(dz, dy)), dlogdet)];
    },
    tree: ([logProb]) => logProb!,
  };
}
