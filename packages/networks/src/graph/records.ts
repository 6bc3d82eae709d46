/**
 * The tensors at the ends of a graph: as records, by the names of the ends, and as one tensor, which is the
 * only one's or a vector that holds all of them.
 */
import type { Parameter } from '@invnet/layers';
import {
  add,
  concat,
  formatShape,
  formatValue,
  requireRecord,
  type Shape,
  ShapeError,
  sizeOf,
  split,
  Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import type { End } from './wiring.ts';

/** Tensors by the names of inputs, outputs or conditions. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** What goes with a backward call on records; what is left out is zero. */
export interface GraphBackwardOptions {
  /** ∂loss/∂logdet per sample, shape [N]. */
  readonly dlogdet?: Tensor | undefined;
  /** The same of some of the `logdets`. */
  readonly dlogdets?: Tensors | undefined;
  /** The conditions of the forward (inverse) call. */
  readonly conditions?: Tensors | undefined;
}

/** A direction to differentiate along; what is left out does not move. */
export interface GraphTangent {
  /** Of the method's argument. */
  readonly states?: Tensors | undefined;
  readonly parameters?: ReadonlyMap<Parameter, Tensor> | undefined;
  readonly conditions?: Tensors | undefined;
}

/** What the two `jvp`s of records give beside states: derivatives, and log-determinants with theirs. */
export interface GraphDerivatives {
  readonly directions: Tensors;
  readonly logdet: Tensor;
  readonly dlogdet: Tensor;
  readonly logdets: Tensors;
  readonly dlogdets: Tensors;
}

/** Of the ends, in their order. */
export type EndTensors = readonly (readonly [End, Tensor])[];

/** How a record is checked. */
export interface RecordCheck {
  /** The method, and what the record is called. */
  readonly op: string;
  readonly what: string;
  /** Samples that each has. Default: those of the first. */
  readonly samples?: number;
  /** May some be left out, and may one stand for all samples, [1, …]? Default: false. */
  readonly partial?: boolean;
  readonly shared?: boolean;
}

/** The tensors of a record. @throws ValueError, ShapeError unless they are those of the ends, of their shapes. */
export function tensorsAt(ends: readonly End[], given: Tensors, check: RecordCheck): EndTensors {
  const { op, what, partial = false, shared = false } = check;
  const names = ends.map(({ name }) => name);
  const expected = `{ ${names.join(', ')} }`;
  requireRecord(op, what, given, expected);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    throw new ValueError(`${op}: there is no '${name}' among the ${what}; expected ${expected}.`);
  }
  let { samples } = check;
  return ends.flatMap((end): (readonly [End, Tensor])[] => {
    const t = given[end.name];
    if (t === undefined && partial) return [];
    if (!(t instanceof Tensor)) {
      throw new ValueError(
        `${op}: '${end.name}' of the ${what} is ${formatValue(t)}; expected a tensor.`,
      );
    }
    const [count = 0, ...shape] = t.shape;
    samples ??= count;
    const fits = count === samples || (shared && count === 1);
    if (fits && shape.length === end.shape.length && shape.every((s, i) => s === end.shape[i])) {
      return [[end, t]];
    }
    throw new ShapeError(
      `${op}: '${end.name}' of the ${what} is ${formatShape(t.shape)}; expected ` +
        `${formatShape([samples || 1, ...end.shape])}.`,
    );
  });
}

/** The tensor for so many samples: one that stands for all is repeated. */
export function repeated(t: Tensor, samples: number): Tensor {
  const [count, ...shape] = t.shape;
  return count === samples ? t : add(zeros([samples, ...shape], t), t);
}

/** One tensor for all ends: that of the only one, or vectors [N, Σ sizes], one behind the other. */
export function packed(tensors: EndTensors): Tensor {
  const [first, ...others] = tensors;
  if (others.length === 0) return first![1];
  return concat(
    tensors.map(([, t]) => t.reshape([t.shape[0]!, -1])),
    1,
  );
}

/** The tensors that one holds, which has the shape of `packedShape`. */
export function unpacked(ends: readonly End[], t: Tensor): EndTensors {
  if (ends.length === 1) return [[ends[0]!, t]];
  const parts = split(
    t,
    1,
    ends.map(({ shape }) => sizeOf(shape)),
  );
  return ends.map((end, i) => {
    using part = parts[i]!;
    return [end, part.reshape([t.shape[0]!, ...end.shape])];
  });
}

/** The shape of what holds the tensors of all ends. */
export function packedShape(ends: readonly End[], samples: number): Shape {
  if (ends.length === 1) return [samples, ...ends[0]!.shape];
  return [samples, ends.reduce((total, { shape }) => total + sizeOf(shape), 0)];
}

/** The shape itself. @throws ShapeError unless it is that of what holds the tensors of all ends. */
export function requirePacked(op: string, ends: readonly End[], shape: Shape): Shape {
  const expected = packedShape(ends, 1);
  if (shape.length === expected.length && shape.every((s, i) => i === 0 || s === expected[i])) {
    return shape;
  }
  const parts = ends.map((end) => `'${end.name}' ${formatShape(end.shape)}`).join(', ');
  throw new ShapeError(
    `${op}: got ${formatShape(shape)}; expected [N, ${expected.slice(1).join(', ')}], of ${parts} per sample.`,
  );
}
