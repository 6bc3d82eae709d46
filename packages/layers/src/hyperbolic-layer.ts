/**
 * A leapfrog step of a hyperbolic network (Lensink, Peters and Haber, "Fully hyperbolic
 * convolutional neural networks", 2019). Mathematics: docs/math/hyperbolic-layer.md
 */
import {
  add,
  affine,
  clone,
  neg,
  sub,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireTangent, requireWhole, sumOfTerms, zeroLogdet } from './checks.ts';
import type { Conditioner } from './conditioner.ts';
import { Parallel } from './parallel.ts';
import { type Parameter, prefixNames } from './parameter.ts';
import { reverse } from './reverse.ts';
import { Sequential } from './sequential.ts';
import { HaarSqueeze } from './squeeze.ts';
import type { Pair } from './state.ts';
import { SymmetricBlock, type SymmetricBlockOptions } from './symmetric-block.ts';

/**
 * What happens to the resolution before the step: it stays, or a Haar transform halves it (channels
 * times 2 per axis) or doubles it (channels divided by 2 per axis).
 */
export type ResolutionChange = 'keep' | 'halve' | 'double';

/** Options of `HyperbolicLayer`. */
export interface HyperbolicLayerOptions extends SymmetricBlockOptions {
  /** Channels of each of the two states before the change of resolution. */
  readonly channels: number;
  /** Default: `keep`. */
  readonly resolution?: ResolutionChange;
  /** Step size α of the second time derivative. Default: 1. */
  readonly stepSize?: number;
}

/**
 * (x₀, x₁) ↦ (x₁, 2x₁ − x₀ − α Kᵀrelu(K x₁ + b)), on states whose resolution was changed first;
 * logdet = 0. `backward` evaluates K and its adjoint once each for the recomputation.
 *
 * @example
 * const layer = new HyperbolicLayer({ channels: 4, hidden: 16, resolution: 'halve' });
 * const { y: [current, next] } = layer.forward([previous, current]); // [N, 4, H, W] → [N, 16, H/2, W/2]
 */
export class HyperbolicLayer extends Sequential<Pair> {
  /** @throws ValueError for channels that doubling cannot divide, or an unknown resolution change. */
  constructor(options: HyperbolicLayerOptions) {
    const { resolution = 'keep', stepSize = 1, ndims = 2 } = options;
    const channels = channelsAfter(options.channels, resolution, ndims);
    const step = new Leapfrog(new SymmetricBlock({ ...options, channels }), stepSize);
    const haar = new HaarSqueeze();
    const halve = new Parallel(haar, haar);
    const layers: Record<ResolutionChange, Record<string, Bijection<Pair>>> = {
      keep: { step },
      halve: { resolution: halve, step },
      double: { resolution: reverse(halve), step },
    };
    super(layers[resolution]);
  }
}

/** Channels that a change of resolution leaves. @throws ValueError when they do not divide. */
export function channelsAfter(
  channels: number,
  resolution: ResolutionChange,
  ndims: number,
): number {
  requireWhole('HyperbolicLayer', 'channels', channels, 1);
  switch (resolution) {
    case 'keep':
      return channels;
    case 'halve':
      return channels * 2 ** ndims;
    case 'double':
      if (channels % 2 ** ndims !== 0) {
        throw new ValueError(
          `HyperbolicLayer: ${channels} channels cannot double the resolution of ${ndims} axes; ` +
            `expected a multiple of ${2 ** ndims}.`,
        );
      }
      return channels / 2 ** ndims;
    default:
      throw new ValueError(
        `HyperbolicLayer: resolution is '${resolution}'; expected keep, halve or double.`,
      );
  }
}

/** (x₀, x₁) ↦ (x₁, 2x₁ − x₀ + α g(x₁)). */
class Leapfrog implements Bijection<Pair> {
  readonly parameters: readonly Parameter[];
  readonly #force: Conditioner;
  readonly #stepSize: number;

  constructor(force: Conditioner, stepSize: number) {
    this.#force = force;
    this.#stepSize = stepSize;
    this.parameters = force.parameters;
    prefixNames('force', this.parameters);
  }

  forward([x0, x1]: Pair): { y: Pair; logdet: Tensor } {
    return tidy(() => ({ y: [clone(x1), this.#next(x0, x1)], logdet: zeroLogdet(x1) }));
  }

  inverse([x1, x2]: Pair): { x: Pair; logdet: Tensor } {
    return tidy(() => ({ x: [this.#next(x2, x1), clone(x1)], logdet: zeroLogdet(x1) }));
  }

  backward([x1, x2]: Pair, [dx1, dx2]: Pair, _options?: BackwardOptions) {
    return tidy(() => {
      const { other, through } = this.#back(x1, x2, dx2);
      return { x: [other, clone(x1)] as const, dx: [neg(dx2), add(dx1, through)] as const };
    });
  }

  backwardInverse([x0, x1]: Pair, [dx0, dx1]: Pair, _options?: BackwardOptions) {
    return tidy(() => {
      const { other, through } = this.#back(x1, x0, dx0);
      return { y: [clone(x1), other] as const, dy: [add(dx1, through), neg(dx0)] as const };
    });
  }

  jvp([x0, x1]: Pair, tangent: Tangent<Pair>) {
    requireTangent('HyperbolicLayer', [x0, x1], tangent, this.parameters);
    const [dx0, dx1] = tangent.x ?? [];
    return tidy(() => {
      const { other, dother } = this.#tangent(x0, x1, dx0, dx1, tangent);
      const dx = dx1 ? clone(dx1) : zerosLike(x1);
      const zero = () => zeroLogdet(x1);
      return {
        y: [clone(x1), other] as const,
        dy: [dx, dother] as const,
        logdet: zero(),
        dlogdet: zero(),
      };
    });
  }

  jvpInverse([x1, x2]: Pair, tangent: Tangent<Pair>) {
    requireTangent('HyperbolicLayer', [x1, x2], tangent, this.parameters);
    const [dx1, dx2] = tangent.x ?? [];
    return tidy(() => {
      const { other, dother } = this.#tangent(x2, x1, dx2, dx1, tangent);
      const dx = dx1 ? clone(dx1) : zerosLike(x1);
      const zero = () => zeroLogdet(x1);
      return {
        x: [other, clone(x1)] as const,
        dx: [dother, dx] as const,
        logdet: zero(),
        dlogdet: zero(),
      };
    });
  }

  /** 2x₁ − `other` + α g(x₁): the step is its own inverse, with time reversed. */
  #next(other: Tensor, x1: Tensor): Tensor {
    const { y: force, saved } = this.#force.forward(x1);
    saved.dispose();
    return sub(add(affine(x1, 2), affine(force, this.#stepSize)), other);
  }

  /** The state on the other side, and the gradient that reaches x₁ from it. */
  #back(x1: Tensor, given: Tensor, gradient: Tensor): { other: Tensor; through: Tensor } {
    const { y: force, saved } = this.#force.forward(x1);
    const other = sub(add(affine(x1, 2), affine(force, this.#stepSize)), given);
    const { dx } = this.#force.backward(affine(gradient, this.#stepSize), saved);
    saved.dispose();
    return { other, through: add(affine(gradient, 2), dx) };
  }

  #tangent(
    given: Tensor,
    x1: Tensor,
    dgiven: Tensor | undefined,
    dx1: Tensor | undefined,
    tangent: Tangent<Pair>,
  ): { other: Tensor; dother: Tensor } {
    const { y: force, dy } = this.#force.jvp(x1, { x: dx1, parameters: tangent.parameters });
    const other = sub(add(affine(x1, 2), affine(force, this.#stepSize)), given);
    const dother = sumOfTerms(
      x1,
      affine(dy, this.#stepSize),
      dx1 && affine(dx1, 2),
      dgiven && neg(dgiven),
    );
    return { other, dother };
  }
}
