/**
 * Linear layers whose operator norm is bounded (Miyato et al., "Spectral normalization for generative
 * adversarial networks", 2018; Gouk et al., 2018, for convolutions). Mathematics:
 * docs/math/residual/spectral-layers.md
 */
import {
  add,
  affine,
  div,
  full,
  maximum,
  mul,
  ones,
  RandomStream,
  reluGrad,
  requireBetween,
  type Shape,
  sqrt,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { requireRepeats } from '../core/checks.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { activeStep } from '../core/training-step.ts';
import { TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { type EvaluatedLayer, LipschitzLayer } from './lipschitz-layer.ts';

/** What spectral layers have in common. */
export interface SpectralOptions {
  /** What the operator norm may be, above 0 and below 1. Default: 0.9. */
  readonly coefficient?: number;
  /** Steps of the power iteration in each training step. Default: 5. */
  readonly iterations?: number;
  /** Deviation of the first weights relative to 1/√fan-in. Default: 1. */
  readonly gain?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The names of these options, without `random`. */
export const spectralOptions = ['coefficient', 'iterations', 'gain'];

/** A linear map by weights w, with its adjoints in both. */
export interface WeightedMap {
  /** w h */
  product(h: Tensor, w: Tensor): Tensor;
  /** wᵀu, of the shape of h */
  adjoint(u: Tensor, w: Tensor, h: Shape): Tensor;
  /** ∂⟨u, w h⟩/∂w */
  outer(u: Tensor, h: Tensor): Tensor;
}

/** Steps of the power iteration when a layer is made: enough for an estimate within some percent. */
const firstIterations = 30;

/** How much of itself a direction keeps, so that there is one where w v is zero. */
const leastTurn = 1e-12;

/** Norms below it count as 0, so that nothing is divided by one. */
const leastNorm = 1e-30;

/**
 * g(h) = w̃ h + b with w̃ = w/max(1, ‖w‖/c): the weights as they are while their operator norm is at most the
 * coefficient c, else scaled to it.
 *
 * The norm is ‖w v‖ for a unit vector v, the buffer `direction`, which power iteration turns towards the right
 * singular vector of the largest singular value; so it is estimated from below. v moves in training steps only,
 * once each: so layers do not change while they are evaluated. `updateLipschitz` moves it for weights that were
 * assigned. The derivative goes through the norm with v as it is.
 */
export abstract class SpectralLayer extends LipschitzLayer {
  readonly w: Parameter;
  readonly b: Parameter;
  /** The unit vector v, one sample. */
  readonly direction: TensorBuffer;
  readonly lipschitz: number;
  readonly #map: WeightedMap;
  readonly #iterations: number;

  /** Checks `options`, and draws weights of a shape for a map of samples of shape `domain`. */
  protected constructor(
    op: string,
    options: SpectralOptions,
    shape: Shape,
    domain: Shape,
    map: WeightedMap,
  ) {
    super();
    using building = new Construction();
    const { coefficient, iterations, gain } = spectralDefaults(options);
    const { random = new RandomStream(0) } = options;
    requireBetween(op, 'coefficient', coefficient, 0, 1);
    requireRepeats(op, 'iterations', iterations);
    requireBetween(op, 'gain', gain, 0);
    const fan = shape.slice(1).reduce((a, b) => a * b, 1);
    this.w = new Parameter('w', random.normal(shape, gain / Math.sqrt(fan)));
    this.b = new Parameter('b', zeros([shape[0]!]));
    this.direction = new TensorBuffer(
      'direction',
      tidy(() => unit(random.normal([1, ...domain]))),
    );
    this.lipschitz = coefficient;
    this.#map = map;
    this.#iterations = iterations;
    this.updateNorm(firstIterations);
    building.complete();
  }

  /** ‖w v‖, which the operator norm of the weights is at least; a single number. */
  norm(): Tensor {
    return tidy(() => sqrt(sumSquares(this.#map.product(this.direction.data, this.w.data))));
  }

  /**
   * Takes steps of the power iteration for the weights of now. @throws ValueError unless it is a number of
   * steps.
   */
  updateNorm(iterations: number = this.#iterations): void {
    requireRepeats(this.type, 'iterations', iterations);
    tidy(() => this.direction.assign(this.#turned(iterations)));
  }

  evaluate(): EvaluatedLayer {
    const { w, b } = this;
    const map = this.#map;
    const direction = this.direction.data;
    if (this.training) activeStep()?.gather(this.direction, this.#turned(this.#iterations), 1);
    const image = map.product(direction, w.data);
    const norm = sqrt(sumSquares(image));
    const excess = affine(norm, 1 / this.lipschitz);
    const factor = maximum(excess, ones([], norm));
    // ∂‖w v‖/∂w, and that of the factor relative to it, which is 0 while the norm is within its bound.
    const normSlope = () => map.outer(div(image, atLeast(norm)), direction);
    const factorSlope = reluGrad(affine(excess, 1, -1), full([], 1 / this.lipschitz, norm));
    const perFactor = div(factorSlope, mul(factor, factor));
    const weight = div(w.data, factor);
    const gather = (g: Tensor) => {
      const along = mul(sum(mul(g, w.data)), perFactor);
      w.takeGrad(tidy(() => sub(div(g, factor), mul(normSlope(), along))));
    };
    const weightTangent = (tangent: Tangent) => {
      const dw = tangent.parameters?.get(w);
      if (!dw) return undefined;
      const along = mul(sum(mul(normSlope(), dw)), perFactor);
      return sub(div(dw, factor), mul(w.data, along));
    };
    return {
      apply: (h) => {
        const y = map.product(h, weight);
        return add(y, alongChannels(b.data, y));
      },
      push: (_, v) => map.product(v, weight),
      pull: (h, u) => map.adjoint(u, weight, h.shape),
      accumulate: (h, u) => {
        if (!w.frozen) gather(map.outer(u, h));
        if (!b.frozen) b.takeGrad(channelSums(u));
      },
      accumulateBend: (_, v, u) => {
        if (!w.frozen) gather(map.outer(u, v));
      },
      moved: (h, tangent) => {
        const dw = weightTangent(tangent);
        const db = tangent.parameters?.get(b);
        const y = dw && map.product(h, dw);
        if (!db) return y;
        const like = y ?? map.product(h, weight);
        return sumOfTerms(like, y, add(affine(like, 0), alongChannels(db, like)));
      },
      movedPush: (_, v, tangent) => {
        const dw = weightTangent(tangent);
        return dw && map.product(v, dw);
      },
    };
  }

  /** v ← wᵀw v/‖wᵀw v‖, so many times. */
  #turned(iterations: number): Tensor {
    const { product, adjoint } = this.#map;
    const w = this.w.data;
    return tidy(() => {
      let v = this.direction.data;
      for (let i = 0; i < iterations; i++) {
        const before = v;
        const turn = () => adjoint(unit(product(before, w)), w, before.shape);
        v = tidy(() => unit(add(turn(), affine(before, leastTurn))));
        if (i > 0) before.dispose();
      }
      return v;
    });
  }
}

/** The options, those that are left out included. */
export function spectralDefaults(options: SpectralOptions) {
  const { coefficient = 0.9, iterations = 5, gain = 1 } = options;
  return { coefficient, iterations, gain };
}

function unit(v: Tensor): Tensor {
  return div(v, atLeast(sqrt(sumSquares(v))));
}

function atLeast(norm: Tensor): Tensor {
  return maximum(norm, full([], leastNorm, norm));
}
