/**
 * 1×1 convolutions: orthogonal by Householder reflections (Putzky and Welling, "Invert to learn to
 * invert", 2019), or any regular matrix by its PLU factors (Kingma and Dhariwal, "Glow", 2018).
 * Mathematics: docs/math/conv1x1.md
 */
import {
  add,
  affine,
  conv,
  convFilterGrad,
  convInputGrad,
  neg,
  RandomStream,
  sub,
  sum,
  type Tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import {
  positions,
  requireChannels,
  requireTangent,
  requireWhole,
  sumOfTerms,
  zeroLogdet,
} from './checks.ts';
import { Householder } from './householder.ts';
import type { Parameter } from './parameter.ts';
import { PluFactors } from './plu-factors.ts';

/** Options of `Conv1x1`. */
export interface Conv1x1Options {
  readonly channels: number;
  /**
   * `householder` keeps W orthogonal; `plu` lets it be any matrix P L U with a positive diagonal of
   * U, and its determinant with it. Default: `householder`.
   */
  readonly parametrization?: 'householder' | 'plu';
  /** A fixed random mixing of channels, which is not trained. Default: false. */
  readonly frozen?: boolean;
  /** Draws the matrix, which starts orthogonal. Default: seed 0. */
  readonly random?: RandomStream;
}

/** A square matrix with parameters. Called within a `tidy`. */
export interface Mixing {
  readonly parameters: readonly Parameter[];
  /** The matrix that the parameters give now. */
  evaluate(): EvaluatedMixing;
  /** log|det W|, with its tangent and its gradient; left out where it is zero. */
  readonly volume?: {
    logdet(): Tensor;
    tangent(tangent: Tangent): Tensor | undefined;
    accumulate(gradient: Tensor, factor: number): void;
  };
}

/** A matrix W, whose pieces are made once for all that is asked of it. Lives within one `tidy`. */
export interface EvaluatedMixing {
  /** W x, W⁻¹x and Wᵀx, W⁻ᵀx for x [N, C, P]. */
  apply(x: Tensor): Tensor;
  applyInverse(x: Tensor): Tensor;
  applyTransposed(x: Tensor): Tensor;
  applyInverseTransposed(x: Tensor): Tensor;
  /** The derivative of W along a direction; undefined where it does not move. */
  tangent(tangent: Tangent): Tensor | undefined;
  /** Adds the parameters' gradients for g = ∂loss/∂W. */
  accumulate(g: Tensor): void;
}

/**
 * y = W x at every position; logdet = P·log|det W| over P positions, which is 0 for Householder
 * reflections.
 *
 * @example
 * const mix = new Conv1x1({ channels: 8, random: new RandomStream(1) });
 * const { y } = mix.forward(x); // x [N, 8, ...]
 */
export class Conv1x1 implements Bijection {
  readonly channels: number;
  readonly parameters: readonly Parameter[];
  readonly #mixing: Mixing;

  /** @throws ValueError unless channels ≥ 1, or for an unknown parametrization. */
  constructor(options: Conv1x1Options) {
    const { channels, frozen = false, random = new RandomStream(0) } = options;
    const { parametrization = 'householder' } = options;
    requireWhole('Conv1x1', 'channels', channels, 1);
    if (parametrization !== 'householder' && parametrization !== 'plu') {
      throw new ValueError(
        `Conv1x1: parametrization is '${parametrization}'; expected householder or plu.`,
      );
    }
    this.channels = channels;
    this.#mixing =
      parametrization === 'plu'
        ? new PluFactors(channels, random, frozen)
        : new Householder(channels, random, frozen);
    this.parameters = this.#mixing.parameters;
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    requireChannels('Conv1x1', x, this.channels);
    return tidy(() => ({ y: at(x, this.#mixing.evaluate().apply), logdet: this.#logdet(x) }));
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    requireChannels('Conv1x1', y, this.channels);
    return tidy(() => {
      const x = at(y, this.#mixing.evaluate().applyInverse);
      return { x, logdet: neg(this.#logdet(y)) };
    });
  }

  backward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    requireChannels('Conv1x1', y, this.channels);
    return tidy(() => {
      const w = this.#mixing.evaluate();
      const x = at(y, w.applyInverse);
      this.#accumulate(w, () => outer(dy, x), dlogdet, positions(y));
      return { x, dx: at(dy, w.applyTransposed) };
    });
  }

  backwardInverse(
    x: Tensor,
    dx: Tensor,
    { dlogdet }: BackwardOptions = {},
  ): { y: Tensor; dy: Tensor } {
    requireChannels('Conv1x1', x, this.channels);
    return tidy(() => {
      const w = this.#mixing.evaluate();
      const dy = at(dx, w.applyInverseTransposed);
      this.#accumulate(w, () => neg(outer(dy, x)), dlogdet, -positions(x));
      return { y: at(x, w.apply), dy };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Conv1x1', x, tangent, this.parameters);
    requireChannels('Conv1x1', x, this.channels);
    return tidy(() => {
      const w = this.#mixing.evaluate();
      const dw = w.tangent(tangent);
      const dy = sumOfTerms(x, tangent.x && at(tangent.x, w.apply), dw && at(x, mixingBy(dw)));
      const dlogdet = this.#logdetTangent(x, tangent);
      return { y: at(x, w.apply), dy, logdet: this.#logdet(x), dlogdet };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Conv1x1', y, tangent, this.parameters);
    requireChannels('Conv1x1', y, this.channels);
    return tidy(() => {
      const w = this.#mixing.evaluate();
      const x = at(y, w.applyInverse);
      const dw = w.tangent(tangent);
      const still = sumOfTerms(y, tangent.x);
      const dx = at(dw ? sub(still, at(x, mixingBy(dw))) : still, w.applyInverse);
      const dlogdet = neg(this.#logdetTangent(y, tangent));
      return { x, dx, logdet: neg(this.#logdet(y)), dlogdet };
    });
  }

  #logdet(x: Tensor): Tensor {
    return this.#perSample(x, this.#mixing.volume?.logdet());
  }

  #logdetTangent(x: Tensor, tangent: Tangent): Tensor {
    return this.#perSample(x, this.#mixing.volume?.tangent(tangent));
  }

  /** A number per position and sample, summed over the positions. */
  #perSample(x: Tensor, perPosition: Tensor | undefined): Tensor {
    if (!perPosition) return zeroLogdet(x);
    return add(zeros([x.shape[0]!], x), affine(perPosition, positions(x)));
  }

  /** Adds the gradients for ∂loss/∂W, which is made only if a parameter is trained. */
  #accumulate(
    w: EvaluatedMixing,
    makeGrad: () => Tensor,
    dlogdet: Tensor | undefined,
    factor: number,
  ): void {
    if (this.parameters.every((p) => p.frozen)) return;
    w.accumulate(makeGrad());
    if (dlogdet) this.#mixing.volume?.accumulate(sum(dlogdet), factor);
  }
}

/** What `map` makes of x [N, C, ...] taken as [N, C, P], in x's shape. */
function at(x: Tensor, map: (x: Tensor) => Tensor): Tensor {
  return map(flat(x)).reshape(x.shape);
}

/** x ↦ W x at every position of [N, C, P]: a convolution with a kernel of one position. */
export function mixingBy(w: Tensor): (x: Tensor) => Tensor {
  const kernel = w.reshape([...w.shape, 1]);
  return (x) => conv(x, kernel);
}

/** x ↦ Wᵀx at every position of [N, C, P]. */
export function mixingByTransposed(w: Tensor): (x: Tensor) => Tensor {
  const kernel = w.reshape([...w.shape, 1]);
  return (x) => convInputGrad(x, kernel, x.shape);
}

/** Σ a bᵀ over samples and positions, [C, C]. */
function outer(a: Tensor, b: Tensor): Tensor {
  const channels = a.shape[1]!;
  const kernel = [channels, channels, 1];
  return convFilterGrad(flat(b), flat(a), kernel).reshape([channels, channels]);
}

function flat(x: Tensor): Tensor {
  return x.reshape([x.shape[0]!, x.shape[1]!, -1]);
}
