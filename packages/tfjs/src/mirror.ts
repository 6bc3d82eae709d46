/** The parameters of a network as variables of tfjs, for optimizers of tfjs to train. */
import type { Module, Parameter } from '@invnet/layers';
import { DisposedError, tensor, ValueError } from '@invnet/tensor';
import * as tf from '@tensorflow/tfjs-core';
import { numbersOf, toHost } from './exchange.ts';

/** Parameters that are variables of tfjs already, by their identity. */
const mirrored = new WeakSet<Parameter>();

/** A parameter, and the variable that it follows. */
interface Link {
  readonly parameter: Parameter;
  readonly variable: tf.Variable;
  /** What the variable held when the two were last the same: tfjs gives new numbers a new one. */
  seen: object;
}

/**
 * One variable for each parameter. The variables are the truth: `pull` brings over those that were
 * assigned since, and no others. Numbers are held twice, in each of the memories.
 */
export class Mirror {
  readonly #op: string;
  readonly #links: readonly Link[];

  /** @throws ValueError for a parameter that is mirrored already. */
  constructor(op: string, module: Module, make: (start: tf.Tensor, p: Parameter) => tf.Variable) {
    this.#op = op;
    const { parameters } = module;
    const twice = parameters.find((p) => mirrored.has(p.identity));
    if (twice) {
      throw new ValueError(
        `${op}: parameter '${twice.name}' is a variable of tfjs already; expected one toTfjs or one layer ` +
          'for a network, or the other disposed before.',
      );
    }
    const starts: tf.Tensor[] = [];
    try {
      for (const p of parameters) starts.push(toHost(op, p.data));
      this.#links = parameters.map((parameter, i) => {
        const variable = make(starts[i]!, parameter);
        return { parameter, variable, seen: variable.dataId };
      });
    } finally {
      tf.dispose(starts);
    }
    for (const p of parameters) mirrored.add(p.identity);
  }

  /** The variables, by the paths of their parameters. */
  get variables(): ReadonlyMap<string, tf.Variable> {
    return new Map(this.#links.map(({ parameter, variable }) => [parameter.name, variable]));
  }

  /** Parameters that are trained, with their variables. */
  get trained(): readonly Pick<Link, 'parameter' | 'variable'>[] {
    return this.#links.filter(({ parameter }) => !parameter.frozen);
  }

  /** Brings the parameters up to date with the variables, and trains what is not frozen. @throws DisposedError */
  pull(): void {
    for (const link of this.#links) {
      const { parameter, variable } = link;
      this.#requireLive(link);
      variable.trainable = !parameter.frozen;
      if (variable.dataId === link.seen) continue;
      using numbers = tensor(numbersOf(this.#op, variable), parameter.shape, parameter.data);
      parameter.assign(numbers);
      link.seen = variable.dataId;
    }
  }

  /** Brings the variables up to date with the parameters. @throws DisposedError */
  push(): void {
    for (const link of this.#links) {
      this.#requireLive(link);
      const numbers = toHost(this.#op, link.parameter.data);
      link.variable.assign(numbers);
      numbers.dispose();
      link.seen = link.variable.dataId;
    }
  }

  /** Frees the variables; the parameters keep their last numbers, where those are left. */
  dispose(): void {
    if (this.#links.every(({ variable }) => !variable.isDisposed)) this.pull();
    for (const { parameter, variable } of this.#links) {
      mirrored.delete(parameter.identity);
      if (!variable.isDisposed) variable.dispose();
    }
  }

  #requireLive({ parameter, variable }: Link): void {
    if (!variable.isDisposed) return;
    throw new DisposedError(
      `${this.#op}: the variable of '${parameter.name}' was disposed; expected it to live as long ` +
        'as the network is used in tfjs.',
    );
  }
}
