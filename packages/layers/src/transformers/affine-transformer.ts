/** Scales and shifts as a transformer. Mathematics: docs/math/transformers/transformers.md */
import type { Tensor } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { type Activation, requireScaleFunction } from '../elementwise/activation.ts';
import {
  defaultScale,
  scaleAndShift,
  scaleAndShiftBackward,
  scaleAndShiftTangent,
  undoScaleAndShift,
  undoScaleAndShiftBackward,
  undoScaleAndShiftTangent,
} from './affine.ts';
import { Transformer } from './transformer.ts';

/** Options of `AffineTransformer`. */
export interface AffineTransformerOptions {
  /**
   * Gives the scale; its lower bound is positive, or it knows its own logarithm, as `exp()` does.
   * Default: `sigmoid({ low: 0.5, high: 1.5 })`.
   */
  readonly scaleFunction?: Activation;
}

/**
 * y = s x + t with s = scaleFunction(r) and p = (r, t); logdet = Σ log s.
 *
 * @example
 * const f = new AffineTransformer({ scaleFunction: exp() });
 * new ElementwiseTransform({ channels: 3, transformer: f });
 */
export class AffineTransformer extends Transformer {
  static readonly type: string = 'AffineTransformer';
  readonly scaleFunction: Activation;

  /** @throws ValueError for a scale function that can reach zero. */
  constructor(options: AffineTransformerOptions = {}) {
    super();
    requireModuleOptions('AffineTransformer', options, ['scaleFunction']);
    const { scaleFunction = defaultScale() } = options;
    this.scaleFunction = requireScaleFunction('AffineTransformer', scaleFunction);
  }

  get options() {
    return { scaleFunction: this.scaleFunction };
  }

  get size() {
    return 2;
  }

  apply(x: Tensor, p: Tensor) {
    return scaleAndShift(this.scaleFunction, x, p);
  }

  invert(y: Tensor, p: Tensor) {
    return undoScaleAndShift(this.scaleFunction, y, p);
  }

  applyBackward(y: Tensor, p: Tensor, dy: Tensor, dlogdet?: Tensor) {
    return scaleAndShiftBackward(this.scaleFunction, y, p, dy, dlogdet);
  }

  invertBackward(x: Tensor, p: Tensor, dx: Tensor, dlogdet?: Tensor) {
    return undoScaleAndShiftBackward(this.scaleFunction, x, p, dx, dlogdet);
  }

  applyTangent(x: Tensor, p: Tensor, dx?: Tensor, dp?: Tensor) {
    return scaleAndShiftTangent(this.scaleFunction, x, p, dx, dp);
  }

  invertTangent(y: Tensor, p: Tensor, dy?: Tensor, dp?: Tensor) {
    return undoScaleAndShiftTangent(this.scaleFunction, y, p, dy, dp);
  }
}
