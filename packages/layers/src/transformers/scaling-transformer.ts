/** Scales. Mathematics: docs/math/transformers/transformers.md */
import { concat, type Tensor, tidy, zerosLike } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { type Activation, requireScaleFunction } from '../elementwise/activation.ts';
import { exp } from '../elementwise/exponentials.ts';
import {
  halvesOf,
  scaleAndShift,
  scaleAndShiftBackward,
  scaleAndShiftTangent,
  undoScaleAndShift,
  undoScaleAndShiftBackward,
  undoScaleAndShiftTangent,
} from './affine.ts';
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

  apply(x: Tensor, p: Tensor) {
    return scaleAndShift(this.scaleFunction, x, withoutShift(p));
  }

  invert(y: Tensor, p: Tensor) {
    return undoScaleAndShift(this.scaleFunction, y, withoutShift(p));
  }

  applyBackward(y: Tensor, p: Tensor, dy: Tensor, dlogdet?: Tensor) {
    const back = scaleAndShiftBackward(this.scaleFunction, y, withoutShift(p), dy, dlogdet);
    return { ...back, dp: halvesOf(back.dp)[0] };
  }

  invertBackward(x: Tensor, p: Tensor, dx: Tensor, dlogdet?: Tensor) {
    const back = undoScaleAndShiftBackward(this.scaleFunction, x, withoutShift(p), dx, dlogdet);
    return { ...back, dp: halvesOf(back.dp)[0] };
  }

  applyTangent(x: Tensor, p: Tensor, dx?: Tensor, dp?: Tensor) {
    return scaleAndShiftTangent(this.scaleFunction, x, withoutShift(p), dx, dp && withoutShift(dp));
  }

  invertTangent(y: Tensor, p: Tensor, dy?: Tensor, dp?: Tensor) {
    return undoScaleAndShiftTangent(
      this.scaleFunction,
      y,
      withoutShift(p),
      dy,
      dp && withoutShift(dp),
    );
  }
}

/** (r, 0) */
function withoutShift(r: Tensor): Tensor {
  return tidy(() => concat([r, zerosLike(r)], 1));
}
