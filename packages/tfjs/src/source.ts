/** What a block is made of: models of tfjs, or functions with their variables, and which of them will do. */
import {
  DisposedError,
  DTypeError,
  formatShape,
  formatValue,
  requireBoolean,
  requireFunction,
  requireOptions,
  requireRecord,
  type Shape,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import * as tf from '@tensorflow/tfjs-core';

/** What is used of a LayersModel of `@tensorflow/tfjs-layers`, as `tf.sequential` and `tf.model` make. */
export interface TfjsModel {
  readonly inputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly outputs: readonly { readonly shape: readonly (number | null)[] }[];
  readonly layers: readonly { readonly name: string; readonly stateful: boolean }[];
  readonly weights: readonly {
    readonly originalName: string;
    readonly trainable: boolean;
    read(): tf.Tensor;
  }[];
  apply(inputs: tf.Tensor | tf.Tensor[], options: { training: boolean }): unknown;
}

/** A function of tensors of tfjs, with the variables that it uses. */
export interface TfjsFunction {
  /** y = g(x), or g(x, context); the samples are along the first axis. It is to give the same for the same. */
  apply(x: tf.Tensor, context?: tf.Tensor): tf.Tensor;
  /** Trained, under these names. Default: none. */
  readonly variables?: Readonly<Record<string, tf.Variable>>;
  /** The shape of y. @throws ShapeError for an x that the function does not take. */
  outputShape?(x: Shape): Shape | undefined;
  /** Does y depend on a context? Default: where `apply` has a second argument. */
  readonly usesContext?: boolean;
}

/** Is it a model, and not a function with its variables? */
export function isModel(model: TfjsModel | TfjsFunction): model is TfjsModel {
  return 'layers' in model;
}

/** @throws ValueError unless it is a model that is a function, or a function. */
export function requireSource(model: TfjsModel | TfjsFunction): TfjsModel | TfjsFunction {
  if (typeof model !== 'object' || model === null || !('apply' in model)) {
    throw new ValueError(
      `fromTfjs: got ${formatValue(model)}; expected a LayersModel of tfjs, or { apply, variables }.`,
    );
  }
  requireFunction('fromTfjs', 'apply', model.apply);
  if (!isModel(model)) {
    requireOptions('fromTfjs', model, ['apply', 'variables', 'outputShape', 'usesContext']);
    const { outputShape, usesContext, variables = {} } = model;
    if (outputShape !== undefined) requireFunction('fromTfjs', 'outputShape', outputShape);
    if (usesContext !== undefined) requireBoolean('fromTfjs', 'usesContext', usesContext);
    requireRecord('fromTfjs', 'variables', variables, '{ w: tf.variable(…), … }');
    return model;
  }
  const [ins, outs] = [model.inputs?.length ?? 0, model.outputs?.length ?? 0];
  if (ins === 0) {
    throw new ValueError(
      'fromTfjs: the model is not built; expected one whose first layer has an inputShape.',
    );
  }
  if (ins > 2 || outs !== 1) {
    throw new ValueError(
      `fromTfjs: the model has ${ins} inputs and ${outs} outputs; expected x, or x and a context, and one result.`,
    );
  }
  const stateful = model.layers.find((layer) => layer.stateful);
  if (!stateful) return model;
  throw new ValueError(
    `fromTfjs: layer '${stateful.name}' is stateful; expected a model that gives the same for the same input, ` +
      'such as one with stateful: false.',
  );
}

/** Names, variables, and whether they are trained. @throws ValueError, DTypeError, DisposedError */
export function variablesOf(model: TfjsModel | TfjsFunction): [string, tf.Variable, boolean][] {
  const found: [string, unknown, boolean][] = isModel(model)
    ? // Layers are numbered through a program, so their names are not those of another run.
      model.weights.map((w, i) => [
        `${w.originalName.split('/').at(-1)?.replace(/[.$]/g, '_')}${i}`,
        w.read(),
        w.trainable,
      ])
    : Object.entries(model.variables ?? {}).map(([name, v]) => [requireKey(name), v, true]);
  const names = new Map<tf.Variable, string>();
  return found.map(([name, v, trained]) => {
    if (v instanceof tf.Variable) {
      const other = names.get(v);
      if (other === undefined) {
        names.set(v, name);
        return [name, requireLive('fromTfjs', name, v), trained];
      }
      throw new ValueError(
        `fromTfjs: '${name}' is the same variable as '${other}'; expected each variable once.`,
      );
    }
    throw new ValueError(
      `fromTfjs: '${name}' is ${formatValue(v)}; expected a variable of tfjs, as tf.variable(…) makes.`,
    );
  });
}

function requireKey(name: string): string {
  if (/^[^.$/]+$/.test(name) && name !== '__proto__') return name;
  throw new ValueError(
    `fromTfjs: a name of variables is ${formatValue(name)}; expected a text without '.', '$' and '/'.`,
  );
}

/** @throws DisposedError, DTypeError unless it is a live variable of float32. */
export function requireLive(op: string, name: string, variable: tf.Variable): tf.Variable {
  if (variable.isDisposed) {
    throw new DisposedError(
      `${op}: the variable of '${name}' was disposed in tfjs; expected it to live as long as the block.`,
    );
  }
  if (variable.dtype === 'float32') return variable;
  throw new DTypeError(`${op}: variable '${name}' is of ${variable.dtype}; expected float32.`);
}

/** @throws ShapeError unless a shape is what a model takes; null stands for any size. */
export function requireFit(what: string, shape: Shape, expected: readonly (number | null)[]): void {
  const fits =
    shape.length === expected.length &&
    shape.every((size, i) => expected[i] === null || expected[i] === size);
  if (fits) return;
  throw new ShapeError(
    `TfjsBlock: ${what} is ${formatShape(shape)}; the model takes [${expected.map((s) => s ?? 'any').join(', ')}].`,
  );
}
