/**
 * The passes over invertible layers that a backend does in one go, as functions of tensors. Where a
 * backend has none, these return undefined, and the layer composes its map from other operations.
 */
import type { ChannelGeometry, CouplingGeometry, Triplet } from '../backend.ts';
import {
  requireFinite,
  requireList,
  requireOneOf,
  requireRecord,
  requireWhole,
} from '../checks.ts';
import { BackendError, formatShape, ShapeError } from '../errors.ts';
import { requireTensor, type Tensor } from '../tensor.ts';
import { requireSameShape } from './elementwise.ts';
import { commonBackend, wrap } from './operands.ts';

/** s(r) = low + (high − low)·σ(r) */
export interface LogisticScale {
  readonly low: number;
  readonly high: number;
}

/** Has x's backend passes in one go? */
export function hasFusedPasses(x: Tensor): boolean {
  return requireTensor('hasFusedPasses', x).backend.fused !== undefined;
}

/** An affine coupling in one pass, in either direction. */
export interface FusedCoupling {
  /** y = s(r)⊙x + t, or its inverse, and the log-determinant of that map, [N]. */
  apply(x: Tensor): { y: Tensor; logdet: Tensor };
  /** From y and the gradients of both results: x, and the gradients of x and of (r, t). */
  backward(
    y: Tensor,
    dy: Tensor,
    dlogdet: Tensor | undefined,
  ): { x: Tensor; dx: Tensor; drt: Tensor };
}

/**
 * The coupling of (r, t), in the direction asked for; undefined where their backend has no such pass.
 * The first `kept` channels of x stay as they are, and so do those of its gradient; the others are
 * moved, and (r, t) has twice as many. Methods throw ShapeError for shapes that do not fit.
 */
export function fusedCoupling(
  rt: Tensor,
  scale: LogisticScale,
  direction: 'forward' | 'inverse',
  kept = 0,
): FusedCoupling | undefined {
  const { fused } = requireTensor('coupling', rt).backend;
  requireRecord('coupling', 'scale', scale, '{ low, high }');
  const { low, high } = scale;
  requireFinite('coupling', 'low', low);
  requireFinite('coupling', 'high', high);
  requireOneOf('coupling', 'direction', direction, directions);
  requireWhole('coupling', 'kept', kept, 0);
  if (!fused) return undefined;
  const geometry = (x: Tensor): CouplingGeometry => {
    const [batch, channels, ...spatial] = x.shape;
    const fits =
      x.rank >= 2 &&
      rt.rank === x.rank &&
      rt.shape[0] === batch &&
      rt.shape[1] === 2 * (channels! - kept) &&
      spatial.every((size, i) => size === rt.shape[i + 2]);
    if (!fits) {
      throw new ShapeError(
        `coupling: scale and shift are ${formatShape(rt.shape)} for ${formatShape(x.shape)}, of ` +
          `which ${kept} channels stay; expected twice as many channels as are moved.`,
      );
    }
    const positions = x.size / (batch! * channels!);
    const [still, size] = [kept * positions, (channels! - kept) * positions];
    return { inverse: direction === 'inverse', batch: batch!, kept: still, size, low, high };
  };
  return {
    apply: (x) => {
      const backend = commonBackend('coupling', x, rt);
      const [y, logdet] = fused.couple(x.storage, rt.storage, geometry(x));
      return { y: wrap(x.shape, backend, y), logdet: wrap([x.shape[0]!], backend, logdet) };
    },
    backward: (y, dy, dlogdet) => {
      requireSameShape('coupling', y, dy);
      const backend = commonBackend('coupling', y, dy, rt, ...(dlogdet ? [dlogdet] : []));
      const g = geometry(y);
      requirePerSample('coupling', dlogdet, g.batch);
      const made = fused.coupleBack(y.storage, dy.storage, rt.storage, dlogdet?.storage, g);
      const [x, dx, drt] = made;
      return {
        x: wrap(y.shape, backend, x),
        dx: wrap(y.shape, backend, dx),
        drt: wrap(rt.shape, backend, drt),
      };
    },
  };
}

/**
 * target ← target + x on the first channels of target, as many as x has, in place.
 *
 * @throws BackendError where their backend has no such pass. @throws ShapeError for shapes that differ
 * in more than the channels.
 */
export function addToFirstChannels(target: Tensor, x: Tensor): void {
  const { fused, name } = commonBackend('addToFirstChannels', target, x);
  if (!fused) throw new BackendError(`addToFirstChannels: ${name} has no such pass.`);
  const fits =
    target.rank === x.rank &&
    x.rank >= 2 &&
    target.shape.every((size, i) => (i === 1 ? size >= x.shape[1]! : size === x.shape[i]));
  if (!fits) {
    throw new ShapeError(
      `addToFirstChannels: got ${formatShape(x.shape)} for ${formatShape(target.shape)}; expected ` +
        'its shape with no more channels.',
    );
  }
  fused.addToFirst(target.storage, x.storage, x.shape[0]!);
}

/** A scale and a shift per channel in one pass, in either direction. */
export interface FusedChannelAffine {
  /** y = s⊙x + b, or its inverse, and the log-determinant of that map, [N]. */
  apply(x: Tensor): { y: Tensor; logdet: Tensor };
  /** From y and the gradients of both results: x, dx, and the gradients of scale and shift. */
  backward(
    y: Tensor,
    dy: Tensor,
    dlogdet: Tensor | undefined,
  ): { x: Tensor; dx: Tensor; dscale: Tensor; dshift: Tensor };
}

/** The map by a scale and a shift of shape [C]; undefined where their backend has no such pass. */
export function fusedChannelAffine(
  scale: Tensor,
  shift: Tensor,
  direction: 'forward' | 'inverse',
): FusedChannelAffine | undefined {
  const { fused } = commonBackend('channelAffine', scale, shift);
  requireOneOf('channelAffine', 'direction', direction, directions);
  if (!fused) return undefined;
  const geometry = (x: Tensor): ChannelGeometry => {
    const [batch, channels] = x.shape;
    if (x.rank < 2 || scale.size !== channels || shift.size !== channels) {
      throw new ShapeError(
        `channelAffine: scale ${formatShape(scale.shape)} and shift ${formatShape(shift.shape)} ` +
          `for ${formatShape(x.shape)}; expected a number per channel.`,
      );
    }
    const positions = x.size / (batch! * channels);
    return { inverse: direction === 'inverse', batch: batch!, channels, positions };
  };
  const apply = (x: Tensor) => {
    const backend = commonBackend('channelAffine', x, scale);
    const g = geometry(x);
    const [y, logdet] = fused.channelAffine(x.storage, scale.storage, shift.storage, g);
    return { y: wrap(x.shape, backend, y), logdet: wrap([g.batch], backend, logdet) };
  };
  const backward = (y: Tensor, dy: Tensor, dlogdet: Tensor | undefined) => {
    requireSameShape('channelAffine', y, dy);
    const backend = commonBackend('channelAffine', y, dy, scale, ...(dlogdet ? [dlogdet] : []));
    const g = geometry(y);
    requirePerSample('channelAffine', dlogdet, g.batch);
    const [x, dx, dscale, dshift] = fused.channelAffineBack(
      y.storage,
      dy.storage,
      scale.storage,
      shift.storage,
      dlogdet?.storage,
      g,
    );
    return {
      x: wrap(y.shape, backend, x),
      dx: wrap(y.shape, backend, dx),
      dscale: wrap(scale.shape, backend, dscale),
      dshift: wrap(shift.shape, backend, dshift),
    };
  };
  return { apply, backward };
}

/** A product of three Householder reflections, made in one pass. */
export interface FusedReflections {
  /** W = H(v₁)H(v₂)H(v₃), [C, C]. */
  matrix(): Tensor;
  /** The gradients of the three vectors for that of W. */
  backward(g: Tensor): [Tensor, Tensor, Tensor];
}

/** The reflections by vectors [C]; undefined where their backend has no such pass. */
export function fusedReflections(
  v: readonly [Tensor, Tensor, Tensor],
): FusedReflections | undefined {
  requireList('reflections', 'vectors', v);
  requireWhole('reflections', 'the number of vectors', v.length, 3, 3);
  const backend = commonBackend('reflections', ...v);
  const { fused } = backend;
  if (!fused) return undefined;
  const { size } = v[0];
  if (v.some((x) => x.size !== size)) {
    throw new ShapeError(
      `reflections: vectors ${v.map((x) => formatShape(x.shape)).join(', ')}; expected one length.`,
    );
  }
  const vectors = (): Triplet => [v[0].storage, v[1].storage, v[2].storage];
  return {
    matrix: () => wrap([size, size], backend, fused.reflections(vectors())),
    backward: (g) => {
      commonBackend('reflections', g, v[0]);
      if (g.size !== size * size) {
        throw new ShapeError(
          `reflections: gradient ${formatShape(g.shape)}; expected ${formatShape([size, size])}.`,
        );
      }
      const [d1, d2, d3] = fused.reflectionsBack(vectors(), g.storage);
      const wrapped = (d: Triplet[0]) => wrap([size], backend, d);
      return [wrapped(d1), wrapped(d2), wrapped(d3)];
    },
  };
}

const directions = ['forward', 'inverse'] as const;

/** @throws ShapeError unless dlogdet, if there is one, is a number per sample. */
function requirePerSample(op: string, dlogdet: Tensor | undefined, batch: number): void {
  if (!dlogdet || dlogdet.size === batch) return;
  throw new ShapeError(`${op}: dlogdet is ${formatShape(dlogdet.shape)}; expected [${batch}].`);
}
