/**
 * A network of sets (Zaheer et al., "Deep sets", 2017), as a conditioner or a summary network.
 * Mathematics: docs/math/conditioners/sets.md
 */
import {
  add,
  concat,
  div,
  log,
  mul,
  RandomStream,
  requireBoolean,
  requireOneOf,
  type Shape,
  slice,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { relu } from '../elementwise/activations.ts';
import { Construction } from '../tree/construction.ts';
import { type Chain, chain } from './chain.ts';
import { Conv } from './conv.ts';
import { Dense } from './dense.ts';
import { asSets, elementsOf, maskOf, requireSets, sizesOf } from './sets.ts';

/** Options of `DeepSet`. */
export interface DeepSetOptions {
  /** Numbers that an element has. */
  readonly features: number;
  /** Width of both networks. Default: 64. */
  readonly hidden?: number;
  readonly outChannels: number;
  /** Has each element a last feature more, which is 1 where it is there, as of `padSets`? Default: false. */
  readonly masked?: boolean;
  /** What becomes of the elements. Default: `mean`. */
  readonly pooling?: 'mean' | 'sum';
  /** Default: `relu()`. */
  readonly activation?: Activation;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = ['features', 'hidden', 'outChannels', 'masked', 'pooling', 'activation'];

type SavedChain = Saved<readonly Saved[]>;

/** What its backward needs. */
interface SavedDeepSet {
  readonly each: SavedChain;
  readonly whole: SavedChain;
  readonly elements: Tensor;
  readonly mask: Tensor | undefined;
  readonly sizes: Tensor;
}

/**
 * y = ρ(mean of φ(eᵢ), log m) for a set of m elements eᵢ, whatever their order: sets [N, M, features] to
 * vectors [N, outChannels]. φ is a network at each element and ρ one of the whole, of two layers each; both
 * see a set of any size, and ρ sees how large it is.
 *
 * Sets of different sizes come in one batch by `padSets` and `masked`.
 *
 * @example
 * const net = new SummarizedNetwork({
 *   network: new ConditionalGlow({ channels: 2, contextChannels: 8, ndims: 0, scales: 1 }),
 *   summary: new DeepSet({ features: 3, outChannels: 8 }),
 * });
 * net.forward(x, observations); // x [N, 2], observations [N, M, 3]
 */
export class DeepSet extends Conditioner<SavedDeepSet> {
  static readonly type: string = 'DeepSet';
  readonly options: Required<Omit<DeepSetOptions, 'random'>>;
  /** φ */
  readonly element: Chain;
  /** ρ */
  readonly set: Chain;

  /** @throws ValueError for sizes that are not whole and positive, or another pooling. */
  constructor(options: DeepSetOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('DeepSet', options, names);
    const { features, hidden = 64, outChannels, masked = false, pooling = 'mean' } = options;
    const { activation = relu(), random = new RandomStream(0) } = options;
    requireSizes('DeepSet', { features, hidden, outChannels });
    requireBoolean('DeepSet', 'masked', masked);
    requireOneOf('DeepSet', 'pooling', pooling, ['mean', 'sum']);
    requireActivation('DeepSet', 'activation', activation);
    this.options = { features, hidden, outChannels, masked, pooling, activation };
    const pointwise = { outChannels: hidden, ndims: 1, kernel: 1, random };
    this.element = chain(
      new Conv({ ...pointwise, inChannels: features }),
      activation,
      new Conv({ ...pointwise, inChannels: hidden }),
      activation,
    );
    this.set = chain(
      new Dense({ inChannels: hidden + 1, outChannels: hidden, random }),
      activation,
      new Dense({ inChannels: hidden, outChannels, random }),
    );
    building.complete();
  }

  /** @throws ValueError for a set that its mask leaves empty. */
  protected apply(x: Tensor) {
    const { elements, mask, sizes } = this.#parts(x);
    const { y: h, saved: each } = this.element.forward(elements);
    const { y, saved: whole } = this.set.forward(this.#pooled(h, mask, sizes, true));
    return { y, saved: { each, whole, elements, mask, sizes } };
  }

  protected applyBackward(dy: Tensor, { each, whole, mask, sizes }: SavedDeepSet) {
    const { dx } = this.set.backward(dy, whole);
    const { hidden, masked, pooling } = this.options;
    const sums = slice(dx, 1, 0, hidden);
    const shared = (pooling === 'mean' ? div(sums, sizes) : sums).reshape([-1, hidden, 1]);
    const dh = mask ? mul(shared, mask) : add(zeros(each.shape, dy), shared);
    return { dx: asSets(this.element.backward(dh, each).dx, masked) };
  }

  protected applyTangent(x: Tensor, { x: dx, parameters }: Tangent) {
    const { elements, mask, sizes } = this.#parts(x);
    const de = dx && elementsOf(dx, this.options.features);
    const { y: h, dy: dh } = this.element.jvp(elements, { x: de, parameters });
    const direction = this.#pooled(dh, mask, sizes, false);
    return this.set.jvp(this.#pooled(h, mask, sizes, true), { x: direction, parameters });
  }

  protected applyShape(x: Shape): Shape {
    const { features, masked, outChannels } = this.options;
    return [requireSets('DeepSet', x, features, masked)[0]!, outChannels];
  }

  #parts(x: Tensor) {
    const { features, masked } = this.options;
    const mask = masked ? maskOf('DeepSet', x) : undefined;
    return { elements: elementsOf(x, features), mask, sizes: sizesOf(x, mask) };
  }

  /** What ρ sees of h [N, hidden, M]; or, of its direction, the derivative of that. */
  #pooled(h: Tensor, mask: Tensor | undefined, sizes: Tensor, value: boolean): Tensor {
    const sums = sum(mask ? mul(h, mask) : h, { axes: [2] });
    const pooled = this.options.pooling === 'mean' ? div(sums, sizes) : sums;
    return concat([pooled, value ? log(sizes) : zeros(sizes.shape, sizes)], 1);
  }
}
