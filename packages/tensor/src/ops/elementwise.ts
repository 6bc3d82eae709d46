/** Element-wise operations with broadcasting, and the in-place updates of vector-space code. */
import type { AdamSettings, BinaryOp, Broadcast, Shape, UnaryOp } from '../backend.ts';
import {
  requireAtLeast,
  requireBetween,
  requireFinite,
  requireList,
  requireRecord,
  requireWhole,
} from '../checks.ts';
import { formatShape, ShapeError } from '../errors.ts';
import { roundTo } from '../floats.ts';
import { requireTensor, sameShape, type Tensor } from '../tensor.ts';
import { commonBackend, wrap } from './operands.ts';

const unary =
  (op: UnaryOp) =>
  (x: Tensor): Tensor =>
    applyUnary(op, x, 0, 0);

const binary =
  (op: BinaryOp) =>
  (a: Tensor, b: Tensor): Tensor =>
    applyBinary(op, a, b);

/** |x| */
export const abs = unary('abs');
/** eˣ; on wasm within 1 ulp of the exactly rounded result, for every float. */
export const exp = unary('exp');
/**
 * Natural logarithm; NaN below zero, −∞ at zero. On wasm within 1 ulp of the exactly rounded result,
 * for every float.
 */
export const log = unary('log');
/** −x */
export const neg = unary('neg');
/** 1/x */
export const reciprocal = unary('reciprocal');
/** max(x, 0) */
export const relu = unary('relu');
/** 1/(1 + e⁻ˣ); on wasm within 2 ulp of the exactly rounded result, for every float. */
export const sigmoid = unary('sigmoid');
/** −1, 0 or 1 */
export const sign = unary('sign');
/**
 * log(1 + eˣ), without overflow; on wasm within 2 ulp of the exactly rounded result, for every float.
 */
export const softplus = unary('softplus');
/** √x */
export const sqrt = unary('sqrt');
/** x² */
export const square = unary('square');
/** Hyperbolic tangent; on wasm within 1 ulp of the exactly rounded result, for every float. */
export const tanh = unary('tanh');

/** αx + β for two numbers. @throws ValueError unless both are finite. */
export function affine(x: Tensor, alpha: number, beta = 0): Tensor {
  requireFinite('affine', 'alpha', alpha);
  requireFinite('affine', 'beta', beta);
  return applyUnary('affine', x, alpha, beta);
}

/** x for x > 0, slope·x otherwise. @throws ValueError unless the slope is finite. */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  requireFinite('leakyRelu', 'slope', slope);
  return applyUnary('leakyRelu', x, slope, 0);
}

/** x to the power of a number. @throws ValueError unless it is finite. */
export function power(x: Tensor, exponent: number): Tensor {
  requireFinite('power', 'exponent', exponent);
  return applyUnary('power', x, exponent, 0);
}

/** A copy with a storage of its own. */
export function clone(x: Tensor): Tensor {
  return applyUnary('affine', x, 1, 0);
}

/** a + b. Shapes broadcast as in NumPy: aligned at the right, sizes of 1 repeat. */
export const add = binary('add');
/** a − b, broadcasting. */
export const sub = binary('sub');
/** a·b element by element, broadcasting. */
export const mul = binary('mul');
/** a/b element by element, broadcasting. */
export const div = binary('div');
/** The larger of a and b, broadcasting. */
export const maximum = binary('max');
/** The smaller of a and b, broadcasting. */
export const minimum = binary('min');
/** dy where x > 0, else 0: the derivative of ReLU at its input, or output, x. */
export const reluGrad = binary('reluGrad');
/** dy·y(1 − y): the derivative of the sigmoid in terms of its output y; arguments (y, dy). */
export const sigmoidGrad = binary('sigmoidGrad');
/** dy·(1 − y²): the derivative of tanh in terms of its output y; arguments (y, dy). */
export const tanhGrad = binary('tanhGrad');

/**
 * target ← target + alpha·x, in place.
 *
 * @throws ShapeError unless the shapes are equal. @throws ValueError unless alpha is finite.
 */
export function accumulate(target: Tensor, x: Tensor, alpha = 1): void {
  requireFinite('accumulate', 'alpha', alpha);
  requireSameShape('accumulate', target, x);
  commonBackend('accumulate', target, x).accumulate(target.storage, x.storage, alpha);
}

/** target ← x, in place. @throws ShapeError unless the shapes are equal. */
export function assign(target: Tensor, x: Tensor): void {
  requireSameShape('assign', target, x);
  commonBackend('assign', target, x).assign(target.storage, x.storage);
}

/** A parameter with its moments, the gradient, and how many updates it has seen with this one. */
export interface AdamTensors {
  readonly target: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly grad: Tensor;
  readonly step: number;
}

/**
 * One Adam update of all targets and their moments, in place; see `Backend.adam`.
 *
 * @throws ShapeError unless moments and gradient have the shape of their target. @throws ValueError for
 * constants out of range: rates and scales finite, betas in [0, 1), epsilon above 0, steps whole and above 0.
 */
export function adamUpdate(tensors: readonly AdamTensors[], settings: AdamSettings): void {
  requireList('adamUpdate', 'tensors', tensors);
  requireSettings(settings);
  for (const t of tensors) requireRecord('adamUpdate', 'an update', t);
  const [first] = tensors;
  if (!first) return;
  const { dtype } = requireTensor('adamUpdate', first.target);
  // Where it vanishes, so does what the update of a zero gradient is divided by.
  requireBetween('adamUpdate', `epsilon in ${dtype}`, roundTo(dtype, settings.epsilon), 0);
  const updates = tensors.map(({ target, m, v, grad, step }) => {
    commonBackend('adamUpdate', first.target, target, m, v, grad);
    for (const t of [m, v, grad]) requireSameShape('adamUpdate', target, t);
    requireWhole('adamUpdate', 'step', step, 1);
    return {
      target: target.storage,
      m: m.storage,
      v: v.storage,
      grad: grad.storage,
      step,
    };
  });
  first.target.backend.adam(updates, settings);
}

/** @throws ShapeError unless a and b have one shape. */
export function requireSameShape(op: string, a: Tensor, b: Tensor): void {
  if (sameShape(requireTensor(op, a).shape, requireTensor(op, b).shape)) return;
  throw new ShapeError(
    `${op}: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)} differ; expected equal ones.`,
  );
}

function requireSettings(settings: AdamSettings): void {
  requireRecord('adamUpdate', 'settings', settings);
  const { learningRate, beta1, beta2, epsilon, gradientScale, targetScale = 1 } = settings;
  requireFinite('adamUpdate', 'learningRate', learningRate);
  requireFinite('adamUpdate', 'gradientScale', gradientScale);
  requireFinite('adamUpdate', 'targetScale', targetScale);
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    requireAtLeast('adamUpdate', name, beta, 0);
    requireBetween('adamUpdate', name, beta, -1, 1);
  }
  requireBetween('adamUpdate', 'epsilon', epsilon, 0);
}

function applyUnary(op: UnaryOp, x: Tensor, alpha: number, beta: number): Tensor {
  const { shape, backend, storage } = requireTensor(op, x);
  return wrap(shape, backend, backend.unary(op, storage, alpha, beta));
}

function applyBinary(op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  const backend = commonBackend(op, a, b);
  const shape = broadcastShape(op, a.shape, b.shape);
  const how = collapse(shape, a.shape, b.shape);
  return wrap(shape, backend, backend.binary(op, a.storage, b.storage, how));
}

function broadcastShape(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const sa = a[a.length - rank + i] ?? 1;
    const sb = b[b.length - rank + i] ?? 1;
    if (sa !== sb && sa !== 1 && sb !== 1) {
      throw new ShapeError(
        `${op}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast; aligned at the ` +
          'right, sizes must be equal or 1.',
      );
    }
    shape.push(Math.max(sa, sb));
  }
  return shape;
}

function collapse(shape: Shape, a: Shape, b: Shape): Broadcast {
  const sizes: number[] = [];
  const aStrides: number[] = [];
  const bStrides: number[] = [];
  let aStride = 1;
  let bStride = 1;
  // Innermost first: a dimension joins the one inside it when both operands walk on evenly.
  for (let i = 1; i <= shape.length; i++) {
    const size = shape[shape.length - i]!;
    if (size === 1) continue;
    const sa = (a[a.length - i] ?? 1) === 1 ? 0 : aStride;
    const sb = (b[b.length - i] ?? 1) === 1 ? 0 : bStride;
    const last = sizes.length - 1;
    if (
      last >= 0 &&
      sa === aStrides[last]! * sizes[last]! &&
      sb === bStrides[last]! * sizes[last]!
    ) {
      sizes[last]! *= size;
    } else {
      sizes.push(size);
      aStrides.push(sa);
      bStrides.push(sb);
    }
    if (sa !== 0) aStride *= size;
    if (sb !== 0) bStride *= size;
  }
  if (sizes.length === 0) return { sizes: [1], aStrides: [0], bStrides: [0] };
  return { sizes: sizes.reverse(), aStrides: aStrides.reverse(), bStrides: bStrides.reverse() };
}
