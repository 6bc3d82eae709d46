/**
 * Least squares with total variation: the baseline that learned reconstructions are compared with.
 * Mathematics: docs/math/operators/total-variation.md
 *
 * Left out: choosing the weight, which is a loop over weights around this function.
 */
import {
  checkShape,
  formatShape,
  requireBetween,
  requireFunction,
  requireOptions,
  requireRecord,
  requireTensor,
  requireWhole,
  ShapeError,
  sizeOf,
  sub,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import type { LinearMap } from './operator.ts';

/** Options of `totalVariation`. */
export interface TotalVariationOptions {
  /** λ > 0, in units of the image's numbers. */
  readonly weight: number;
  /** Steps of FISTA. Default: 40. */
  readonly iterations?: number;
  /** Steps of each proximal map, of which the first one is the image as it comes: at least 2. Default: 30. */
  readonly proximalIterations?: number;
  /** ‖A‖, or a bound from above; `operatorNorm` of `@invnet/jvp` finds it. Default: 1. */
  readonly norm?: number;
}

/**
 * The image u that minimizes ½‖A u − d‖² + λ Σ_c TV(u_c), with the isotropic total variation
 * TV(v) = Σ_ij √((v_{i+1,j} − v_ij)² + (v_{i,j+1} − v_ij)²) of each channel, for images [N, C, H, W].
 *
 * FISTA (Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", 2009)
 * with steps 1/‖A‖² from Aᵀd/‖A‖² on, and Chambolle's dual iteration for the proximal map ("An algorithm for total
 * variation minimization and applications", 2004), as in scikit-image's `denoise_tv_chambolle`. The proximal maps run
 * on the host, in float64; data may lie on any backend.
 *
 * @throws ValueError for a weight or a norm that is not positive, and where numbers leave the range of floats, which
 * a norm below ‖A‖ leads to. @throws ShapeError for data of another shape than the operator's.
 * @example
 * const operator = new PhaseEncodedFourier({ size: [128, 128], lines });
 * const image = await totalVariation(operator, data, { weight: 0.005 }); // [N, 2, 128, 128]
 */
export async function totalVariation(
  operator: LinearMap,
  data: Tensor,
  options: TotalVariationOptions,
): Promise<Tensor> {
  const names = ['weight', 'iterations', 'proximalIterations', 'norm'];
  requireOptions('totalVariation', options, names);
  const { weight, iterations = 40, proximalIterations = 30, norm = 1 } = options;
  requireBetween('totalVariation', 'weight', weight, 0);
  requireWhole('totalVariation', 'iterations', iterations, 1, MOST_ITERATIONS);
  requireWhole('totalVariation', 'proximalIterations', proximalIterations, 2, MOST_ITERATIONS);
  requireBetween('totalVariation', 'norm', norm, 0);
  const shape = imagesOf(operator, data);
  const step = norm ** -2;

  const gradient = async (u: Float64Array): Promise<ArrayLike<number>> => {
    using result = tidy(() =>
      operator.adjoint(sub(operator.forward(tensor(u, shape, data)), data)),
    );
    return result.data();
  };
  const denoise = proximal(shape, proximalIterations);
  // The gradient at zero is −Aᵀd.
  let x = moved(
    new Float64Array(sizeOf(shape)),
    await gradient(new Float64Array(sizeOf(shape))),
    -step,
  );
  let z = x;
  let momentum = 1;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const next = denoise(moved(z, await gradient(z), -step), weight * step);
    const nextMomentum = (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2;
    const beyond = (momentum - 1) / nextMomentum;
    const last = x;
    z = next.map((v, i) => v + beyond * (v - last[i]!));
    [x, momentum] = [next, nextMomentum];
  }
  if (x.every(Number.isFinite)) return tensor(x, shape, data);
  throw new ValueError(
    `totalVariation: the iteration has left the range of numbers; expected data that are finite, and a norm of ` +
      `at least ‖A‖, where it is ${norm}. operatorNorm(operatorOf(operator)) of @invnet/jvp finds it.`,
  );
}

/** Far more than change anything. */
const MOST_ITERATIONS = 10_000;

/** The shape of the images that data are of. @throws ShapeError */
function imagesOf(operator: LinearMap, data: Tensor): [number, number, number, number] {
  requireRecord('totalVariation', 'operator', operator, '{ domain, range, forward, adjoint }');
  requireFunction('totalVariation', "the operator's forward", operator.forward);
  requireFunction('totalVariation', "the operator's adjoint", operator.adjoint);
  const domain = checkShape('totalVariation', operator.domain);
  const range = checkShape('totalVariation', operator.range);
  const [n, ...sample] = requireTensor('totalVariation', data, 'data').shape;
  const [channels, height, width] = domain;
  if (domain.length !== 3) {
    throw new ShapeError(
      `totalVariation: an operator on images ${formatShape(domain)}; expected [C, H, W].`,
    );
  }
  if (sample.length !== range.length || sample.some((s, i) => s !== range[i])) {
    throw new ShapeError(
      `totalVariation: data of ${formatShape(data.shape)}; expected [N, ${range.join(', ')}], which the ` +
        'operator gives.',
    );
  }
  return [n!, channels!, height!, width!];
}

/** u + α v */
function moved(u: Float64Array, v: ArrayLike<number>, alpha: number): Float64Array {
  return u.map((value, i) => value + alpha * v[i]!);
}

/**
 * argmin_u ½‖u − f‖² + λ TV(u) on all planes: u = f + Dᵀp, where p ← (p − τ D u) / (1 + τ |D u| / λ) from 0 on,
 * with forward differences D and τ = ¼.
 */
function proximal(
  [n, channels, height, width]: readonly [number, number, number, number],
  iterations: number,
): (f: Float64Array, weight: number) => Float64Array {
  const plane = height * width;
  const [down, right] = [new Float64Array(plane), new Float64Array(plane)];
  const tau = 0.25;

  /** u = f + Dᵀp. Entries of p beyond the last row and column stay zero. */
  const primal = (f: Float64Array, u: Float64Array) => {
    for (let i = 0, at = 0; i < height; i++) {
      for (let j = 0; j < width; j++, at++) {
        let value = f[at]! - down[at]! - right[at]!;
        if (i > 0) value += down[at - width]!;
        if (j > 0) value += right[at - 1]!;
        u[at] = value;
      }
    }
  };
  const dual = (u: Float64Array, weight: number) => {
    for (let i = 0, at = 0; i < height; i++) {
      for (let j = 0; j < width; j++, at++) {
        const value = u[at]!;
        const dy = i + 1 < height ? u[at + width]! - value : 0;
        const dx = j + 1 < width ? u[at + 1]! - value : 0;
        const scale = 1 / (1 + (tau / weight) * Math.sqrt(dx * dx + dy * dy));
        down[at] = scale * (down[at]! - tau * dy);
        right[at] = scale * (right[at]! - tau * dx);
      }
    }
  };
  return (f, weight) => {
    const result = new Float64Array(f.length);
    for (let k = 0; k < n * channels; k++) {
      const [given, u] = [f, result].map((a) => a.subarray(k * plane, (k + 1) * plane));
      down.fill(0);
      right.fill(0);
      u!.set(given!);
      for (let iteration = 1; iteration < iterations; iteration++) {
        dual(u!, weight);
        primal(given!, u!);
      }
    }
    return result;
  };
}
