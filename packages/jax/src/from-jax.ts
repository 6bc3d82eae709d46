/**
 * From jax-js to InvNet: a function there as a conditioner here. It is differentiated by jax-js's own `vjp` and
 * `jvp`; its parameters become parameters of ours, which train, freeze and save like any.
 *
 * Left out: `jit`, which is the caller's to put around the function where it helps.
 */
import {
  Construction,
  CustomBlock,
  type Options,
  Parameter,
  requireModuleOptions,
  type Tangent,
} from '@invnet/layers';
import {
  checkShape,
  formatShape,
  formatValue,
  requireBoolean,
  requireFunction,
  type Shape,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { jvp, vjp } from '@jax-js/jax';
import {
  hosted,
  isJaxValue,
  type JaxArray,
  release,
  requireArray,
  requireEnough,
  still,
  toArray,
  toArrays,
  toTensor,
} from './arrays.ts';
import { type JaxTree, mapTree } from './tree.ts';

/** y = g(params, x), or g(params, x, context). It uses up what it is given, as all functions of jax-js do. */
export type JaxFunction<P extends JaxTree = JaxTree> = (
  params: P,
  x: JaxArray,
  context: JaxArray,
) => JaxArray;

/** What a `JaxBlock` is made of. */
export interface JaxBlockOptions<P extends JaxTree = JaxTree> {
  readonly g: JaxFunction<P>;
  /** Where the parameters start, used up; in files their shapes, as texts, of parameters that are zero. */
  readonly params: P | JaxShapes;
  /** Does g take a context? Default: where it has three arguments, which a function under `jit` does not show. */
  readonly usesContext?: boolean;
}

/** A tree of shapes, as `'[2, 3]'`. */
export type JaxShapes = string | readonly JaxShapes[] | { readonly [key: string]: JaxShapes };

/** What is kept from forward to backward: jax-js's residuals. */
interface SavedByJax {
  readonly back: (dy: JaxArray) => JaxArray[];
  dispose(): void;
}

/**
 * A function of jax-js, g(params, x) or g(params, x, context), as a conditioner: of a coupling, as a summary
 * network, as a link. Its parameters are named by their places, `layers.0.w`; jax-js runs on its default device, on
 * numbers of the backend's type.
 *
 * With a name (see `named`) it can be saved; who loads it passes `JaxBlock` among the modules.
 *
 * @param params - where the parameters start, used up: an array, or lists and records of arrays.
 * @throws ValueError, DTypeError, DisposedError for params that are no tree of arrays of floats that are there.
 * Its methods throw a `JaxError` where g throws, and a `BackendError` where one side cannot be read at once.
 * @example
 * const g = (p: { w: np.Array; b: np.Array }, x: np.Array) => np.tanh(np.dot(x, p.w).add(p.b));
 * const params = { w: random.normal(random.key(1), [1, 2]), b: np.zeros([2]) };
 * new GlowCoupling({ channels: 2, ndims: 0, conditioner: fromJax(g, params) });
 */
export function fromJax<P extends JaxTree>(
  g: JaxFunction<P>,
  params: P,
  options: Pick<JaxBlockOptions<P>, 'usesContext'> = {},
): JaxBlock<P> {
  requireModuleOptions('fromJax', options, ['usesContext']);
  return new JaxBlock({ g, params, ...options });
}

/** What `fromJax` makes. */
export class JaxBlock<P extends JaxTree = JaxTree> extends CustomBlock<SavedByJax> {
  static override readonly type: string = 'JaxBlock';
  readonly #options: Options;

  constructor(options: JaxBlockOptions<P>) {
    requireModuleOptions('fromJax', options, ['g', 'params', 'usesContext']);
    const { g, params, usesContext } = options;
    requireFunction('fromJax', 'g', g, 'a function (params, x) => y of jax-js');
    if (usesContext !== undefined) requireBoolean('fromJax', 'usesContext', usesContext);
    using building = new Construction();
    const { shapes, parameters } = parametersOf(params);
    super(partsOf(g, shapes, parameters, usesContext ?? g.length > 2));
    this.#options = { g, params: shapes, ...(usesContext !== undefined && { usesContext }) };
    building.complete();
  }

  override get options(): Options {
    return this.#options;
  }
}

/** Parameters of the numbers of a tree, and the tree of their shapes. */
function parametersOf(params: unknown): { shapes: unknown; parameters: Parameter[] } {
  const found: { keys: readonly string[]; start: JaxArray | Shape }[] = [];
  const shapes = mapTree('fromJax', params, (leaf, keys) => {
    const start =
      typeof leaf === 'string'
        ? shapeFrom(leaf)
        : requireArray('fromJax', ['params', ...keys].join('.'), leaf, ['float32', 'float64']);
    found.push({ keys: keys.length > 0 ? keys.map(requireKey) : ['params'], start });
    return formatShape('shape' in start ? start.shape : start);
  });
  requireEnough(
    'fromJax',
    found.flatMap(({ start }) => ('shape' in start ? [start] : [])),
  );
  const parameters = found.map(({ keys, start }) => {
    const data = 'shape' in start ? toTensor(start) : zeros(start);
    // A parameter's own name has no dots; its path is another name of it.
    return new Parameter(keys.join('.'), new Parameter(keys.at(-1)!, data));
  });
  return { shapes, parameters };
}

function requireKey(key: string): string {
  if (/^[^.$/]+$/.test(key) && key !== '__proto__') return key;
  throw new ValueError(
    `fromJax: a key of params is ${formatValue(key)}; expected a text without '.', '$' and '/'.`,
  );
}

function shapeFrom(text: string): Shape {
  if (/^\[[\d, ]*\]$/.test(text)) return checkShape('fromJax', JSON.parse(text));
  throw new ValueError(`fromJax: got ${formatValue(text)} in params; expected arrays of jax-js.`);
}

/** The three functions of the block. */
function partsOf<P extends JaxTree>(
  g: JaxFunction<P>,
  shapes: unknown,
  parameters: readonly Parameter[],
  usesContext: boolean,
) {
  const what = g.name === '' ? 'the function' : g.name;
  /** g, of its arguments one behind the other: parameters, x and the context. */
  const flat = (...values: JaxArray[]): JaxArray => {
    let next = 0;
    const params = mapTree('fromJax', shapes, () => values[next++]!);
    const [x, context] = values.slice(next);
    const call = g as (params: JaxTree, ...rest: JaxArray[]) => JaxArray;
    return requireOne(what, context ? call(params, x!, context) : call(params, x!));
  };
  const contextOf = (context: Tensor | undefined): Tensor[] => {
    if (!usesContext) return [];
    if (context) return [context];
    throw new ValueError(`fromJax: ${what} needs a context; got none.`);
  };
  return {
    forward(x: Tensor, context?: Tensor) {
      const given = toArrays([...parameters.map((p) => p.data), x, ...contextOf(context)]);
      try {
        const [y, back] = hosted('fromJax', what, () => vjp(flat, given));
        const dispose = () => {
          back.dispose();
          // What g has not used up, as it should.
          release(given);
        };
        try {
          return { y: taken(what, y, x), saved: { back, dispose } };
        } catch (error) {
          back.dispose();
          throw error;
        }
      } catch (error) {
        release(given);
        throw error;
      }
    },
    backward(dy: Tensor, { back }: SavedByJax) {
      const gradients = hosted('fromJax', `the vjp of ${what}`, () => back(toArray(dy)));
      try {
        for (const [i, p] of parameters.entries()) {
          if (!p.frozen) p.takeGrad(toTensor(gradients[i]!, dy));
        }
        const [dx, dcontext] = gradients.slice(parameters.length).map((d) => toTensor(d, dy));
        return { dx: dx!, ...(dcontext && { dcontext }) };
      } finally {
        // Those of frozen parameters; all that are left when memory ends.
        release(gradients);
      }
    },
    jvp(x: Tensor, tangent: Tangent, context?: Tensor) {
      const contexts = contextOf(context);
      const from = [...parameters.map((p) => p.data), x, ...contexts];
      const along = [
        ...parameters.map((p) => tangent.parameters?.get(p)),
        tangent.x,
        ...contexts.map(() => tangent.context),
      ];
      const primals = toArrays(from);
      const given = [...primals];
      try {
        const tangents = along.map((t, i) => {
          const made = t ? toArray(t) : still(primals[i]!);
          given.push(made);
          return made;
        });
        const [y, dy] = hosted('fromJax', what, () => jvp(flat, primals, tangents));
        return { y: taken(what, y, x), dy: taken(what, dy, x) };
      } finally {
        release(given);
      }
    },
    parameters,
    usesContext,
  };
}

/** What g gave, as a tensor like x. @throws DTypeError where it is of another type. */
function taken(what: string, y: JaxArray, x: Tensor): Tensor {
  try {
    return toTensor(requireArray('fromJax', `the result of ${what}`, y, [x.dtype]), x);
  } catch (error) {
    release([y]);
    throw error;
  }
}

/** @throws ValueError unless g gave one array. */
function requireOne(what: string, y: JaxArray): JaxArray {
  if (isJaxValue(y)) return y;
  throw new ValueError(`fromJax: ${what} gave ${formatValue(y)}; expected one array of jax-js.`);
}
