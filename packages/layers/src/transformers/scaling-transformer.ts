/** Scales. Mathematics: docs/math/transformers/transformers.md */
import { div, mul, neg, type Tensor } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { type Activation, requireScaleFunction } from '../elementwise/activation.ts';
import { exp } from '../elementwise/exponentials.ts';
import { scaleGrad, scaleTangents, sumOfLogs } from './affine.ts';
import { Transformer } from './transformer.ts';

/** Options of `ScalingTransformer`. */
export interface ScalingTransformerOptions {
  /** Gives the scale, as of `AffineTransformer`. Default: `exp()`. */
  readonly scaleFunction?: Activation;
}

/**
 * y = s x with s = scaleFunction(r) and p = r; logdet = Σ log s.
 *
 * @example
 * new ElementwiseTransform({ channels: 3, size: [8, 8], transformer: new ScalingTransformer() });
 */
export class ScalingTransformer extends Transformer {
  static readonly type: string = 'ScalingTransformer';
  readonly scaleFunction: Activation;

  /** @throws ValueError for a scale function that can reach zero. */
  constructor(options: ScalingTransformerOptions = {}) {
    super();
    requireModuleOptions('ScalingTransformer', options, ['scaleFunction']);
    const { scaleFunction = exp() } = options;
    this.scaleFunction = requireScaleFunction('ScalingTransformer', scaleFunction);
  }

  get options() {
    return { scaleFunction: this.scaleFunction };
  }

  get size() {
    return 1;
  }

  apply(x: Tensor, r: Tensor) {
    const s = this.scaleFunction.apply(r);
    return { y: mul(s, x), logdet: sumOfLogs(this.scaleFunction, r, s) };
  }

  invert(y: Tensor, r: Tensor) {
    const s = this.scaleFunction.apply(r);
    return { x: div(y, s), logdet: neg(sumOfLogs(this.scaleFunction, r, s)) };
  }

  applyBackward(y: Tensor, r: Tensor, dy: Tensor, dlogdet?: Tensor) {
    const f = this.scaleFunction;
    const s = f.apply(r);
    const x = div(y, s);
    return { x, dx: mul(s, dy), dp: scaleGrad(f, r, s, mul(dy, x), dlogdet) };
  }

  invertBackward(x: Tensor, r: Tensor, dx: Tensor, dlogdet?: Tensor) {
    const f = this.scaleFunction;
    const s = f.apply(r);
    const dy = div(dx, s);
    return { y: mul(s, x), dy, dp: neg(scaleGrad(f, r, s, mul(dy, x), dlogdet)) };
  }

  applyTangent(x: Tensor, r: Tensor, dx?: Tensor, dr?: Tensor) {
    const { s, ds, ...logs } = scaleTangents(this.scaleFunction, r, dr);
    return { y: mul(s, x), dy: sumOfTerms(x, ds && mul(ds, x), dx && mul(s, dx)), ...logs };
  }

  invertTangent(y: Tensor, r: Tensor, dy?: Tensor, dr?: Tensor) {
    const { s, ds, logdet, dlogdet } = scaleTangents(this.scaleFunction, r, dr);
    const x = div(y, s);
    const dx = div(sumOfTerms(y, dy, ds && neg(mul(ds, x))), s);
    return { x, dx, logdet: neg(logdet), dlogdet: neg(dlogdet) };
  }
}
