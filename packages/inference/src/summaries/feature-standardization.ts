/** Features of sets moved to mean 0 and deviation 1. Images and series have a layer for that, `Standardization`. */
import {
  Conditioner,
  Construction,
  requireModuleOptions,
  requireWhole,
  TensorBuffer,
} from '@invnet/layers';
import {
  div,
  formatShape,
  ones,
  type Shape,
  ShapeError,
  sub,
  type Tensor,
  zeros,
} from '@invnet/tensor';

/**
 * y = (x − μ)/σ along the last axis, of sets [N, M, features], whatever their size; μ and σ are buffers. It starts as the
 * identity. What is behind the elements of a padded set is not zero any more, which a mask hides.
 *
 * @example
 * const standardization = new FeatureStandardization({ features: 2 });
 * standardization.mean.write(Float64Array.of(10, -3));
 * chain(standardization, new DeepSet({ features: 2, outChannels: 8 })).forward(sets); // sets [N, M, 2]
 */
export class FeatureStandardization extends Conditioner<null> {
  static readonly type: string = 'FeatureStandardization';
  readonly features: number;
  readonly mean: TensorBuffer;
  readonly deviation: TensorBuffer;

  /** @throws ValueError unless features ≥ 1. */
  constructor(options: { features: number }) {
    super();
    using building = new Construction();
    requireModuleOptions('FeatureStandardization', options, ['features']);
    const { features } = options;
    requireWhole('FeatureStandardization', 'features', features, 1);
    this.features = features;
    this.mean = new TensorBuffer('mean', zeros([features]));
    this.deviation = new TensorBuffer('deviation', ones([features]));
    building.complete();
  }

  get options() {
    return { features: this.features };
  }

  protected apply(x: Tensor) {
    return { y: this.#narrow(sub(x, this.mean.data.reshape([1, 1, this.features]))), saved: null };
  }

  protected applyBackward(dy: Tensor) {
    return { dx: this.#narrow(dy) };
  }

  protected applyTangent(x: Tensor, { x: dx }: { readonly x?: Tensor | undefined }) {
    const { y } = this.apply(x);
    return { y, dy: dx ? this.#narrow(dx) : zeros(x.shape, x) };
  }

  protected applyShape(x: Shape): Shape {
    if (x.length === 3 && x[2] === this.features) return x;
    throw new ShapeError(
      `FeatureStandardization: got ${formatShape(x)}; expected sets [N, elements, ${this.features}].`,
    );
  }

  #narrow(x: Tensor): Tensor {
    return div(x, this.deviation.data.reshape([1, 1, this.features]));
  }
}
