/** A mixture of normal distributions. Mathematics: docs/math/flows/bases.md */
import { Construction, Parameter, requireModuleOptions, requireWhole } from '@invnet/layers';
import {
  add,
  affine,
  exp,
  matmul,
  mul,
  neg,
  RandomStream,
  requireAtLeast,
  requireBoolean,
  type Shape,
  square,
  sub,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries, type EntryOptions } from './entries.ts';
import { drawComponents, logSum, logWeights, mixtureBackward } from './mixture-weights.ts';

/** Options of `NormalMixture`. */
export interface NormalMixtureOptions extends EntryOptions {
  /** How many components. */
  readonly components: number;
  /** The deviation of the means that are drawn to start from. Default: 1. */
  readonly spread?: number;
  /** Keeps weights, means and deviations as they are. Default: false. */
  readonly frozen?: boolean;
  /** Draws the means. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Components at most. */
const MOST_COMPONENTS = 2 ** 16;

/**
 * log p(z) = log Σₖ πₖ N(z; μₖ, σₖ²) of whole samples, with independent numbers within a component. The parameters are
 * `logits` [K], whose exponentials are in proportion to π, `mean` and `logDeviation` [K, C, …size].
 *
 * A temperature scales the deviations of the components, and not their weights.
 *
 * @example const base = new NormalMixture({ channels: 2, components: 5, spread: 3 });
 */
export class NormalMixture extends BaseDistribution {
  static readonly type: string = 'NormalMixture';
  readonly logits: Parameter;
  readonly mean: Parameter;
  readonly logDeviation: Parameter;
  readonly #entries: Entries;
  readonly #options: { components: number; frozen: boolean };

  /** @throws ValueError for numbers that are not whole and positive, or a negative spread. */
  constructor(options: NormalMixtureOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'size', 'components', 'spread', 'frozen'];
    requireModuleOptions('NormalMixture', options, names);
    const { channels, size = [], components, spread = 1, frozen = false } = options;
    const { random = new RandomStream(0) } = options;
    requireWhole('NormalMixture', 'components', components, 1, MOST_COMPONENTS);
    requireAtLeast('NormalMixture', 'spread', spread, 0);
    requireBoolean('NormalMixture', 'frozen', frozen);
    this.#entries = new Entries('NormalMixture', { channels, size });
    requireWhole('NormalMixture', 'components × numbers', components * this.#entries.count, 1);
    this.#options = { components, frozen };
    const shape = [components, ...this.#entries.shape];
    this.logits = new Parameter('logits', zeros([components]), { frozen });
    this.mean = new Parameter('mean', random.normal(shape, spread), { frozen });
    this.logDeviation = new Parameter('logDeviation', zeros(shape), { frozen });
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, ...this.#options };
  }

  protected density(z: Tensor): Tensor {
    return logSum(this.#terms(this.#standardized(z))).reshape([-1]);
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor) {
    const e = this.#standardized(z);
    const terms = this.#terms(e);
    const { shares, dlogits } = mixtureBackward(terms, this.logits.data, dlogProb);
    const w = shares.reshape([...shares.shape, 1]);
    const pulls = mul(mul(w, e), exp(neg(this.#table(this.logDeviation))));
    this.logits.accumulateGrad(dlogits);
    this.mean.accumulateGrad(sum(pulls, { axes: [0] }).reshape(this.mean.shape));
    const dlogDeviation = sum(mul(w, affine(square(e), 1, -1)), { axes: [0] });
    this.logDeviation.accumulateGrad(dlogDeviation.reshape(this.logDeviation.shape));
    const dz = neg(sum(pulls, { axes: [1] })).reshape(z.shape);
    return { logProb: logSum(terms).reshape([-1]), dz };
  }

  protected draw(shape: Shape, { random, temperature }: Draw): Tensor {
    const chosen = drawComponents(this.logits.data, shape[0]!, random);
    const of = (p: Parameter) => matmul(chosen, this.#table(p));
    const noise = random.normal([shape[0]!, this.#entries.count], temperature);
    return add(of(this.mean), mul(exp(of(this.logDeviation)), noise)).reshape(shape);
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  /** (z − μₖ)/σₖ, [N, K, D] */
  #standardized(z: Tensor): Tensor {
    const flat = z.reshape([z.shape[0]!, 1, -1]);
    return mul(sub(flat, this.#table(this.mean)), exp(neg(this.#table(this.logDeviation))));
  }

  /** log πₖ + log N(z; μₖ, σₖ²), [N, K] */
  #terms(e: Tensor): Tensor {
    const exponents = sum(add(affine(square(e), 0.5), this.#table(this.logDeviation)), {
      axes: [2],
    });
    const { count } = this.#entries;
    const normal = affine(exponents, -1, -0.5 * count * Math.log(2 * Math.PI));
    return add(normal, logWeights(this.logits.data));
  }

  /** A parameter as [K, D]. */
  #table(p: Parameter): Tensor {
    return p.data.reshape([this.#options.components, -1]);
  }
}
