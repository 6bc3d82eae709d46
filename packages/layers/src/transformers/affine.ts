/**
 * y = s x + t with s = f(r), for (r, t) as channels of p: the formulas that affine transformers and affine couplings
 * share, in one pass where the scale is logistic and the backend has it. They are called within the methods of a
 * module. Mathematics: docs/math/transformers/transformers.md
 */
import {
  add,
  concat,
  div,
  type FusedCoupling,
  fusedCoupling,
  log,
  mul,
  neg,
  split,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import type { Activation } from '../elementwise/activation.ts';
import { sigmoid } from '../elementwise/activations.ts';

/** The scale that stands in for none: 1 at r = 0. */
export function defaultScale(): Activation {
  return sigmoid({ low: 0.5, high: 1.5 });
}

/** y, and Σ log s. */
export function scaleAndShift(f: Activation, x: Tensor, p: Tensor) {
  const pass = fused(f, p, 'forward');
  if (pass) return pass.apply(x);
  const { r, s, t } = unpack(f, p);
  const logdet = sumOfLogs(f, r, s);
  r.dispose();
  return { y: add(mul(s, x), t), logdet };
}

/** x, and −Σ log s. */
export function undoScaleAndShift(f: Activation, y: Tensor, p: Tensor) {
  const pass = fused(f, p, 'inverse');
  if (pass) {
    const { y: x, logdet } = pass.apply(y);
    return { x, logdet };
  }
  const { r, s, t } = unpack(f, p);
  const logdet = neg(sumOfLogs(f, r, s));
  r.dispose();
  return { x: div(sub(y, t), s), logdet };
}

/** x from y, where it was not kept, and the gradients of x and p. */
export function scaleAndShiftBackward(
  f: Activation,
  y: Tensor,
  p: Tensor,
  dy: Tensor,
  dlogdet: Tensor | undefined,
  kept?: Tensor,
) {
  const pass = fused(f, p, 'forward');
  if (pass) {
    const { x, dx, drt: dp } = pass.backward(y, dy, dlogdet);
    return { x, dx, dp };
  }
  return tidy(() => {
    const { r, s, t } = unpack(f, p);
    const x = kept ?? div(sub(y, t), s);
    return { x, dx: mul(s, dy), dp: concat([scaleGrad(f, r, s, mul(dy, x), dlogdet), dy], 1) };
  });
}

/** y from x = (y − t)/s, where it was not kept, and the gradients of y and p. */
export function undoScaleAndShiftBackward(
  f: Activation,
  x: Tensor,
  p: Tensor,
  dx: Tensor,
  dlogdet: Tensor | undefined,
  kept?: Tensor,
) {
  const pass = fused(f, p, 'inverse');
  if (pass) {
    const { x: y, dx: dy, drt: dp } = pass.backward(x, dx, dlogdet);
    return { y, dy, dp };
  }
  return tidy(() => {
    const { r, s, t } = unpack(f, p);
    const dy = div(dx, s);
    const dp = neg(concat([scaleGrad(f, r, s, mul(dy, x), dlogdet), dy], 1));
    return { y: kept ?? add(mul(s, x), t), dy, dp };
  });
}

/** y and Σ log s, with their derivatives along dx and dp. */
export function scaleAndShiftTangent(
  f: Activation,
  x: Tensor,
  p: Tensor,
  dx: Tensor | undefined,
  dp: Tensor | undefined,
) {
  const { s, t, ds, dt, ...logs } = tangents(f, p, dp);
  const dy = sumOfTerms(x, ds && mul(ds, x), dx && mul(s, dx), dt);
  return { y: add(mul(s, x), t), dy, ...logs };
}

/** x and −Σ log s, with their derivatives along dy and dp. */
export function undoScaleAndShiftTangent(
  f: Activation,
  y: Tensor,
  p: Tensor,
  dy: Tensor | undefined,
  dp: Tensor | undefined,
) {
  const { s, t, ds, dt, logdet, dlogdet } = tangents(f, p, dp);
  const x = div(sub(y, t), s);
  const moved = sumOfTerms(y, dy, dt && neg(dt), ds && neg(mul(ds, x)));
  return { x, dx: div(moved, s), logdet: neg(logdet), dlogdet: neg(dlogdet) };
}

/** The map in one pass, for a logistic scale on a backend that has it. */
function fused(
  { logistic }: Activation,
  p: Tensor,
  direction: 'forward' | 'inverse',
): FusedCoupling | undefined {
  return logistic && fusedCoupling(p, logistic, direction);
}

function unpack(f: Activation, p: Tensor): { r: Tensor; s: Tensor; t: Tensor } {
  const [r, t] = halvesOf(p);
  return { r, s: f.apply(r), t };
}

/** r and t */
export function halvesOf(p: Tensor): readonly [Tensor, Tensor] {
  const channels = p.shape[1]! / 2;
  const [r, t] = split(p, 1, [channels, channels]);
  return [r!, t!];
}

/** Σ log s, for s = f(r). */
export function sumOfLogs(f: Activation, r: Tensor, s: Tensor): Tensor {
  return tidy(() => sumPerSample(f.log?.apply(r) ?? log(s)));
}

/** The gradient of r for those of s = f(r) and of Σ log s. */
export function scaleGrad(
  f: Activation,
  r: Tensor,
  s: Tensor,
  ds: Tensor,
  dlogdet: Tensor | undefined,
): Tensor {
  if (!dlogdet) return f.grad(s, ds, r);
  const dlog = perSample(dlogdet, s);
  if (f.log) return add(f.grad(s, ds, r), f.log.grad(s, dlog, r));
  return f.grad(s, add(ds, div(dlog, s)), r);
}

/** s = f(r) and Σ log s, and the derivatives of both along dr. */
export function scaleTangents(f: Activation, r: Tensor, dr: Tensor | undefined) {
  const s = f.apply(r);
  const ds = dr && f.grad(s, dr, r);
  const dlog = dr && ds && (f.log?.grad(s, dr, r) ?? div(ds, s));
  const logdet = sumOfLogs(f, r, s);
  return { s, ds, logdet, dlogdet: sumOfTerms(logdet, dlog && sumPerSample(dlog)) };
}

/** s and t, Σ log s, and the derivatives of all along dp. */
function tangents(f: Activation, p: Tensor, dp: Tensor | undefined) {
  const [r, t] = halvesOf(p);
  const [dr, dt] = dp ? halvesOf(dp) : [];
  return { t, dt, ...scaleTangents(f, r, dr) };
}
