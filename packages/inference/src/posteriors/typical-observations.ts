/**
 * What observations looked like that a posterior was learned from, so that one of another kind is noticed: what a network says
 * of it is extrapolated. Mathematics: docs/math/inference/neural-posterior.md
 */
import {
  Construction,
  Module,
  requireModuleOptions,
  requireWhole,
  TensorBuffer,
} from '@invnet/layers';
import { zeros } from '@invnet/tensor';

/** How far an observation is from those of the training. */
export interface Typicality {
  /** Mahalanobis distance of its summary from the mean. */
  readonly distance: number;
  /** The distance that all but one of a thousand training observations stay within. */
  readonly limit: number;
  /** Is the distance beyond the limit? */
  readonly unusual: boolean;
}

/** The share of training observations that are called usual. */
const share = 0.999;

/**
 * Mean and covariance of the summaries of training observations, and how far these lie from it.
 *
 * The distance is ‖L⁻¹(s − m)‖ with L Lᵀ the covariance, to which a thousandth of its diagonal is added, for summaries may
 * depend on each other.
 */
export class TypicalObservations extends Module {
  static readonly type: string = 'TypicalObservations';
  readonly features: number;
  readonly mean: TensorBuffer;
  /** L⁻¹, row by row. */
  readonly whitening: TensorBuffer;
  readonly limit: TensorBuffer;

  /** @throws ValueError unless features ≥ 1. */
  constructor(options: { features: number }) {
    super();
    using building = new Construction();
    requireModuleOptions('TypicalObservations', options, ['features']);
    const { features } = options;
    requireWhole('TypicalObservations', 'features', features, 1);
    this.features = features;
    this.mean = new TensorBuffer('mean', zeros([features]));
    this.whitening = new TensorBuffer('whitening', zeros([features, features]));
    this.limit = new TensorBuffer('limit', zeros([1]));
    building.complete();
  }

  get options() {
    return { features: this.features };
  }

  /** Learns from summaries, row by row. */
  set(summaries: ArrayLike<number>): void {
    const { features } = this;
    const count = summaries.length / features;
    const mean = new Float64Array(features);
    for (let i = 0; i < summaries.length; i++) mean[i % features]! += summaries[i]! / count;
    const covariance = new Float64Array(features * features);
    for (let n = 0; n < count; n++) {
      for (let a = 0; a < features; a++) {
        const da = summaries[n * features + a]! - mean[a]!;
        for (let b = 0; b <= a; b++) {
          const db = summaries[n * features + b]! - mean[b]!;
          covariance[a * features + b]! += (da * db) / count;
        }
      }
    }
    const whitening = inverseFactor(covariance, features);
    const distances = distancesOf(summaries, mean, whitening).sort();
    this.mean.write(mean);
    this.whitening.write(whitening);
    const at = Math.min(distances.length - 1, Math.ceil(share * distances.length) - 1);
    this.limit.write(Float64Array.of(distances[at]!));
  }

  /** How far summaries are, row by row. */
  async of(summaries: ArrayLike<number>): Promise<Typicality[]> {
    const [mean, whitening, limits] = await Promise.all(
      [this.mean, this.whitening, this.limit].map((buffer) => buffer.read()),
    );
    const limit = limits![0]!;
    const distances = distancesOf(summaries, mean!, whitening!);
    return Array.from(distances, (distance) => ({ distance, limit, unusual: distance > limit }));
  }
}

function distancesOf(
  summaries: ArrayLike<number>,
  mean: ArrayLike<number>,
  whitening: ArrayLike<number>,
): Float64Array {
  const features = mean.length;
  return Float64Array.from({ length: summaries.length / features }, (_, n) => {
    let squares = 0;
    for (let a = 0; a < features; a++) {
      let z = 0;
      for (let b = 0; b <= a; b++) {
        z += whitening[a * features + b]! * (summaries[n * features + b]! - mean[b]!);
      }
      squares += z * z;
    }
    return Math.sqrt(squares);
  });
}

/** L⁻¹ of the Cholesky factor of a covariance, of which the lower triangle is given, with a thousandth more on its diagonal. */
function inverseFactor(covariance: Float64Array, size: number): Float64Array {
  const factor = new Float64Array(size * size);
  const at = (i: number, j: number) => i * size + j;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = covariance[at(i, j)]!;
      // What is constant has a deviation of 1, as in its standardization.
      if (i === j) sum = 1.001 * sum || 1;
      for (let k = 0; k < j; k++) sum -= factor[at(i, k)]! * factor[at(j, k)]!;
      factor[at(i, j)] = i === j ? Math.sqrt(sum) : sum / factor[at(j, j)]!;
    }
  }
  const inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    inverse[at(i, i)] = 1 / factor[at(i, i)]!;
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum -= factor[at(i, k)]! * inverse[at(k, j)]!;
      inverse[at(i, j)] = sum / factor[at(i, i)]!;
    }
  }
  return inverse;
}
