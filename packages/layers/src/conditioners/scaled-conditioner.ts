/** A conditioner whose results are made smaller, as FrEIA's all-in-one block does with a tenth. */
import { affine, requireBetween, type Shape, type Tensor } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `ScaledConditioner`. */
export interface ScaledConditionerOptions {
  readonly inner: Conditioner;
  /** What its results are multiplied with; positive. */
  readonly factor: number;
}

/**
 * factor·g(x), with a factor that is not trained: a coupling around it starts nearer to the identity.
 *
 * @example new ScaledConditioner({ inner: new DenseBlock({ inChannels: 2, hidden: 32, outChannels: 4 }), factor: 0.1 })
 */
export class ScaledConditioner extends Conditioner<Saved> {
  static readonly type: string = 'ScaledConditioner';
  readonly inner: Conditioner;
  readonly factor: number;

  /** @throws ValueError for what is no conditioner, or a factor that is not finite and positive. */
  constructor(options: ScaledConditionerOptions) {
    super();
    requireModuleOptions('ScaledConditioner', options, ['inner', 'factor']);
    this.inner = requireConditioner('ScaledConditioner', 'inner', options.inner);
    requireBetween('ScaledConditioner', 'factor', options.factor, 0);
    this.factor = options.factor;
  }

  get options() {
    return { inner: this.inner, factor: this.factor };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const { y, saved } = this.inner.forward(x, context);
    return { y: this.#scaled(y), saved };
  }

  protected applyBackward(dy: Tensor, saved: Saved) {
    return this.inner.backward(affine(dy, this.factor), saved);
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { y, dy } = this.inner.jvp(x, tangent, context);
    return { y: this.#scaled(y), dy: this.#scaled(dy) };
  }

  protected applyShape(x: Shape): Shape | undefined {
    return this.inner.outputShape(x);
  }

  /** factor·y, freeing y. */
  #scaled(y: Tensor): Tensor {
    const scaled = affine(y, this.factor);
    y.dispose();
    return scaled;
  }
}
