/** Shifts. Mathematics: docs/math/transformers/transformers.md */
import { add, neg, sub, type Tensor, zeros } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { Transformer } from './transformer.ts';

/**
 * y = x + t with p = t; logdet = 0.
 *
 * @example new TransformerCoupling({ channels: 4, transformer: new AdditiveTransformer() })
 */
export class AdditiveTransformer extends Transformer {
  static readonly type: string = 'AdditiveTransformer';
  readonly options = {};

  /** @throws ValueError for options that it does not have. */
  constructor(options: Readonly<Record<string, never>> = {}) {
    super();
    requireModuleOptions('AdditiveTransformer', options, []);
  }

  get size() {
    return 1;
  }

  apply(x: Tensor, p: Tensor) {
    return { y: add(x, p), logdet: zeroPerSample(x) };
  }

  invert(y: Tensor, p: Tensor) {
    return { x: sub(y, p), logdet: zeroPerSample(y) };
  }

  applyBackward(y: Tensor, p: Tensor, dy: Tensor) {
    return { x: sub(y, p), dx: dy, dp: dy };
  }

  invertBackward(x: Tensor, p: Tensor, dx: Tensor) {
    return { y: add(x, p), dy: dx, dp: neg(dx) };
  }

  applyTangent(x: Tensor, p: Tensor, dx?: Tensor, dp?: Tensor) {
    return { ...this.apply(x, p), dy: sumOfTerms(x, dx, dp), dlogdet: zeroPerSample(x) };
  }

  invertTangent(y: Tensor, p: Tensor, dy?: Tensor, dp?: Tensor) {
    return {
      ...this.invert(y, p),
      dx: sumOfTerms(y, dy, dp && neg(dp)),
      dlogdet: zeroPerSample(y),
    };
  }
}

/** Zero for each sample. */
export function zeroPerSample(x: Tensor): Tensor {
  return zeros([x.shape[0]!], x);
}
