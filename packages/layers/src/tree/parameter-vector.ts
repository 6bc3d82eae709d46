/** Lists of parameters as one vector: the vector-space operations that optimization methods need. */
import {
  accumulate,
  affine,
  checkShape,
  clone,
  concat,
  formatShape,
  innerProduct,
  norm,
  requireList,
  requireTensor,
  type Shape,
  ShapeError,
  sizeOf,
  slice,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { type Parameter, requireParameters } from './parameter.ts';

/** One tensor for each parameter of a list: a point of the space of parameters. */
export type ParameterVector = readonly Tensor[];

/** The gradients, in order; zeros where none was gathered. The caller disposes them. */
export function gradients(parameters: readonly Parameter[]): Tensor[] {
  requireParameters('gradients', parameters);
  return tidy(() => parameters.map((p) => (p.grad ? clone(p.grad) : zerosLike(p.data))));
}

/** a + alpha·b, tensor by tensor. */
export function addVectors(a: ParameterVector, b: ParameterVector, alpha = 1): Tensor[] {
  requireSameLength('addVectors', a, b);
  return tidy(() =>
    a.map((t, i) => {
      const r = clone(t);
      accumulate(r, b[i]!, alpha);
      return r;
    }),
  );
}

/** alpha·a. */
export function scaleVector(a: ParameterVector, alpha: number): Tensor[] {
  requireTensors('scaleVector', a);
  return tidy(() => a.map((t) => affine(t, alpha)));
}

/** ⟨a, b⟩ = Σ aᵢbᵢ over all tensors. */
export function dotVectors(a: ParameterVector, b: ParameterVector): Promise<number> {
  return innerProduct(a, b);
}

/** The Euclidean norm √⟨a, a⟩. */
export function normOfVector(a: ParameterVector): Promise<number> {
  return norm(a);
}

/** All numbers in one tensor of rank 1, in order. */
export function flatten(a: ParameterVector): Tensor {
  requireTensors('flatten', a);
  return tidy(() =>
    concat(
      a.map((t) => t.reshape([-1])),
      0,
    ),
  );
}

/** The inverse of `flatten`, with the shapes of `like`. @throws ShapeError when sizes differ. */
export function unflatten(flat: Tensor, like: readonly { shape: Shape }[]): Tensor[] {
  requireTensor('unflatten', flat);
  requireList('unflatten', 'like', like);
  for (const p of like) checkShape('unflatten', p?.shape);
  const sizes = like.map((p) => sizeOf(p.shape));
  const expected = sizes.reduce((x, y) => x + y, 0);
  if (flat.size !== expected) {
    throw new ShapeError(
      `unflatten: ${formatShape(flat.shape)} for parameters of ${expected} numbers in all.`,
    );
  }
  return tidy(() => {
    let start = 0;
    return like.map((p, i) => {
      const part = slice(flat, 0, start, sizes[i]!).reshape(p.shape);
      start += sizes[i]!;
      return part;
    });
  });
}

function requireTensors(op: string, a: ParameterVector): void {
  requireList(op, 'a vector', a);
  for (const t of a) requireTensor(op, t);
}

function requireSameLength(op: string, a: ParameterVector, b: ParameterVector): void {
  requireTensors(op, a);
  requireTensors(op, b);
  if (a.length !== b.length) {
    throw new ValueError(
      `${op}: lists of ${a.length} and ${b.length} tensors; expected one length.`,
    );
  }
}
