/**
 * Networks and flows as differentiable functions of tfjs. Between forward and backward tfjs keeps
 * the output, and nothing else: the invertible part recomputes its states, however deep it is.
 */
import { Flow } from '@invnet/flows';
import { Bijection, type Parameter } from '@invnet/layers';
import {
  currentPlacement,
  formatValue,
  type Placement,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import * as tf from '@tensorflow/tfjs-core';
import {
  fromHost,
  numbersOf,
  readNow,
  requireHost,
  requireHostTensor,
  toHost,
} from './exchange.ts';
import { Mirror } from './mirror.ts';

/** One direction of a bijection: what it does, and how it is differentiated from its result. */
interface Direction {
  readonly name: string;
  run(x: Tensor, context: Tensor | undefined): { state: Tensor; logdet: Tensor };
  back(
    state: Tensor,
    gradient: Tensor,
    options: { dlogdet: Tensor; context: Tensor | undefined },
  ): { gradient: Tensor; dcontext?: Tensor | undefined };
}

/** How variables are made of parameters. */
export type MakeVariable = (start: tf.Tensor, p: Parameter) => tf.Variable;

/**
 * A bijection as a differentiable function of tfjs, with its parameters as variables. Made by `toTfjs`.
 *
 * The variables are the truth: each call first brings over those that tfjs has assigned since. Call
 * `pull` before the network is used, saved or evaluated on this side, and `push` after it was changed
 * here.
 */
export class TfjsBijection implements Disposable {
  readonly network: Bijection;
  readonly #mirror: Mirror;

  constructor(map: Bijection | Flow, make: MakeVariable = (start) => tf.variable(start)) {
    this.network = networkOf('toTfjs', map);
    requireHost('toTfjs');
    this.#mirror = new Mirror('toTfjs', map, make);
  }

  /** The parameters as variables of tfjs, by their paths. */
  get variables(): ReadonlyMap<string, tf.Variable> {
    return this.#mirror.variables;
  }

  /**
   * y = f(x) and log|det ∂f/∂x|, [N]; both can be differentiated, in x, the context and the variables.
   *
   * @throws ValueError, DisposedError, DTypeError for what is no live float32 tensor of tfjs.
   * @throws ShapeError for one that the network does not take.
   * @throws BackendError where tfjs, or the network's backend, cannot be read at once.
   */
  forward(x: tf.Tensor, context?: tf.Tensor): { y: tf.Tensor; logdet: tf.Tensor1D } {
    const { network } = this;
    const { state, logdet } = this.#call(x, context, {
      name: 'forward',
      run: (x, context) => {
        const { y: state, logdet } = network.forward(x, context);
        return { state, logdet };
      },
      back: (y, dy, options) => {
        const { dx: gradient, dcontext } = network.backward(y, dy, options);
        return { gradient, dcontext };
      },
    });
    return { y: state, logdet };
  }

  /** x = f⁻¹(y) and log|det ∂f⁻¹/∂y|, [N]; differentiated as `forward` is. */
  inverse(y: tf.Tensor, context?: tf.Tensor): { x: tf.Tensor; logdet: tf.Tensor1D } {
    const { network } = this;
    const { state, logdet } = this.#call(y, context, {
      name: 'inverse',
      run: (y, context) => {
        const { x: state, logdet } = network.inverse(y, context);
        return { state, logdet };
      },
      back: (x, dx, options) => {
        const { dy: gradient, dcontext } = network.backwardInverse(x, dx, options);
        return { gradient, dcontext };
      },
    });
    return { x: state, logdet };
  }

  /** Brings the network's parameters up to date with the variables. */
  pull(): void {
    this.#mirror.pull();
  }

  /** Brings the variables up to date with the network's parameters, after those were changed on this side. */
  push(): void {
    this.#mirror.push();
  }

  /** Frees the variables. The network stays, with their last numbers. */
  dispose(): void {
    this.#mirror.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Where the network's numbers are. */
  protected get place(): Placement {
    return this.network.parameters[0]?.data ?? currentPlacement();
  }

  /** The variables, with the parameters that they are. */
  protected get trained(): Mirror['trained'] {
    return this.#mirror.trained;
  }

  #call(
    x: tf.Tensor,
    context: tf.Tensor | undefined,
    direction: Direction,
  ): { state: tf.Tensor; logdet: tf.Tensor1D } {
    const op = `toTfjs, ${direction.name}`;
    requireHost(op);
    requireHostTensor(op, 'the state', x);
    if (context !== undefined) requireHostTensor(op, 'the context', context);
    this.pull();
    const { place } = this;
    const trained = this.#mirror.trained;
    const inputs = [x, ...(context ? [context] : []), ...trained.map((t) => t.variable)];
    // Customized gradients are of one result, so the log-determinant is a second operation, on the first
    // one's result. Its gradient comes earlier, and waits here.
    let logdets: Float32Array = new Float32Array(0);
    let dlogdets: { readonly of: tf.Tensor; readonly numbers: Float32Array } | undefined;
    const state = tf.customGrad((...given) => {
      const save = given.at(-1);
      const [value, numbers] = tidy(() => {
        const here = context && fromHost(op, context, place);
        const { state, logdet } = direction.run(fromHost(op, x, place), here);
        return [toHost(op, state), readNow(op, logdet)] as const;
      });
      logdets = numbers;
      if (typeof save === 'function') save([value, ...(context ? [context] : [])]);
      const gradFunc = (dstate: tf.Tensor, [end, c]: tf.Tensor[]) =>
        tidy(() => {
          const back = () =>
            direction.back(fromHost(op, end!, place), fromHost(op, dstate, place), {
              dlogdet: tensor(
                dlogdets?.numbers ?? new Float32Array(x.shape[0]!),
                [x.shape[0]!],
                place,
              ),
              context: c && fromHost(op, c, place),
            });
          const { result, gradients } = gathered(
            op,
            trained.map((t) => t.parameter),
            back,
          );
          const dcontext = result.dcontext
            ? toHost(op, result.dcontext)
            : context && tf.zeros(context.shape);
          const all = [toHost(op, result.gradient), ...(dcontext ? [dcontext] : []), ...gradients];
          const from = [...inputs, dstate, ...(dlogdets ? [dlogdets.of] : [])];
          return all.map((gradient) => differentiatedOnce(op, gradient, from));
        });
      return { value, gradFunc };
    })(...inputs);
    const logdet = tf.customGrad<tf.Tensor1D>((_state) => ({
      value: tf.tensor1d(logdets),
      gradFunc: (dlogdet: tf.Tensor) => {
        dlogdets = { of: dlogdet, numbers: numbersOf(op, dlogdet) };
        return tf.zeros(state.shape);
      },
    }))(state);
    return { state, logdet };
  }
}

/** The network of a flow, or the map itself. @throws ValueError unless it is a map of tensors. */
export function networkOf(op: string, map: Bijection | Flow): Bijection {
  const network = map instanceof Flow ? map.network : map;
  if (!(network instanceof Bijection)) {
    throw new ValueError(`${op}: got ${formatValue(map)}; expected a bijection or a Flow.`);
  }
  if (network.stateSize === 1) return network;
  throw new ValueError(
    `${op}: ${network.type} is a map of pairs; expected one of tensors, as ChannelHalves or Flattened make ` +
      'of it.',
  );
}

/** A flow as a differentiable function of tfjs. Made by `toTfjs`. */
export class TfjsFlow extends TfjsBijection {
  readonly flow: Flow;

  constructor(flow: Flow, make?: MakeVariable) {
    super(flow, make);
    this.flow = flow;
  }

  /**
   * log p(x), or log p(x | context), per sample in nats, [N]; differentiated as `forward` is.
   *
   * @throws as `forward`
   * @example optimizer.minimize(() => tf.neg(tf.mean(flow.logProb(x))));
   */
  logProb(x: tf.Tensor, context?: tf.Tensor): tf.Tensor1D {
    return tf.tidy(() => {
      const { network, base } = this.flow;
      const own = network.usesContext || !base.usesContext ? context : undefined;
      const { y, logdet } = this.forward(x, own);
      return tf.add<tf.Tensor1D>(
        this.#baseLogProb(y, base.usesContext ? context : undefined),
        logdet,
      );
    });
  }

  #baseLogProb(z: tf.Tensor, context: tf.Tensor | undefined): tf.Tensor1D {
    const op = 'toTfjs, logProb';
    const { base } = this.flow;
    const { place } = this;
    if (context !== undefined) requireHostTensor(op, 'the context', context);
    const own = new Set(base.parameters.map((p) => p.identity));
    const trained = this.trained.filter(({ parameter }) => own.has(parameter.identity));
    const given = [z, ...(context ? [context] : [])];
    const inputs = [...given, ...trained.map((t) => t.variable)];
    return tf.customGrad<tf.Tensor1D>((...args) => {
      const save = args.at(-1);
      if (typeof save === 'function') save(given);
      const value = tf.tensor1d(
        tidy(() => {
          const here = context && fromHost(op, context, place);
          return readNow(op, base.logProb(fromHost(op, z, place), here));
        }),
      );
      const gradFunc = (d: tf.Tensor, [end, c]: tf.Tensor[]) =>
        tf.tidy(() => {
          const parameters = trained.map((t) => t.parameter);
          const { result, gradients } = gathered(op, parameters, () =>
            tidy(() => {
              const here = c && fromHost(op, c, place);
              const back = base.backward(fromHost(op, end!, place), fromHost(op, d, place), here);
              return {
                dz: toHost(op, back.dz),
                dcontext: back.dcontext && toHost(op, back.dcontext),
              };
            }),
          );
          const dcontext = context && (result.dcontext ?? tf.zeros(context.shape));
          const all = [result.dz, ...(dcontext ? [dcontext] : []), ...gradients];
          return all.map((gradient) => differentiatedOnce(op, gradient, [...inputs, d]));
        });
      return { value, gradFunc };
    })(...inputs);
  }
}

/** A gradient, computed here from these tensors. Without this tfjs would take its own gradients for zero. */
function differentiatedOnce(op: string, gradient: tf.Tensor, from: tf.Tensor[]): tf.Tensor {
  return tf.customGrad(() => ({
    value: gradient,
    gradFunc: () => {
      throw new ValueError(
        `${op}: tfjs asks for gradients of gradients, as a penalty on slopes needs; expected a loss without, ` +
          'since a network of InvNet has first derivatives in tfjs only.',
      );
    },
  }))(...from);
}

/** What `compute` adds to the gradients of parameters, for tfjs; they are as they were afterwards. */
function gathered<T>(op: string, parameters: readonly Parameter[], compute: () => T) {
  const before = parameters.map((p) => p.detachGrad());
  try {
    const result = compute();
    const gradients = parameters.map((p) => (p.grad ? toHost(op, p.grad) : tf.zeros([...p.shape])));
    return { result, gradients };
  } finally {
    parameters.forEach((p, i) => {
      p.zeroGrad();
      const grad = before[i];
      if (grad) p.attachGrad(grad);
    });
  }
}

/**
 * A flow, network or bijection as a differentiable function of tfjs, with its parameters as variables.
 *
 * @throws ValueError for anything else, a map of pairs, or a network that is in tfjs already.
 * @throws BackendError without a backend of tfjs, or for a network on one that cannot be read at once.
 * @example
 * using host = toTfjs(new Flow({ network: new Glow({ channels: 2, ndims: 0, scales: 1, steps: 4 }) }));
 * const optimizer = tf.train.adam(1e-2);
 * optimizer.minimize(() => tf.neg(tf.mean(host.logProb(x))));
 */
export function toTfjs(map: Flow): TfjsFlow;
export function toTfjs(map: Bijection): TfjsBijection;
export function toTfjs(map: Bijection | Flow): TfjsBijection {
  return map instanceof Flow ? new TfjsFlow(map) : new TfjsBijection(map);
}
