/**
 * Rational-quadratic splines in one pass. Where a backend has none, the layer composes its map from other operations.
 * Mathematics: docs/math/transformers/splines.md
 */
import type { Backend, FusedPasses } from '../backend.ts';
import { requireOneOf, requireRecord, requireWhole } from '../checks.ts';
import { formatShape, ShapeError } from '../errors.ts';
import type { SplineGeometry } from '../spline.ts';
import { requireTensor, type Tensor, zeros } from '../tensor.ts';
import { tidy } from '../tidy.ts';
import { WasmBackend } from '../wasm/backend.ts';
import { spline, splineBack } from '../wasm/spline.ts';
import { add, requireSameShape } from './elementwise.ts';
import { permute } from './layout.ts';
import { commonBackend, wrap } from './operands.ts';
import { sumPerSample } from './reduce.ts';

/** What a rational-quadratic spline is, but for its parameters. */
export type SplineForm = Omit<SplineGeometry, 'size'>;

/** A rational-quadratic spline in one pass, in either direction. */
export interface FusedSpline {
  /** y for x, or x for y, and the log-determinant of that map, [N]. */
  apply(x: Tensor): { y: Tensor; logdet: Tensor };
  /** From y and the gradients of both results: x, and the gradients of x and of the parameters. */
  backward(
    y: Tensor,
    dy: Tensor,
    dlogdet: Tensor | undefined,
  ): { x: Tensor; dx: Tensor; dp: Tensor };
}

/** Numbers of a sample from which vectors are filled by each alone. */
const WHOLE_VECTORS = 16;

/** The passes of a backend, and how many numbers a row should have at least. */
interface SplinePasses {
  readonly least: number;
  readonly apply: NonNullable<FusedPasses['spline']>;
  readonly back: NonNullable<FusedPasses['splineBack']>;
}

/** Those of wasm are a module that stands here, so that only pages with splines have it. */
function passesOf(backend: Backend): SplinePasses | undefined {
  if (backend instanceof WasmBackend) {
    const { runtime } = backend;
    return {
      least: WHOLE_VECTORS,
      apply: (given, p, inverse, g) => spline(runtime, given, p, inverse, g),
      back: (given, inverse, g) => splineBack(runtime, given, inverse, g),
    };
  }
  const { spline: apply, splineBack: back } = backend.fused ?? {};
  return apply && back && { least: 0, apply, back };
}

/**
 * The splines by parameters p [N, S·C, …] of numbers [N, C, …], parameter j of channel c in channel j·C + c: K widths,
 * K heights, and the slopes at edges that the tails leave open. Undefined where their backend has no such pass.
 *
 * @throws ShapeError, from its methods, for shapes that do not fit. @throws ValueError for no such form.
 */
export function fusedSpline(
  p: Tensor,
  form: SplineForm,
  direction: 'forward' | 'inverse',
): FusedSpline | undefined {
  const { backend } = requireTensor('spline', p);
  requireRecord('spline', 'form', form);
  requireWhole('spline', 'bins', form.bins, 2);
  requireOneOf('spline', 'tails', form.tails, ['identity', 'circular', 'linear']);
  requireOneOf('spline', 'direction', direction, ['forward', 'inverse']);
  const slopes = { identity: -1, circular: 0, linear: 1 }[form.tails];
  requireWhole(
    'spline',
    'parameters',
    form.parameters,
    3 * form.bins + slopes,
    3 * form.bins + slopes,
  );
  const passes = passesOf(backend);
  if (!passes) return undefined;
  const inverse = direction === 'inverse';
  /** Parameters as the kernels take them: samples of few numbers are one row. */
  const rows = (x: Tensor) => {
    const [n, channels, ...size] = x.shape;
    const expected = [n!, form.parameters * channels!, ...size];
    if (x.rank < 2 || formatShape(p.shape) !== formatShape(expected)) {
      throw new ShapeError(
        `spline: parameters are ${formatShape(p.shape)} for ${formatShape(x.shape)}; expected ` +
          `${formatShape(expected)}.`,
      );
    }
    const numbers = x.size / n!;
    const few = numbers < passes.least && n! > 1;
    return {
      geometry: { ...form, size: few ? x.size : numbers },
      laidOut: few ? permute(p.reshape([n!, form.parameters, numbers]), [1, 0, 2]) : p,
      back: (dp: Tensor) =>
        (few ? permute(dp.reshape([form.parameters, n!, numbers]), [1, 0, 2]) : dp).reshape(
          p.shape,
        ),
    };
  };
  return {
    apply: (x) =>
      tidy(() => {
        commonBackend('spline', p, x);
        const { geometry, laidOut } = rows(x);
        const [y, log] = passes.apply(x.storage, laidOut.storage, inverse, geometry);
        const logs = wrap(x.shape, backend, log);
        return { y: wrap(x.shape, backend, y), logdet: sumPerSample(logs) };
      }),
    backward: (y, dy, dlogdet) =>
      tidy(() => {
        requireSameShape('spline', y, dy);
        commonBackend('spline', p, y, dy, ...(dlogdet ? [dlogdet] : []));
        const { geometry, laidOut, back } = rows(y);
        const [n] = y.shape;
        const each = dlogdet && add(zeros([n!, y.size / n!], y), dlogdet.reshape([n!, 1]));
        const given = [y.storage, laidOut.storage, dy.storage, each?.storage] as const;
        const [x, dx, dp] = passes.back(given, inverse, geometry);
        return {
          x: wrap(y.shape, backend, x),
          dx: wrap(y.shape, backend, dx),
          dp: back(wrap(laidOut.shape, backend, dp)),
        };
      }),
  };
}
