/**
 * Couplings that move both parts of the channels in turn: the blocks of NICE (Dinh et al., 2014), RealNVP
 * (2017), Glow (2018) and GIN (2020) in FrEIA, and MemCNN's.
 * Mathematics: docs/math/couplings/two-sided-coupling.md
 */
import { formatValue, RandomStream, ValueError } from '@invnet/tensor';
import type { ChannelSplit } from '../combinators/channel-parts.ts';
import { Composite } from '../combinators/composite.ts';
import { compose } from '../combinators/sequential.ts';
import type { ConditionerFactory } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import { AffineTransformer } from '../transformers/affine-transformer.ts';
import type { Transformer } from '../transformers/transformer.ts';
import { Construction } from '../tree/construction.ts';
import { TransformerCoupling } from './transformer-coupling.ts';

/** Options of `TwoSidedCoupling`. */
export interface TwoSidedCouplingOptions extends ConditionerDefaults {
  /** At least 2. */
  readonly channels: number;
  /**
   * What is done to either part: `AdditiveTransformer` for NICE, `AffineTransformer` for RealNVP and Glow,
   * `VolumePreservingTransformer` for GIN, or a spline. Default: `new AffineTransformer()`.
   */
  readonly transformer?: Transformer;
  /** The two parts of the channels. Default: ⌊channels/2⌋ and the others. */
  readonly split?: ChannelSplit;
  /**
   * Two blocks, the one that sees the second part and moves the first, then the one that sees what came of
   * it and moves the second; or what makes both. Default: see `defaultConditioner`.
   */
  readonly conditioner?: ConditionerFactory | readonly [Conditioner, Conditioner];
  /** Draws the default conditioners' weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'transformer', 'split', 'conditioner', 'contextChannels', 'hidden', 'ndims'],
];

/**
 * y₁ = f(x₁; g₁(x₂, context)), then y₂ = f(x₂; g₂(y₁, context)); logdet is the sum of both.
 *
 * RealNVP's four networks are a `JoinedConditioners` of two in either place.
 *
 * @example
 * const transformer = new AffineTransformer({ scaleFunction: atanClamp({ clamp: 2 }) });
 * const coupling = new TwoSidedCoupling({ channels: 6, split: 1 / 3, transformer, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 6, H, W]
 */
export class TwoSidedCoupling extends Composite {
  static readonly type: string = 'TwoSidedCoupling';
  /** Moves the first part. */
  readonly first: TransformerCoupling;
  /** Moves the second part. */
  readonly second: TransformerCoupling;

  /** @throws ValueError for fewer than 2 channels, parts that cannot be, or what is no transformer or conditioner. */
  constructor(options: TwoSidedCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('TwoSidedCoupling', options, optionNames);
    const { conditioner, ...others } = options;
    const { transformer = new AffineTransformer(), random = new RandomStream(0) } = options;
    const [first, second] = pairOf(conditioner);
    const sizes = { ...others, transformer, random };
    this.first = new TransformerCoupling({
      ...sizes,
      moves: 'first',
      ...(first && { conditioner: first }),
    });
    this.second = new TransformerCoupling({ ...sizes, ...(second && { conditioner: second }) });
    building.complete();
  }

  get options() {
    const { channels, split, transformer, conditioner } = this.second;
    return { channels, split, transformer, conditioner: [this.first.conditioner, conditioner] };
  }

  protected get whole() {
    return compose(this.first, this.second);
  }
}

/** What makes each of the two conditioners. */
function pairOf(
  conditioner: TwoSidedCouplingOptions['conditioner'],
): readonly [
  (Conditioner | ConditionerFactory | undefined)?,
  (Conditioner | ConditionerFactory | undefined)?,
] {
  if (conditioner === undefined || typeof conditioner === 'function') {
    return [conditioner, conditioner];
  }
  if (Array.isArray(conditioner) && conditioner.length === 2) return conditioner;
  throw new ValueError(
    `TwoSidedCoupling: conditioner is ${formatValue(conditioner)}; expected a pair of conditioners, or a ` +
      'function that makes them.',
  );
}
