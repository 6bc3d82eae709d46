/**
 * Conditional HINT (Kruse et al., "HINT: hierarchical invertible neural transport for density
 * estimation and Bayesian inference", 2021), on one scale and on several.
 * Mathematics: docs/math/hint-networks.md
 */

import {
  ActNorm,
  type Bijection,
  ConditionalHintCoupling,
  type ConditionalHintCouplingOptions,
  HaarSqueeze,
  type Pair,
  Parallel,
  type Parameter,
  prefixNames,
  Sequential,
} from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { MultiScale, type MultiScaleSizes, requireSizes } from './multi-scale.ts';

/** Options of `ConditionalHint`; those of its couplings beside the number of steps. */
export interface ConditionalHintOptions extends ConditionalHintCouplingOptions {
  /** Number of steps. Default: 8. */
  readonly steps?: number;
}

/**
 * (x, y) ↦ (zₓ, z_y): K × (ActNorm on each lane, ConditionalHintCoupling). z_y depends on y alone,
 * by `lane`; so p(x | y) is sampled by drawing zₓ and inverting beside z_y = lane(y).
 *
 * Parameters are named `steps.0.actnorm.data.scale`, `steps.0.coupling.lane.permutation.v1`, ….
 *
 * @example
 * const net = new ConditionalHint({ channels: 2, ndims: 0, hidden: 32, steps: 4 });
 * const { y: [zx, zy], logdet } = net.forward([x, y]); // x, y [N, 2]
 * const { y: known } = net.lane.forward(y);
 * const { x: [sample] } = net.inverse([random.normal([N, 2]), known]);
 */
export class ConditionalHint extends Sequential<Pair> {
  /** The condition's lane alone: y ↦ z_y. */
  readonly lane: Bijection;

  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: ConditionalHintOptions) {
    const { steps = 8, random = new RandomStream(0) } = options;
    requireSizes('ConditionalHint', { steps });
    const made = Array.from({ length: steps }, () => conditionalStep({ ...options, random }));
    super(Object.fromEntries(made.map(({ step }, i) => [`steps.${i}`, step])));
    this.lane = keepingNames(this.parameters, () => new Sequential(made.map(({ lane }) => lane)));
  }
}

/** Options of `MultiScaleConditionalHint`. */
export interface MultiScaleConditionalHintOptions
  extends MultiScaleSizes,
    ConditionalHintCouplingOptions {
  /** Squeezes each of the two lanes. Default: `new HaarSqueeze()`. */
  readonly squeeze?: Bijection;
}

/**
 * As `ConditionalHint`, with K steps on each of L scales; both lanes are squeezed and split alike.
 *
 * Parameters are named `scales.0.steps.3.actnorm.data.scale`, ….
 *
 * @example
 * const net = new MultiScaleConditionalHint({ channels: 1, hidden: 32, scales: 2, steps: 4 });
 * const { y: [zx, zy], logdet } = net.forward([x, y]); // x, y [N, 1, H, W]
 */
export class MultiScaleConditionalHint extends MultiScale<Pair> {
  /** The condition's lane alone: y ↦ z_y. */
  readonly lane: Bijection;

  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: MultiScaleConditionalHintOptions) {
    const { channels, conditionChannels = channels, squeeze = new HaarSqueeze() } = options;
    const { random = new RandomStream(0) } = options;
    const lanes = new Map<number, Bijection[]>();
    super({
      ...options,
      name: 'MultiScaleConditionalHint',
      channels: [channels, conditionChannels],
      squeeze: new Parallel(squeeze, squeeze),
      step: ([data, condition], scale) => {
        const { step, lane } = conditionalStep({
          ...options,
          channels: data!,
          conditionChannels: condition!,
          random,
        });
        lanes.set(scale, [...(lanes.get(scale) ?? []), lane]);
        return step;
      },
    });
    this.lane = keepingNames(
      this.parameters,
      () =>
        new MultiScale({
          ...options,
          name: 'MultiScaleConditionalHint, lane',
          channels: [conditionChannels],
          squeeze,
          step: (_, scale) => lanes.get(scale)!.shift()!,
        }),
    );
  }
}

/** A step on both lanes, and its part on the condition's. */
function conditionalStep(options: ConditionalHintCouplingOptions): {
  step: Bijection<Pair>;
  lane: Bijection;
} {
  const { channels, conditionChannels = channels } = options;
  const data = new ActNorm({ channels });
  const condition = new ActNorm({ channels: conditionChannels });
  prefixNames('data', data.parameters);
  prefixNames('condition', condition.parameters);
  const coupling = new ConditionalHintCoupling(options);
  const step = new Sequential<Pair>({ actnorm: new Parallel(data, condition), coupling });
  const lane = keepingNames(step.parameters, () => new Sequential([condition, coupling.lane]));
  return { step, lane };
}

/** What `make` gives, a second view of parameters which keep their names. */
function keepingNames<T>(parameters: readonly Parameter[], make: () => T): T {
  const names = parameters.map((p) => p.name);
  const made = make();
  parameters.forEach((p, i) => {
    p.name = names[i]!;
  });
  return made;
}
