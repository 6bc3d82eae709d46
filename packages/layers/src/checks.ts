/** Checks of arguments, and small tensor idioms that layers share. */
import {
  add,
  formatShape,
  ShapeError,
  sumPerChannel,
  type Tensor,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';
import { type State, tensorsOf } from './state.ts';

/** @throws ShapeError unless x is [N, channels, ...] with up to three spatial axes. */
export function requireChannels(op: string, x: Tensor, channels: number): void {
  if (x.rank < 2 || x.rank > 5) {
    throw new ShapeError(
      `${op}: got ${formatShape(x.shape)}; expected rank 2 to 5: [N, C], [N, C, W], [N, C, H, W] ` +
        'or [N, C, D, H, W].',
    );
  }
  if (x.shape[1] !== channels) {
    throw new ShapeError(
      `${op}: got ${formatShape(x.shape)} with ${x.shape[1]} channels; expected ${channels}.`,
    );
  }
}

/** @throws ShapeError unless directions have the shapes of what they move. */
export function requireTangent<S extends State>(
  op: string,
  state: S,
  tangent: Tangent<S>,
  parameters: readonly Parameter[],
  context?: Tensor,
): void {
  const fit = (what: string, direction: Tensor | undefined, moved: Tensor) => {
    if (!direction) return;
    if (moved.rank === direction.rank && moved.shape.every((s, i) => s === direction.shape[i])) {
      return;
    }
    throw new ShapeError(
      `${op}: tangent of ${what} is ${formatShape(direction.shape)}; expected ` +
        `${formatShape(moved.shape)}.`,
    );
  };
  const moved = tensorsOf(state);
  if (tangent.x) {
    tensorsOf(tangent.x).forEach((t, i) => {
      fit('the argument', t, moved[i]!);
    });
  }
  for (const p of parameters) fit(`'${p.name}'`, tangent.parameters?.get(p), p.data);
  if (context) fit('the context', tangent.context, context);
}

/** @throws ValueError unless the value is a whole number of at least `least`. */
export function requireWhole(op: string, name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new ValueError(
      `${op}: ${name} is ${value}; expected a whole number of at least ${least}.`,
    );
  }
}

/** Number of positions of [N, C, ...]: the product of the spatial sizes. */
export function positions(x: Tensor): number {
  return x.size / (x.shape[0]! * x.shape[1]!);
}

/** A vector per channel as [1, C, 1, …], to broadcast over x. Shares memory. */
export function alongChannels(vector: Tensor, x: Tensor): Tensor {
  return vector.reshape([1, -1, ...x.shape.slice(2).map(() => 1)]);
}

/** A number per sample as [N, 1, …], to broadcast over x. Shares memory. */
export function perSample(values: Tensor, x: Tensor): Tensor {
  return values.reshape([-1, ...x.shape.slice(1).map(() => 1)]);
}

/** Σ over all but the channels, shape [C]. */
export function channelSums(x: Tensor): Tensor {
  return sumPerChannel(x).reshape([-1]);
}

/** Log-determinant of a volume-preserving map: zeros, shape [N]. */
export function zeroLogdet(x: Tensor): Tensor {
  return zeros([x.shape[0]!], x);
}

/** The sum of those terms that are there, or zeros like `like`. */
export function sumOfTerms(like: Tensor, ...terms: (Tensor | undefined)[]): Tensor {
  let total: Tensor | undefined;
  for (const t of terms) if (t) total = total ? add(total, t) : t;
  return total ?? zerosLike(like);
}
