/** A normal base for each class. Mathematics: docs/math/flows/bases.md */
import { Construction, Parameter, requireModuleOptions, requireWhole } from '@invnet/layers';
import {
  add,
  formatShape,
  matmul,
  RandomStream,
  requireAtLeast,
  type Shape,
  ShapeError,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries, type EntryOptions } from './entries.ts';
import {
  type MomentGradients,
  type Moments,
  momentsBackward,
  momentsDensity,
  momentsDraw,
  momentsDrawBackward,
} from './moments.ts';

/** Options of `ClassConditional`. */
export interface ClassConditionalOptions extends EntryOptions {
  /** How many classes. */
  readonly classes: number;
  /** The deviation of the means that are drawn to start from. Default: 0. */
  readonly spread?: number;
  /** Draws the means. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Classes at most. */
const MOST_CLASSES = 2 ** 20;

/**
 * p(z | class): independent normal numbers with a mean and a deviation for each class and channel, or for each class and
 * number of a sample where `size` is given. The context is [N, classes], 1 at the class and 0 elsewhere, as `oneHot` makes
 * it of labels; weights between blend means and logarithms of deviations.
 *
 * @example
 * const base = new ClassConditional({ channels: 3, classes: 10 });
 * const flow = new Flow({ network, base });
 * const loss = negativeLogLikelihood(flow, images, oneHot(labels, 10));
 */
export class ClassConditional extends BaseDistribution {
  static readonly type: string = 'ClassConditional';
  readonly classes: number;
  readonly mean: Parameter;
  readonly logDeviation: Parameter;
  readonly #entries: Entries;

  /** @throws ValueError for numbers that are not whole and positive, or a negative spread. */
  constructor(options: ClassConditionalOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ClassConditional', options, ['channels', 'size', 'classes', 'spread']);
    const { classes, spread = 0, random = new RandomStream(0) } = options;
    requireWhole('ClassConditional', 'classes', classes, 1, MOST_CLASSES);
    requireAtLeast('ClassConditional', 'spread', spread, 0);
    this.#entries = new Entries('ClassConditional', options);
    requireWhole('ClassConditional', 'classes × numbers', classes * this.#entries.count, 1);
    this.classes = classes;
    const shape = [classes, ...this.#entries.shape];
    this.mean = new Parameter('mean', random.normal(shape, spread));
    this.logDeviation = new Parameter('logDeviation', zeros(shape));
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, classes: this.classes };
  }

  override get usesContext(): boolean {
    return true;
  }

  protected density(z: Tensor, context: Tensor): Tensor {
    return momentsDensity(z, this.#moments(z.shape, context));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor, context: Tensor) {
    const moments = this.#moments(z.shape, context);
    const { logProb, dz, ...d } = momentsBackward(z, moments, dlogProb);
    return { logProb, dz, ...this.#back(d, context) };
  }

  protected draw(shape: Shape, draw: Draw): Tensor {
    return momentsDraw(shape, this.#moments(shape, draw.context!), draw);
  }

  protected override drawBackward(z: Tensor, dz: Tensor, context: Tensor) {
    const { mean } = this.#moments(z.shape, context);
    return this.#back(momentsDrawBackward(z, mean, dz), context);
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  /** Those of each sample's class, [N, C, …]. */
  #moments(z: Shape, context: Tensor): Moments {
    const of = (p: Parameter) =>
      this.#entries.over(
        matmul(this.#weights(context), this.#table(p)).reshape([z[0]!, ...this.#entries.shape]),
        z,
      );
    return { mean: of(this.mean), logDeviation: of(this.logDeviation) };
  }

  #back({ dmean, dlogDeviation }: MomentGradients, context: Tensor): { dcontext: Tensor } {
    const of = (p: Parameter, full: Tensor) => {
      const d = this.#entries.gatherPerSample(full).reshape([context.shape[0]!, -1]);
      p.accumulateGrad(matmul(context, d, { transposeA: true }).reshape(p.shape));
      return matmul(d, this.#table(p), { transposeB: true });
    };
    return { dcontext: add(of(this.mean, dmean), of(this.logDeviation, dlogDeviation)) };
  }

  /** A parameter as [classes, D]. */
  #table(p: Parameter): Tensor {
    return p.data.reshape([this.classes, -1]);
  }

  #weights(context: Tensor): Tensor {
    if (context.rank === 2 && context.shape[1] === this.classes) return context;
    throw new ShapeError(
      `ClassConditional: the context is ${formatShape(context.shape)}; expected [N, ${this.classes}], as oneHot makes ` +
        'it of labels.',
    );
  }
}
