/**
 * Models and functions of tfjs as conditioners, differentiated by tfjs: vjp by its gradients, and jvp
 * by their gradients, since vjp is linear in what it is applied to. tfjs keeps no record from one call
 * to the next, so `backward` evaluates the model again; nothing but the arguments is kept for it.
 */
import {
  Conditioner,
  Construction,
  Parameter,
  requireModuleOptions,
  type Tangent,
} from '@invnet/layers';
import {
  formatShape,
  InvNetError,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import * as tf from '@tensorflow/tfjs-core';
import { apart, fromHost, numbersOf, requireHost, requireHostTensor, toHost } from './exchange.ts';
import {
  isModel,
  requireFit,
  requireLive,
  requireSource,
  type TfjsFunction,
  type TfjsModel,
  variablesOf,
} from './source.ts';

/** A parameter, and the variable that follows it. */
interface Link {
  readonly parameter: Parameter;
  readonly variable: tf.Variable;
}

/** What blocks wrote into variables, or took from them: anything else came from tfjs. */
const known = new WeakSet<object>();

/** Which block wrote a variable last: copies of a block share its model, each with numbers of its own. */
const written = new WeakMap<tf.Variable, TfjsBlock>();

/** The arguments of a call: tensors of the caller, which live until `backward`. */
interface Arguments {
  readonly x: Tensor;
  readonly context: Tensor | undefined;
}

/**
 * A model or function of tfjs as a conditioner. Made by `fromTfjs`.
 *
 * Its weights are parameters here, which are the truth: they are trained, frozen, saved and loaded as any
 * others, and written into the variables of tfjs before these are used, when they have changed.
 */
export class TfjsBlock extends Conditioner<Arguments> {
  static readonly type: string = 'TfjsBlock';
  /** The weights of the model, in its order, or the variables of the function, by their names. */
  readonly weights: readonly Parameter[];
  readonly #model: TfjsModel | TfjsFunction;
  readonly #links: readonly Link[];
  /** Which parameters have changed since they were written. */
  readonly #changed = new Set<tf.Variable>();

  /** @throws as `fromTfjs` */
  constructor(options: { readonly model: TfjsModel | TfjsFunction }) {
    super();
    requireModuleOptions('fromTfjs', options, ['model']);
    requireHost('fromTfjs');
    this.#model = requireSource(options.model);
    using building = new Construction();
    this.#links = variablesOf(this.#model).map(([name, variable, trained]) => ({
      variable,
      parameter: new Parameter(name, tensor(numbersOf('fromTfjs', variable), variable.shape), {
        frozen: !trained,
        onChange: () => this.#changed.add(variable),
      }),
    }));
    this.weights = this.#links.map((l) => l.parameter);
    for (const { variable } of this.#links) known.add(variable.dataId);
    building.complete();
  }

  get options() {
    return { model: this.#model };
  }

  override get usesContext(): boolean {
    const model = this.#model;
    if (isModel(model)) return model.inputs.length > 1;
    return model.usesContext ?? model.apply.length > 1;
  }

  /** Takes over what tfjs has assigned to the weights, as `model.fit` and `model.setWeights` do. */
  pull(): void {
    for (const { parameter, variable } of this.#links) {
      if (known.has(variable.dataId)) continue;
      using numbers = tensor(numbersOf('TfjsBlock.pull', variable), variable.shape, parameter.data);
      parameter.assign(numbers);
      known.add(variable.dataId);
      this.#changed.delete(variable);
    }
  }

  protected apply(x: Tensor, context?: Tensor) {
    const y = this.#inHost('forward', () =>
      fromHost('TfjsBlock', this.#evaluate(x.shape[0]!, this.#given({ x, context })), x),
    );
    return { y, saved: { x, context } };
  }

  protected applyBackward(dy: Tensor, saved: Arguments) {
    const { x, context } = saved;
    const trained = this.#links.filter(({ parameter }) => !parameter.frozen);
    return this.#inHost('backward', () => {
      const given = this.#given(saved);
      const at = [...given, ...trained.map((l) => l.variable)];
      const grads = differentiate(
        'the model',
        () => this.#evaluate(x.shape[0]!, given),
        at,
        toHost('TfjsBlock', dy),
      );
      const here = (g: tf.Tensor | undefined, like: Tensor) =>
        g ? fromHost('TfjsBlock', g, like) : tensor(new Float32Array(like.size), like.shape, like);
      trained.forEach(({ parameter }, i) => {
        const g = grads[given.length + i];
        if (g) parameter.takeGrad(fromHost('TfjsBlock', g, parameter.data));
      });
      return {
        dx: here(grads[0], x),
        ...(given.length > 1 && context && { dcontext: here(grads[1], context) }),
      };
    });
  }

  /** @throws ValueError where tfjs cannot differentiate its own gradients of the model. */
  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    return this.#inHost('jvp', () => {
      const given = this.#given({ x, context });
      const value = this.#evaluate(x.shape[0]!, given);
      const moved: [tf.Tensor, Tensor | undefined][] = [
        [given[0]!, tangent.x],
        ...given.slice(1).map((c): [tf.Tensor, Tensor | undefined] => [c, tangent.context]),
        ...this.#links.map(({ parameter, variable }): [tf.Tensor, Tensor | undefined] => [
          variable,
          tangent.parameters?.get(parameter),
        ]),
      ];
      const along = moved.flatMap(([at, d]) => (d ? [{ at, d: toHost('TfjsBlock', d) }] : []));
      const y = fromHost('TfjsBlock', value, x);
      if (along.length === 0) return { y };
      // ⟨Jᵀu, d⟩ is linear in u, and its gradient is J d.
      const u = tf.zeros(value.shape);
      const product = () => {
        const grads = differentiate(
          'the model',
          () => this.#evaluate(x.shape[0]!, given),
          along.map(({ at }) => at),
          u,
        );
        const terms = along.map(({ d }, i) =>
          grads[i] ? tf.sum(tf.mul(grads[i], d)) : tf.scalar(0),
        );
        return tf.addN(terms);
      };
      const [dy] = differentiate('its gradients of the model, as a jvp needs', product, [u]);
      return dy ? { y, dy: fromHost('TfjsBlock', dy, x) } : { y };
    });
  }

  protected applyShape(x: Shape): Shape | undefined {
    const model = this.#model;
    if (!isModel(model)) return model.outputShape?.(x);
    requireFit('x', x, model.inputs[0]!.shape);
    const [, ...rest] = model.outputs[0]!.shape;
    const sizes = rest.flatMap((size) => (size === null ? [] : [size]));
    return sizes.length < rest.length ? undefined : [x[0]!, ...sizes];
  }

  /** The arguments in tfjs. @throws ValueError, ShapeError for a context that is missing, or does not fit. */
  #given({ x, context }: Arguments): tf.Tensor[] {
    const model = this.#model;
    if (this.usesContext && !context) {
      throw new ValueError('TfjsBlock: expected a context, got none.');
    }
    if (isModel(model) && context) requireFit('the context', context.shape, model.inputs[1]!.shape);
    return [x, ...(context && this.usesContext ? [context] : [])].map((t) =>
      toHost('TfjsBlock', t),
    );
  }

  /** y in tfjs. */
  #evaluate(samples: number, given: tf.Tensor[]): tf.Tensor {
    const result = requireHostTensor('TfjsBlock', 'what the model gives', this.#result(given));
    if (result.shape[0] === samples) return result;
    throw new ShapeError(
      `TfjsBlock: the model gives ${formatShape(result.shape)} for ${samples} samples; expected those along ` +
        'the first axis.',
    );
  }

  /** What the model gives, whatever that is. @throws ValueError where it fails. */
  #result(given: tf.Tensor[]): unknown {
    const model = this.#model;
    const [x, context] = given;
    try {
      if (isModel(model)) return model.apply(context ? given : x!, { training: false });
      return context ? model.apply(x!, context) : model.apply(x!);
    } catch (cause) {
      if (cause instanceof InvNetError || !(cause instanceof Error)) throw cause;
      const shapes = given.map((t) => formatShape(t.shape)).join(' and ');
      throw new ValueError(`TfjsBlock: the model failed for ${shapes}: ${cause.message}`, {
        cause,
      });
    }
  }

  /** Runs in tfjs, with the weights as the parameters are. */
  #inHost<T>(method: string, compute: () => T): T {
    requireHost(`TfjsBlock.${method}`);
    return apart(() => {
      for (const link of this.#links) this.#write(method, link);
      return compute();
    });
  }

  #write(method: string, { parameter, variable }: Link): void {
    requireLive(`TfjsBlock.${method}`, parameter.name, variable);
    if (!known.has(variable.dataId)) {
      throw new ValueError(
        `TfjsBlock.${method}: tfjs has assigned to '${parameter.name}' since; expected the parameter to be ` +
          'trained here, or `pull()` to take over what tfjs has.',
      );
    }
    if (this.#changed.has(variable) || written.get(variable) !== this) {
      variable.assign(toHost('TfjsBlock', parameter.data));
      known.add(variable.dataId);
      written.set(variable, this);
      this.#changed.delete(variable);
    }
  }
}

/**
 * A model or a function of tfjs as a conditioner: in a coupling, as a summary network, or wherever a block
 * stands. A model of two inputs, or a function of two arguments, gets the context as the second.
 *
 * Models are evaluated as in inference: dropout passes everything, batch normalization uses its moving
 * statistics, which are frozen parameters here. Tensors are as everywhere here, channels first.
 * With a name (see `named`) it can be saved.
 *
 * @throws ValueError for anything else, a model that is not built, or has stateful layers, more than two
 * inputs or several outputs. @throws DTypeError, DisposedError for weights that are not live float32.
 * @throws BackendError without a backend of tfjs that reads at once.
 * @example
 * const model = tf.sequential({
 *   layers: [
 *     tf.layers.dense({ units: 32, activation: 'tanh', inputShape: [1] }),
 *     tf.layers.dense({ units: 2 }),
 *   ],
 * });
 * const coupling = new GlowCoupling({ channels: 2, conditioner: fromTfjs(model) });
 */
export function fromTfjs(model: TfjsFunction): TfjsBlock;
export function fromTfjs(model: TfjsModel): TfjsBlock;
export function fromTfjs(model: TfjsModel | TfjsFunction): TfjsBlock {
  return new TfjsBlock({ model });
}

/** Gradients of ⟨y, dy⟩; undefined where y does not depend on it. @throws ValueError where tfjs has none. */
function differentiate(
  what: string,
  f: () => tf.Tensor,
  at: tf.Tensor[],
  dy?: tf.Tensor,
): readonly (tf.Tensor | undefined)[] {
  try {
    return tf
      .engine()
      .gradients(f, at, dy, true)
      .grads.map((g) => g ?? undefined);
  } catch (cause) {
    if (cause instanceof InvNetError || !(cause instanceof Error)) throw cause;
    throw new ValueError(`TfjsBlock: tfjs cannot differentiate ${what}: ${cause.message}`, {
      cause,
    });
  }
}
