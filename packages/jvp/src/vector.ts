/**
 * Vectors that operators act on: a tensor, or a list of vectors, such as a pair, a list of
 * parameters, or a state with a list of parameters.
 */
import {
  accumulate,
  affine,
  assign,
  checkShape,
  clone,
  formatShape,
  innerProduct as leafProduct,
  norm,
  type RandomStream,
  requireFinite,
  requireStream,
  requireTensor,
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
export function leavesOf(v: Vector, depth = 0): Tensor[] {
  if (!isList(v)) return [requireTensor('vector', v)];
  requireDepth(depth);
  return v.flatMap((part) => leavesOf(part, depth + 1));
}

/** Lists nested beyond it are not meant, or hold themselves. */
const deepest = 8;

function requireDepth(depth: number): void {
  if (depth < deepest) return;
  throw new ShapeError(`vector: lists are nested deeper than ${deepest}, or hold themselves.`);
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
  leavesOf(v);
  return tidy(() => (isList(v) ? v.map((part) => mapVector(part, f)) : f(v)));
}

/** A copy, which the caller owns. */
export function copyVector<U extends Vector>(v: U): U {
  return mapVector(v, clone);
}

/** target ← target + alpha·v, in place. */
export function addInPlace<U extends Vector>(target: U, v: U, alpha = 1): void {
  const parts = leavesOf(v);
  const targets = leavesOf(target);
  requireVectorShape('addInPlace', v, target);
  targets.forEach((t, i) => {
    accumulate(t, parts[i]!, alpha);
  });
}

/** target ← alpha·target, in place. */
export function scaleInPlace(target: Vector, alpha: number): void {
  requireFinite('scaleInPlace', 'alpha', alpha);
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
  const like = shapeOf(shape);
  return tidy(() => (isShapes(like) ? like.map(zerosOf) : zeros(like.shape)));
}

/** Standard normal numbers of a shape, on the current backend. */
export function randomOf(shape: VectorLike, random: RandomStream): Vector {
  const like = shapeOf(shape);
  requireStream('randomOf', random);
  return tidy(() =>
    isShapes(like) ? like.map((part) => randomOf(part, random)) : random.normal(like.shape),
  );
}

/** The shape alone, which outlives the vector. @throws ShapeError for what has none. */
export function shapeOf(v: VectorLike, depth = 0): VectorLike {
  if (!isShapes(v)) return { shape: checkShape('vector', v?.shape) };
  requireDepth(depth);
  return v.map((part) => shapeOf(part, depth + 1));
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

/** @throws ValueError, ShapeError unless it is a vector of the shape. */
export function requireVector(what: string, v: Vector, expected: VectorLike): void {
  leavesOf(v);
  requireVectorShape(what, v, expected);
}

/** @throws ShapeError unless the two are equal. */
export function requireVectorShape(what: string, v: VectorLike, expected: VectorLike): void {
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
