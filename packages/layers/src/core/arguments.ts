/** Checks of what comes from outside: states, gradients, directions and contexts. */
import {
  add,
  formatShape,
  formatValue,
  requireOptions,
  requireTensor,
  type Shape,
  ShapeError,
  sum,
  Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type Parameter, ParameterMap, requireParameters } from '../tree/parameter.ts';
import {
  type AnyShape,
  formatStateShape,
  type State,
  sameShape,
  shapeOf,
  shapesIn,
  tensorsOf,
} from './state.ts';
import type { Tangent } from './tangent.ts';

/** The method that checks, a module's or one of its hooks; or a function. Named in messages only. */
export type Call =
  | readonly [module: { readonly type: string }, method: string]
  | readonly [name: string];

function nameOf(at: Call): string {
  return at.length === 1 ? at[0] : `${at[0].type}.${at[1]}`;
}

/** @throws ValueError unless it is a tensor, or a pair. @throws ShapeError for pairs of two batch sizes. */
export function requireState(at: Call, state: unknown, size: 1 | 2): asserts state is State {
  if (size === 1 && state instanceof Tensor && state.rank > 0) return;
  const tensors: readonly unknown[] = Array.isArray(state) ? state : [state];
  const kind = (count: number) => (count === 1 ? 'a tensor' : 'a pair of tensors');
  const right = size === 1 ? !Array.isArray(state) : tensors.length === 2;
  if (!right || !tensors.every((t) => t instanceof Tensor)) {
    const came = tensors.every((t) => t instanceof Tensor)
      ? kind(tensors.length)
      : formatValue(state);
    throw new ValueError(`${nameOf(at)}: got ${came}; expected ${kind(size)}.`);
  }
  const [first, second] = tensors as Tensor[];
  if (first!.rank === 0 || (second && second.shape[0] !== first!.shape[0])) {
    throw new ShapeError(
      `${nameOf(at)}: got ${formatStateShape(shapeOf(state as State))}; expected samples along the first axis` +
        `${second ? ', as many in both' : ''}.`,
    );
  }
}

/** @throws ShapeError unless a gradient or a direction has the shape of its state. */
export function requireStateShape(at: Call, what: string, found: State, like: State): void {
  const [came, expected] = [shapeOf(found), shapeOf(like)];
  if (sameShape(came, expected)) return;
  throw new ShapeError(
    `${nameOf(at)}: ${what} is ${formatStateShape(came)}; expected ${formatStateShape(expected)}.`,
  );
}

/** @throws ShapeError unless the shape is the one expected. */
export function requireShape(at: Call, what: string, found: Tensor, expected: Shape): void {
  if (found instanceof Tensor && sameShape(found.shape, expected)) return;
  requireTensor(nameOf(at), found, what);
  throw new ShapeError(
    `${nameOf(at)}: ${what} is ${formatShape(found.shape)}; expected ${formatShape(expected)}.`,
  );
}

/** What a hook made, to be taken apart. @throws ValueError for what is no record. */
export function madeBy<T extends object>(at: Call, made: T): T {
  if (typeof made === 'object' && made !== null) return made;
  throw new ValueError(
    `${nameOf(at)}: its hook gave ${formatValue(made)}; expected a record of its results.`,
  );
}

/** @throws ValueError, ShapeError unless what a hook made is a state of the shape expected. */
export function requireResult(at: Call, what: string, found: unknown, expected: AnyShape): void {
  if (found instanceof Tensor && sameShape(found.shape, expected)) return;
  const shapes = shapesIn(expected);
  const tensors: readonly unknown[] = Array.isArray(found) ? found : [found];
  if (tensors.length !== shapes.length || !tensors.every((t) => t instanceof Tensor)) {
    const kind = shapes.length === 1 ? 'a tensor' : 'a pair of tensors';
    throw new ValueError(
      `${nameOf(at)}: its hook gave ${what} as ${typeof found}; expected ${kind}, ` +
        `${formatStateShape(expected)}.`,
    );
  }
  if (tensors.every((t, i) => sameShape(t.shape, shapes[i]!))) return;
  const came = tensors.map((t) => formatShape(t.shape)).join(', ');
  throw new ShapeError(
    `${nameOf(at)}: its hook gave ${what} of shape ${came}; expected ${formatStateShape(expected)}.`,
  );
}

/** The context of each sample; one context for many samples is repeated. @throws as `requireContext` */
export function contextFor(at: Call, used: boolean, state: State, context: Tensor): Tensor {
  requireContext(at, used, state, context);
  const [samples] = tensorsOf(state)[0]!.shape;
  const [contexts, ...rest] = context.shape;
  if (contexts === samples) return context;
  return add(zeros([samples!, ...rest], context), context);
}

/**
 * @throws ValueError for a context that nothing uses. @throws ShapeError unless it has as many samples as
 * the state, or one.
 */
export function requireContext(at: Call, used: boolean, state: State, context: Tensor): void {
  if (!(context instanceof Tensor)) {
    throw new ValueError(
      `${nameOf(at)}: the context is ${formatValue(context)}; expected a tensor.`,
    );
  }
  if (!used) {
    throw new ValueError(
      `${nameOf(at)}: got a context ${formatShape(context.shape)}, but nothing here uses one; expected ` +
        'none, or a conditional network.',
    );
  }
  const [samples] = tensorsOf(state)[0]!.shape;
  const [contexts] = context.shape;
  if (contexts === samples || contexts === 1) return;
  throw new ShapeError(
    `${nameOf(at)}: context ${formatShape(context.shape)} for data ${formatStateShape(shapeOf(state))}; ` +
      `expected the same batch size, ${samples}, or one context for all samples, [1, …].`,
  );
}

/** A gradient of the context that was given: summed where one context stood for many samples. */
export function likeContext(dcontext: Tensor, context: Tensor | undefined): Tensor {
  if (!context || context.shape[0] === dcontext.shape[0]) return dcontext;
  return sum(dcontext, { axes: [0], keepDims: true });
}

/** As `requireOptions`, which it leaves to write the message: it is asked at each call. */
export function requireFields(at: Call, options: object, names: readonly string[]): void {
  if (typeof options === 'object' && options !== null && !(Symbol.iterator in options)) {
    let known = true;
    for (const name in options) known &&= names.includes(name);
    if (known) return;
  }
  requireOptions(nameOf(at), options, names);
}

const tangentFields = ['x', 'parameters', 'context'];

/** A tangent whose directions have the shapes of what they move. @throws ShapeError, ValueError */
export function checkedTangent<S extends State>(
  at: Call,
  state: S,
  tangent: Tangent<S>,
  context: Tensor | undefined,
): Tangent<S> {
  requireFields(at, tangent, tangentFields);
  if (tangent.x !== undefined) {
    requireState(at, tangent.x, tensorsOf(state).length === 1 ? 1 : 2);
    requireStateShape(at, 'the tangent of the argument', tangent.x, state);
  }
  const parameters = checkedDirections(at, tangent.parameters);
  if (tangent.context === undefined) return { ...tangent, parameters };
  if (!context) {
    throw new ValueError(`${nameOf(at)}: a tangent of the context came without a context.`);
  }
  requireShape(at, 'the tangent of the context', tangent.context, context.shape);
  return { ...tangent, parameters, context: contextFor(at, true, state, tangent.context) };
}

/** Directions of parameters under any of their names; those that were checked before as they are. */
function checkedDirections(
  at: Call,
  directions: ReadonlyMap<Parameter, Tensor> | undefined,
): ParameterMap<Tensor> | undefined {
  if (directions === undefined || directions instanceof CheckedDirections) return directions;
  if (!(directions instanceof Map)) {
    throw new ValueError(
      `${nameOf(at)}: the tangents of parameters are ${formatValue(directions)}; expected a Map from ` +
        'Parameters to tensors.',
    );
  }
  requireParameters(nameOf(at), [...directions.keys()]);
  for (const [p, direction] of directions) {
    requireShape(at, `the tangent of '${p.name}'`, direction, p.shape);
  }
  return new CheckedDirections(directions);
}

class CheckedDirections extends ParameterMap<Tensor> {}
