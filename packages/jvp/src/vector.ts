/**
 * Vectors that operators act on: a tensor, or a list of vectors, such as a pair, a list of
 * parameters, or a state with a list of parameters.
 */
import {
  accumulate,
  affine,
  assign,
  clone,
  formatShape,
  innerProduct as leafProduct,
  norm,
  type RandomStream,
  type Shape,
  ShapeError,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';

/** A tensor, or a list of vectors. */
export type Vector = Tensor | readonly Vector[];

/** The shape of a vector, leaf by leaf; every vector has that of itself. */
export type VectorLike = { readonly shape: Shape } | readonly VectorLike[];

/** The tensors of a vector, in order. */
export function leavesOf(v: Vector): Tensor[] {
  return isList(v) ? v.flatMap(leavesOf) : [v];
}

/** Frees the tensors of a vector. */
export function disposeVector(v: Vector): void {
  for (const t of leavesOf(v)) t.dispose();
}

/** What comes of a vector that was made on the way, and is freed then, also when that throws. */
export function consumeVector<U extends Vector, R>(made: U, use: (made: U) => R): R {
  try {
    return use(made);
  } finally {
    disposeVector(made);
  }
}

/** A vector after a change in place; it is freed when that throws. */
export function changeVector<U extends Vector>(made: U, change: (made: U) => void): U {
  try {
    change(made);
    return made;
  } catch (error) {
    disposeVector(made);
    throw error;
  }
}

/** A new vector of f's results. */
export function mapVector<U extends Vector>(v: U, f: (t: Tensor) => Tensor): U;
export function mapVector(v: Vector, f: (t: Tensor) => Tensor): Vector {
  return isList(v) ? tidy(() => v.map((part) => mapVector(part, f))) : f(v);
}

/** A copy, which the caller owns. */
export function copyVector<U extends Vector>(v: U): U {
  return mapVector(v, clone);
}

/** target ← target + alpha·v, in place. */
export function addInPlace<U extends Vector>(target: U, v: U, alpha = 1): void {
  const parts = leavesOf(v);
  leavesOf(target).forEach((t, i) => {
    accumulate(t, parts[i]!, alpha);
  });
}

/** target ← alpha·target, in place. */
export function scaleInPlace(target: Vector, alpha: number): void {
  for (const t of leavesOf(target)) {
    using scaled = affine(t, alpha);
    assign(t, scaled);
  }
}

/** ⟨a, b⟩ over all numbers; read back once, as a rule. */
export function innerProduct<U extends Vector>(a: U, b: U): Promise<number> {
  return leafProduct(leavesOf(a), leavesOf(b));
}

/** √⟨v, v⟩ */
export function vectorNorm(v: Vector): Promise<number> {
  return norm(leavesOf(v));
}

/** v ← v/‖v‖, in place; returns the norm. A zero vector stays. */
export async function normalize(v: Vector): Promise<number> {
  const size = await vectorNorm(v);
  if (!(size > 0 && size < Number.POSITIVE_INFINITY)) return size;
  // The inverse of a norm far from 1 may be out of the range of numbers, its root is not.
  const steps = size > 1e-30 && size < 1e30 ? 1 : 2;
  for (let i = 0; i < steps; i++) scaleInPlace(v, size ** (-1 / steps));
  return size;
}

/** Zeros of a shape, on the current backend. */
export function zerosOf(shape: VectorLike): Vector {
  return isShapes(shape) ? tidy(() => shape.map(zerosOf)) : zeros(shape.shape);
}

/** Standard normal numbers of a shape, on the current backend. */
export function randomOf(shape: VectorLike, random: RandomStream): Vector {
  if (!isShapes(shape)) return random.normal(shape.shape);
  return tidy(() => shape.map((part) => randomOf(part, random)));
}

/** The shape alone, which outlives the vector. */
export function shapeOf(v: VectorLike): VectorLike {
  return isShapes(v) ? v.map(shapeOf) : { shape: v.shape };
}

/** Do two vectors have one structure and the same shapes? */
export function sameShape(a: VectorLike, b: VectorLike): boolean {
  if (isShapes(a)) {
    return isShapes(b) && a.length === b.length && a.every((part, i) => sameShape(part, b[i]!));
  }
  return (
    !isShapes(b) && a.shape.length === b.shape.length && a.shape.every((s, i) => s === b.shape[i])
  );
}

/** @throws ShapeError unless the vector has the shape. */
export function requireVector(what: string, v: VectorLike, expected: VectorLike): void {
  if (sameShape(v, expected)) return;
  throw new ShapeError(
    `${what}: got a vector of ${describeShape(v)}; expected ${describeShape(expected)}.`,
  );
}

/** A shape as text, such as ([2, 3], ([4], [4, 4])). */
export function describeShape(v: VectorLike): string {
  return isShapes(v) ? `(${v.map(describeShape).join(', ')})` : formatShape(v.shape);
}

function isList(v: Vector): v is readonly Vector[] {
  return Array.isArray(v);
}

/** Is it a list of shapes? */
export function isShapes(v: VectorLike): v is readonly VectorLike[] {
  return Array.isArray(v);
}
