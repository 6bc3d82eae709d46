/**
 * Functions of jax-js and networks of InvNet behind one another, differentiated as one: forward by jax-js's `vjp` and
 * ours, and back through their pullbacks. It stands where `grad` would, if jax-js took derivatives from its users.
 */
import { formatValue, requireList, ShapeError, ValueError } from '@invnet/tensor';
import { jvp, numpy as np, tree, vjp } from '@jax-js/jax';
import { hosted, isJaxValue, type JaxArray, requireArray, requireEnough } from './arrays.ts';
import type { Argument, JaxOperation, Pullback } from './operation.ts';
import { type JaxTree, mapTree } from './tree.ts';

/** A part of a chain: a function (params, ...inputs) of jax-js, or what `toJax` or `chain` made. */
export type JaxStage = JaxOperation | ((...args: never[]) => JaxTree);

/** Stages behind one another. What it is given is used up, as by functions of jax-js. */
export interface JaxChain extends JaxOperation {
  vjp(primals: readonly JaxTree[]): [JaxTree, Pullback];
  /**
   * The value, one number, and its gradient in the form of the parameters.
   *
   * @throws ShapeError when the last stage gives anything else than one number.
   */
  valueAndGrad<P extends JaxTree>(params: P, ...inputs: JaxTree[]): [value: JaxArray, gradient: P];
}

/**
 * The function (params, ...inputs) of stages behind one another, whose params are a list with those of each stage.
 * What a stage gives is the input of the next; a list is its inputs. A stage without parameters gets what stands in
 * its place, such as `[]`.
 *
 * @throws ValueError for a stage that is none. Its functions throw a `JaxError` where a function of jax-js does.
 * @example
 * const loss = chain(encoder, toJax(flow), (_: [], logProb: np.Array) => np.mean(logProb).neg());
 * const [value, gradient] = loss.valueAndGrad([tree.ref(weights), flow.params(), []], x);
 */
export function chain(...stages: readonly JaxStage[]): JaxChain {
  if (stages.length === 0) throw new ValueError('chain: got no stages; expected one or more.');
  return new Stages(stages.map(asOperation));
}

class Stages implements JaxChain {
  readonly #stages: readonly JaxOperation[];

  constructor(stages: readonly JaxOperation[]) {
    this.#stages = stages;
  }

  apply(params: JaxTree, ...inputs: JaxTree[]): JaxTree {
    const own = this.#params('apply', params, inputs);
    let values = inputs;
    let result: JaxTree = inputs;
    for (const [i, stage] of this.#stages.entries()) {
      result = stage.apply(own[i]!, ...values);
      values = inputsOf(result);
    }
    return result;
  }

  vjp(primals: readonly JaxTree[]): [JaxTree, Pullback] {
    requireList('chain.vjp', 'primals', primals, 'a list [params, ...inputs]');
    const [params = [], ...inputs] = primals;
    const own = this.#params('vjp', params, inputs);
    const backs: { back: Pullback<readonly Argument[]>; list: boolean }[] = [];
    const dispose = () => {
      for (const { back } of backs.splice(0)) back.dispose();
    };
    try {
      let values = inputs;
      let result: JaxTree = inputs;
      for (const [i, stage] of this.#stages.entries()) {
        const [value, back] = stage.vjp([own[i]!, ...values]);
        backs.push({ back, list: Array.isArray(value) });
        result = value;
        values = inputsOf(value);
      }
      return [result, Object.assign((d: JaxTree) => pulled(backs, d), { dispose })];
    } catch (error) {
      dispose();
      throw error;
    }
  }

  jvp(primals: readonly JaxTree[], tangents: readonly JaxTree[]): [JaxTree, JaxTree] {
    requireList('chain.jvp', 'primals', primals, 'a list [params, ...inputs]');
    requireList('chain.jvp', 'tangents', tangents, 'a list [params, ...inputs]');
    const [params = [], ...inputs] = primals;
    const [dparams = [], ...dinputs] = tangents;
    const [own, along] = [
      this.#params('jvp', params, inputs),
      this.#params('jvp', dparams, dinputs),
    ];
    let [result, direction]: [JaxTree, JaxTree] = [inputs, dinputs];
    for (const [i, stage] of this.#stages.entries()) {
      [result, direction] = stage.jvp(
        [own[i]!, ...inputsOf(result)],
        [along[i]!, ...inputsOf(direction)],
      );
    }
    return [result, direction];
  }

  valueAndGrad<P extends JaxTree>(params: P, ...inputs: JaxTree[]): [JaxArray, P] {
    const [value, back] = this.vjp([params, ...inputs]);
    try {
      const number = requireNumber(value);
      const [gradient, ...rest] = back(np.ones([], { dtype: number.dtype }));
      for (const d of rest) tree.dispose(d);
      // Gradients have the form of what they are of.
      return [number, gradient as P];
    } finally {
      back.dispose();
    }
  }

  /** The parameters of each stage. Arrays are checked here, before any stage uses one up. */
  #params(method: string, params: JaxTree, inputs: readonly JaxTree[]): readonly JaxTree[] {
    const op = `chain.${method}`;
    const arrays: JaxArray[] = [];
    for (const [name, given] of [['params', params] as const, ['inputs', inputs] as const]) {
      mapTree(op, given, (leaf, keys) => {
        arrays.push(requireArray(op, [name, ...keys].join('.'), leaf));
      });
    }
    requireEnough(op, arrays);
    if (Array.isArray(params) && params.length === this.#stages.length) return params;
    const came = Array.isArray(params) ? `those of ${params.length}` : formatValue(params);
    throw new ValueError(
      `${op}: params are ${came}; expected a list with those of ${this.#stages.length} stages.`,
    );
  }
}

/** Gradients, taken back through all stages. */
function pulled(
  backs: readonly { back: Pullback<readonly Argument[]>; list: boolean }[],
  cotangents: JaxTree,
): JaxTree[] {
  const params: JaxTree[] = [];
  let d = cotangents;
  let inputs: JaxTree[] = [];
  for (let i = backs.length - 1; i >= 0; i--) {
    const [dparams = [], ...rest] = backs[i]!.back(d);
    params.unshift(dparams);
    inputs = present(rest);
    d = backs[i - 1]?.list === false ? inputs[0]! : inputs;
  }
  return [params, ...inputs];
}

function inputsOf(result: JaxTree): JaxTree[] {
  return Array.isArray(result) ? result : [result];
}

function present(values: readonly Argument[]): JaxTree[] {
  return values.flatMap((v) => (v === undefined ? [] : [v]));
}

function asOperation(stage: JaxStage, i: number): JaxOperation {
  if (typeof stage === 'function') {
    // What goes into it is for its author to know.
    const f = stage as (...args: JaxTree[]) => JaxTree;
    const what = stage.name === '' ? `stage ${i}` : stage.name;
    return {
      apply: (...args) => hosted('chain', what, () => f(...present(args))),
      vjp: (primals) => hosted('chain', what, () => vjp(f, present(primals))),
      jvp: (primals, tangents) =>
        hosted('chain', what, () => jvp(f, present(primals), present(tangents))),
    };
  }
  if (typeof stage?.vjp === 'function' && typeof stage.jvp === 'function') return stage;
  throw new ValueError(
    `chain: stage ${i} is ${formatValue(stage)}; expected a function of jax-js, or what toJax gives.`,
  );
}

/** @throws ShapeError unless a loss is one number. */
function requireNumber(value: JaxTree): JaxArray {
  if (isJaxValue(value) && value.shape.length === 0) return value;
  const came = isJaxValue(value) ? `[${value.shape.join(', ')}]` : formatValue(value);
  tree.dispose(value);
  throw new ShapeError(`chain.valueAndGrad: the last stage gave ${came}; expected one number, [].`);
}
