/** A matrix at every position, whatever it is made of. Mathematics: docs/math/linear/conv1x1.md */
import {
  add,
  affine,
  convFilterGrad,
  neg,
  type Shape,
  sub,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels } from '../core/checks.ts';
import { positions, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';
import { type EvaluatedMixing, type Mixing, mixingBy } from './mixing.ts';

/** y = W x at every position; logdet = P·log|det W| over P positions. */
export abstract class LinearMap extends Bijection {
  abstract readonly channels: number;
  /** What W is made of. */
  abstract readonly weights: readonly Parameter[];
  protected abstract get mixing(): Mixing;

  protected apply(x: Tensor) {
    return { y: at(x, this.mixing.evaluate().apply), logdet: this.#logdet(x, 1) };
  }

  protected invert(y: Tensor) {
    return { x: at(y, this.mixing.evaluate().applyInverse), logdet: this.#logdet(y, -1) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const w = this.mixing.evaluate();
    const x = kept ?? at(y, w.applyInverse);
    this.#accumulate(w, () => outer(dy, x), dlogdet, positions(y));
    return { x, dx: at(dy, w.applyTransposed) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const w = this.mixing.evaluate();
    const dy = at(dx, w.applyInverseTransposed);
    this.#accumulate(w, () => neg(outer(dy, x)), dlogdet, -positions(x));
    return { y: kept ?? at(x, w.apply), dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const w = this.mixing.evaluate();
    const dw = w.tangent(tangent);
    const dy = sumOfTerms(x, tangent.x && at(tangent.x, w.apply), dw && at(x, mixingBy(dw)));
    const dlogdet = this.#logdetTangent(x, tangent, 1);
    return { y: at(x, w.apply), dy, logdet: this.#logdet(x, 1), dlogdet };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const w = this.mixing.evaluate();
    const x = at(y, w.applyInverse);
    const dw = w.tangent(tangent);
    const still = sumOfTerms(y, tangent.x);
    const dx = at(dw ? sub(still, at(x, mixingBy(dw))) : still, w.applyInverse);
    const dlogdet = this.#logdetTangent(y, tangent, -1);
    return { x, dx, logdet: this.#logdet(y, -1), dlogdet };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels(this.type, x, this.channels);
  }

  #logdet(x: Tensor, sign: 1 | -1): Tensor | undefined {
    return summed(x, this.mixing.volume?.logdet(), sign);
  }

  #logdetTangent(x: Tensor, tangent: Tangent, sign: 1 | -1): Tensor | undefined {
    return summed(x, this.mixing.volume?.tangent(tangent), sign);
  }

  /** Adds the gradients for ∂loss/∂W, which is made only if a parameter is trained. */
  #accumulate(
    w: EvaluatedMixing,
    makeGrad: () => Tensor,
    dlogdet: Tensor | undefined,
    factor: number,
  ): void {
    if (this.weights.every((p) => p.frozen)) return;
    w.accumulate(makeGrad());
    if (dlogdet) this.mixing.volume?.accumulate(sum(dlogdet), factor);
  }
}

/** ± a number per position, summed over the positions of each sample, [N]. */
function summed(x: Tensor, perPosition: Tensor | undefined, sign: 1 | -1): Tensor | undefined {
  return perPosition && add(zeros([x.shape[0]!], x), affine(perPosition, sign * positions(x)));
}

/** What `map` makes of x [N, C, ...] taken as [N, C, P], in x's shape. */
function at(x: Tensor, map: (x: Tensor) => Tensor): Tensor {
  return map(flat(x)).reshape(x.shape);
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
