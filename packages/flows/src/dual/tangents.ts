/** Derivatives of a backend's element-wise functions and reductions, along one direction. */
import type { BinaryOp, Broadcast, ReduceOp, Reduction, Storage, UnaryOp } from '@invnet/tensor';
import { contiguous, type Moving, type Work } from './work.ts';

/** An argument, its derivative, and the result. */
interface Unary {
  readonly x: Storage;
  readonly y: Storage;
  readonly dx: Storage;
  readonly alpha: number;
}

/** f′(x)·dx; undefined where it is 0. */
export function unaryTangent(
  work: Work,
  op: UnaryOp,
  { x, y, dx, alpha }: Unary,
): Storage | undefined {
  const times = (slope: Storage) => work.binary('mul', slope, dx);
  switch (op) {
    case 'abs':
      return times(work.unary('sign', x));
    case 'affine':
      return work.affine(dx, alpha);
    case 'exp':
      return times(y);
    case 'leakyRelu':
      return work.binary(
        'add',
        work.binary('reluGrad', x, work.affine(dx, 1 - alpha)),
        work.affine(dx, alpha),
      );
    case 'log':
      return work.binary('div', dx, x);
    case 'neg':
      return work.unary('neg', dx);
    case 'power':
      return times(work.affine(work.unary('power', x, alpha - 1), alpha));
    case 'reciprocal':
      return times(work.affine(work.unary('square', y), -1));
    case 'relu':
      return work.binary('reluGrad', x, dx);
    case 'sigmoid':
      return work.binary('sigmoidGrad', y, dx);
    case 'sign':
      return undefined;
    case 'softplus':
      return times(work.unary('sigmoid', x));
    case 'sqrt':
      return work.binary('div', work.affine(dx, 0.5), y);
    case 'square':
      return times(work.affine(x, 2));
    case 'tanh':
      return work.binary('tanhGrad', y, dx);
  }
}

/** Two arguments with their derivatives, the result, and how they meet. */
interface Binary {
  readonly a: Moving;
  readonly b: Moving;
  readonly y: Storage;
  readonly how: Broadcast;
}

/** ∂f/∂a·da + ∂f/∂b·db; undefined where it is 0. */
export function binaryTangent(
  work: Work,
  op: BinaryOp,
  { a, b, y, how }: Binary,
): Storage | undefined {
  const [da, db] = [a.tangent, b.tangent];
  if (!da && !db) return undefined;
  const { sizes, aStrides, bStrides } = how;
  const expanded = (x: Storage | undefined, strides: readonly number[]) =>
    x && work.expand(x, sizes, strides);
  switch (op) {
    case 'add':
      return work.sum(expanded(da, aStrides), expanded(db, bStrides));
    case 'sub':
      return work.sum(expanded(da, aStrides), expanded(db && work.unary('neg', db), bStrides));
    case 'mul':
      return work.products(a, b, (left, right) => work.binary('mul', left, right, how));
    case 'div': {
      const whole = { sizes, aStrides: contiguous(sizes), bStrides };
      const ratio = db && work.binary('div', work.unary('neg', db), b.value);
      return work.sum(
        da && work.binary('div', da, b.value, how),
        ratio && work.binary('mul', y, ratio, whole),
      );
    }
    case 'max':
    case 'min': {
      const apart = work.binary('sub', a.value, b.value, how);
      const larger = op === 'max' ? apart : work.unary('neg', apart);
      const other = expanded(db, bStrides) ?? work.fill(y, 0);
      const own = expanded(da, aStrides) ?? work.fill(y, 0);
      const step = work.binary('reluGrad', larger, work.binary('sub', own, other));
      return work.binary('add', step, other);
    }
    case 'reluGrad':
      return db && work.binary('reluGrad', a.value, db, how);
    case 'sigmoidGrad':
      return gradTangent(work, op, { a, b, how }, () => work.affine(a.value, -2, 1));
    case 'tanhGrad':
      return gradTangent(work, op, { a, b, how }, () => work.affine(a.value, -2));
  }
}

/** Of b·g(a), which is `op`, with g′ as given. */
function gradTangent(
  work: Work,
  op: 'sigmoidGrad' | 'tanhGrad',
  { a, b, how }: Omit<Binary, 'y'>,
  slope: () => Storage,
): Storage | undefined {
  const moved = a.tangent && work.binary('mul', slope(), a.tangent);
  return work.sum(
    b.tangent && work.binary(op, a.value, b.tangent, how),
    moved && work.binary('mul', moved, b.value, how),
  );
}

/** An argument, its derivative, the result, and what is reduced. */
interface Reduced {
  readonly x: Storage;
  readonly y: Storage;
  readonly dx: Storage;
  readonly how: Reduction;
}

/** Of the largest of equal numbers, the mean of their derivatives. */
export function reduceTangent(work: Work, op: ReduceOp, { x, y, dx, how }: Reduced): Storage {
  switch (op) {
    case 'sum':
      return work.reduce('sum', dx, how);
    case 'sumSquares':
      return work.reduce('sum', work.binary('mul', work.affine(x, 2), dx), how);
    case 'max': {
      const { sizes, reduced } = how;
      const kept = contiguous(sizes.map((s, i) => (reduced[i] ? 1 : s)));
      const strides = kept.map((s, i) => (reduced[i] ? 0 : s));
      const below = work.binary('sub', x, y, {
        sizes,
        aStrides: contiguous(sizes),
        bStrides: strides,
      });
      const largest = work.affine(work.unary('sign', below), 1, 1);
      const total = work.reduce('sum', work.binary('mul', largest, dx), how);
      return work.binary('div', total, work.reduce('sum', largest, how));
    }
  }
}
