/**
 * The functions that `toJax` makes: arguments are checked and carried over, the network's six methods do the rest.
 * Nothing is used up before all was found right.
 */
import type { Flow } from '@invnet/flows';
import {
  type Bijection,
  type Parameter,
  ParameterMap,
  type State,
  sumOfTerms,
  tensorsOf,
} from '@invnet/layers';
import {
  currentPlacement,
  DisposedError,
  formatShape,
  formatValue,
  keep,
  type Placement,
  requireList,
  requireRecord,
  ShapeError,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import type { Device } from '@jax-js/jax';
import { free, type JaxArray, requireArray, requireEnough, toArrays, toTensor } from './arrays.ts';
import { type Ending, type StateForm, type Template, valuesAt } from './forms.ts';
import type { JaxGradients, JaxMap, JaxParams, JaxPrimals } from './jax-map.ts';
import type { Pullback } from './operation.ts';
import type { JaxTree } from './tree.ts';

/** Arguments that were found right. */
interface Given {
  readonly params: ReadonlyMap<Parameter, JaxArray>;
  /** The arrays of the state. */
  readonly x: readonly JaxArray[];
  readonly context: JaxArray | undefined;
}

/** A network, or a flow with one, and the forms of its states and results. */
export class NetworkMap<S extends State, X extends JaxTree, Out extends JaxTree>
  implements JaxMap<X, Out>
{
  readonly #of: Flow | Bijection<S>;
  readonly #network: Bijection<S>;
  readonly #form: StateForm<S, X>;
  readonly #ending: Ending<S, Out>;

  constructor(
    of: Flow | Bijection<S>,
    network: Bijection<S>,
    form: StateForm<S, X>,
    ending: Ending<S, Out>,
  ) {
    this.#of = of;
    this.#network = network;
    this.#form = form;
    this.#ending = ending;
  }

  params(): JaxParams {
    const trained = this.#trained();
    const arrays = toArrays(trained.map((p) => p.data));
    return Object.fromEntries(trained.map((p, i) => [p.name, arrays[i]!]));
  }

  assign(params: JaxParams): void {
    const given = this.#params(this.#op('assign'), 'params', params);
    requireEnough(this.#op('assign'), [...given.values()]);
    try {
      load(given);
    } finally {
      free(given.values());
    }
  }

  apply(params: JaxParams, x: X, context?: JaxArray): Out {
    const [out, back] = this.#vjp('apply', context ? [params, x, context] : [params, x]);
    back.dispose();
    return out;
  }

  vjp(primals: JaxPrimals<X>): [Out, Pullback<JaxGradients<X>>] {
    return this.#vjp('vjp', primals);
  }

  jvp(primals: JaxPrimals<X>, tangents: JaxPrimals<X>): [Out, Out] {
    const given = this.#given('jvp', 'primals', primals);
    const along = this.#given('jvp', 'tangents', tangents);
    requireEnough(this.#op('jvp'), [given, along].flatMap(arraysOf));
    const device = given.x[0]!.device;
    try {
      using made = new Disposables(
        tidy(() => {
          const [from, direction] = this.#moved(given, along);
          load(given.params);
          const { y, dy, logdet, dlogdet } = this.#network.jvp(
            from!.x,
            {
              x: direction!.x,
              parameters: new ParameterMap(
                [...along.params].map(([p, a]) => [p.identity, toTensor(a.ref, p.data)]),
              ),
              context: direction!.context,
            },
            from!.context,
          );
          return [
            ...this.#ending.values(y, logdet, from!.context),
            ...this.#ending.push(y, dy, dlogdet),
          ];
        }),
      );
      const arrays = toArrays(made.tensors, device);
      const half = arrays.length / 2;
      return [this.#ending.tree(arrays.slice(0, half)), this.#ending.tree(arrays.slice(half))];
    } finally {
      free(given.params.values());
      free(along.params.values());
    }
  }

  #vjp(method: string, primals: JaxPrimals<X>): [Out, Pullback<JaxGradients<X>>] {
    const given = this.#given(method, 'primals', primals);
    requireEnough(this.#op(method), arraysOf(given));
    const device = given.x[0]!.device;
    let kept: Tensor[] = [];
    const dispose = () => {
      for (const t of kept) t.dispose();
      free(given.params.values());
    };
    try {
      const { y, values, context } = tidy(() => {
        const [from] = this.#moved(given);
        load(given.params);
        const { context } = from!;
        const { y, logdet } = this.#network.forward(from!.x, this.#own(context));
        return { y, values: this.#ending.values(y, logdet, context), context };
      });
      kept = [...tensorsOf(y), ...(context ? [context] : [])].map(keep);
      using _ = new Disposables(values.filter((t) => !kept.includes(t)));
      const out = this.#ending.tree(toArrays(values, device));
      let done = false;
      const back = (cotangents: JaxTree) => {
        if (!done) return this.#pulled(given, y, context, cotangents, device);
        throw new DisposedError(`${this.#op('vjp')}: its pullback was used after its dispose().`);
      };
      return [
        out,
        Object.assign(back, {
          dispose: () => {
            if (!done) dispose();
            done = true;
          },
        }),
      ];
    } catch (error) {
      dispose();
      throw error;
    }
  }

  /** The gradients of the arguments, for those of the results. */
  #pulled(
    given: Given,
    y: S,
    context: Tensor | undefined,
    cotangents: JaxTree,
    device: Device,
  ): JaxGradients<X> {
    const op = this.#op('vjp');
    const gradients = this.#arrays(op, 'cotangents', cotangents, this.#ending.template);
    requireEnough(op, gradients);
    const parameters = [...given.params.keys()];
    const before = parameters.map((p) => p.detachGrad());
    try {
      using made = new Disposables(
        tidy(() => {
          const taken = tensorsFrom(gradients, this.#place);
          for (const [p, a] of given.params) if (sources.get(p.identity) !== a) loadOne(p, a);
          const { dy, dlogdet, dcontext: ofEnding } = this.#ending.pull(taken, y, context);
          const options = { dlogdet, context: this.#own(context) };
          const { dx, dcontext } = this.#network.backward(y, dy, options);
          const rest = context ? [sumOfTerms(context, ofEnding, dcontext)] : [];
          return [...tensorsOf(dx), ...rest];
        }),
      );
      for (const p of parameters) if (!p.grad) p.attachGrad(zerosLike(p.data));
      const all = [...parameters.map((p) => p.grad!), ...made.tensors];
      const arrays = toArrays(all, device);
      const own = parameters.map((p, i) => [p.name, arrays[i]!] as const);
      const rest = arrays.slice(parameters.length);
      const [dx, dcontext] = [this.#form.tree(rest), context && rest.at(-1)];
      const dparams: JaxParams = Object.fromEntries(own);
      return dcontext ? [dparams, dx, dcontext] : [dparams, dx];
    } finally {
      for (const [i, p] of parameters.entries()) {
        p.zeroGrad();
        if (before[i]) p.attachGrad(before[i]);
      }
    }
  }

  /** The context where the network uses it, or nothing does. */
  #own(context: Tensor | undefined): Tensor | undefined {
    return this.#network.usesContext || !this.#of.usesContext ? context : undefined;
  }

  #op(method: string): string {
    return `toJax(${this.#of.type}).${method}`;
  }

  #trained(): Parameter[] {
    return this.#of.parameters.filter((p) => !p.frozen);
  }

  /** The backend and type of the network's numbers. */
  get #place(): Placement {
    return this.#of.parameters[0]?.data ?? currentPlacement();
  }

  /** The arguments, checked: nothing is used up when one of them is wrong. */
  #given(method: string, name: string, primals: JaxPrimals<X>): Given {
    const op = this.#op(method);
    requireList(op, name, primals, 'a list [params, x, context]');
    const [params, x, context, ...more] = primals as readonly unknown[];
    if (primals.length < 2 || more.length > 0) {
      throw new ValueError(
        `${op}: ${name} are ${primals.length}; expected two or three, [params, x, context].`,
      );
    }
    return {
      params: this.#params(op, `${name}[0]`, params),
      x: this.#arrays(op, `${name}[1]`, x, this.#form.template),
      context:
        context === undefined ? context : this.#arrays(op, `${name}[2]`, context, 'array')[0],
    };
  }

  #params(op: string, name: string, params: unknown): Map<Parameter, JaxArray> {
    requireRecord(op, name, params, 'a record of arrays, as of params()');
    const trained = this.#trained();
    const names = new Set(trained.map((p) => p.name));
    const other = Object.keys(params).filter((key) => !names.has(key));
    const missing = trained.filter((p) => !(p.name in params));
    if (other.length + missing.length > 0) {
      const [what, which] = missing[0] ? ['has no', missing[0].name] : ['has an unknown', other[0]];
      throw new ValueError(
        `${op}: ${name} ${what} ${formatValue(which)}; expected the ${names.size} arrays that params() gives.`,
      );
    }
    const values = new Map<string, unknown>(Object.entries(params));
    return new Map(
      trained.map((p) => {
        const a = requireArray(op, `${name}.${p.name}`, values.get(p.name), [p.data.dtype]);
        if (formatShape(a.shape) === formatShape(p.shape)) return [p, a];
        throw new ShapeError(
          `${op}: ${name}.${p.name} is ${formatShape(a.shape)}; expected ${formatShape(p.shape)}.`,
        );
      }),
    );
  }

  #arrays(op: string, name: string, value: unknown, template: Template): JaxArray[] {
    const { dtype } = this.#place;
    return valuesAt(op, name, value, template).map((v) =>
      requireArray(op, v.name, v.value, [dtype]),
    );
  }

  /** States and contexts as tensors; their arrays are used up, those of all when one of them fails. */
  #moved(...list: readonly Given[]): { x: S; context: Tensor | undefined }[] {
    const place = this.#place;
    const arrays = list.flatMap(({ x, context }) => [...x, ...(context ? [context] : [])]);
    const tensors = tensorsFrom(arrays, place);
    return list.map(({ x, context }) => ({
      x: this.#form.state(tensors.splice(0, x.length)),
      context: context && tensors.shift(),
    }));
  }
}

/** The array that each parameter got its numbers from. */
const sources = new WeakMap<Parameter, JaxArray>();

/** Gives parameters their numbers; the arrays stay. */
function load(params: ReadonlyMap<Parameter, JaxArray>): void {
  for (const [p, a] of params) loadOne(p, a);
}

function loadOne(p: Parameter, a: JaxArray): void {
  sources.delete(p.identity);
  using numbers = toTensor(a.ref, p.data);
  p.data.swap(numbers);
  p.changed();
  sources.set(p.identity, a);
}

/** Tensors of arrays, all of which are used up. */
function tensorsFrom(arrays: readonly JaxArray[], place: Placement): Tensor[] {
  try {
    return tidy(() => arrays.map((a) => toTensor(a.ref, place)));
  } finally {
    free(arrays);
  }
}

function arraysOf({ params, x, context }: Given): JaxArray[] {
  return [...params.values(), ...x, ...(context ? [context] : [])];
}

/** Tensors that end with a block. */
class Disposables implements Disposable {
  readonly tensors: readonly Tensor[];

  constructor(tensors: readonly Tensor[]) {
    this.tensors = tensors;
  }

  [Symbol.dispose](): void {
    for (const t of this.tensors) t.dispose();
  }
}
