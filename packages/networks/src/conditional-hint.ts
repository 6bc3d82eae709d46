/**
 * Conditional HINT (Kruse et al., "HINT: hierarchical invertible neural transport for density
 * estimation and Bayesian inference", 2021), on one scale and on several.
 * Mathematics: docs/math/networks/hint-networks.md
 */

import {
  ActNorm,
  type Bijection,
  Composite,
  ConditionalHintCoupling,
  type ConditionalHintCouplingOptions,
  Construction,
  compose,
  HaarSqueeze,
  hintDefaults,
  hintOptions,
  type Options,
  type Pair,
  Parallel,
  requireModuleOptions,
  requireRepeats,
  Sequential,
  supplyConditioners,
} from '@invnet/layers';
import { RandomStream, requireBoolean, ValueError } from '@invnet/tensor';
import {
  MultiScale,
  type MultiScaleSizes,
  multiScaleDefaults,
  sizeOptions,
} from './multi-scale.ts';

/** What the networks take beside the options of their couplings. */
interface StepOptions extends ConditionalHintCouplingOptions {
  /** Normalizes each lane before each coupling by an `ActNorm`. Default: true. */
  readonly actnorm?: boolean;
}

const stepOptions = [...hintOptions, 'conditionChannels', 'actnorm'];

/** Options of `ConditionalHint`; those of its couplings beside the number of steps. */
export interface ConditionalHintOptions extends StepOptions {
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
export class ConditionalHint extends Composite<Pair> {
  static readonly type: string = 'ConditionalHint';
  readonly steps: Sequential<Pair>;
  readonly #options: Options;

  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: ConditionalHintOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ConditionalHint', options, [...stepOptions, 'steps']);
    const { steps = 8, random = new RandomStream(0) } = options;
    requireRepeats('ConditionalHint', 'steps', steps);
    const resolved = stepDefaults('ConditionalHint', options);
    const supply = supplyConditioners('ConditionalHint', options.conditioner);
    const step = { ...resolved, conditioner: supply.conditioner, random };
    this.steps = new Sequential(Array.from({ length: steps }, () => conditionalStep(step)));
    this.#options = { steps, ...resolved, conditioner: supply.made };
    building.complete();
  }

  get options() {
    return this.#options;
  }

  /** The condition's lane alone: y ↦ z_y. Its parts are this network's. */
  get lane(): Bijection {
    return laneOf(this.steps);
  }

  protected get whole() {
    return this.steps;
  }
}

/** Options of `MultiScaleConditionalHint`. */
export interface MultiScaleConditionalHintOptions extends MultiScaleSizes, StepOptions {
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
  static override readonly type: string = 'MultiScaleConditionalHint';
  readonly #options: Options;
  readonly #lanes: readonly [data: number, condition: number];

  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: MultiScaleConditionalHintOptions) {
    const names = [...sizeOptions, ...stepOptions, 'squeeze'];
    requireModuleOptions('MultiScaleConditionalHint', options, names);
    const { squeeze = new HaarSqueeze(), random = new RandomStream(0) } = options;
    const resolved = stepDefaults('MultiScaleConditionalHint', options);
    const { channels, conditionChannels } = resolved;
    super({
      ...multiScaleDefaults('MultiScaleConditionalHint', options),
      channels: [channels, conditionChannels],
      squeeze: new Parallel(squeeze, squeeze),
      conditioner: options.conditioner,
      step: ([data, condition], _, conditioner) =>
        conditionalStep({
          ...resolved,
          conditioner,
          channels: data!,
          conditionChannels: condition!,
          random,
        }),
    });
    this.#options = resolved;
    this.#lanes = [channels, conditionChannels];
  }

  override get options(): Options {
    return {
      ...this.sizes,
      ...this.#options,
      squeeze: lanesOf(this.squeeze).first,
      conditioner: this.conditioner,
    };
  }

  /** The condition's lane alone: y ↦ z_y. Its parts are this network's. */
  get lane(): Bijection {
    const steps = this.scales.map((scale) => scale.steps.layers.values());
    return new MultiScale({
      ...this.sizes,
      channels: [this.#lanes[1]],
      squeeze: lanesOf(this.squeeze).second,
      step: (_, scale) => laneOf(steps[scale]!.next().value!),
    });
  }
}

/** A step on both lanes. */
function conditionalStep(
  options: ReturnType<typeof stepDefaults> & ConditionalHintCouplingOptions,
): Bijection<Pair> {
  const { actnorm, ...coupling } = options;
  const { channels, conditionChannels } = coupling;
  const norms = () =>
    new Parallel({
      data: new ActNorm({ channels }),
      condition: new ActNorm({ channels: conditionChannels }),
    });
  return new Sequential<Pair>({
    ...(actnorm && { actnorm: norms() }),
    coupling: new ConditionalHintCoupling(coupling),
  });
}

/** The part of a step that is on the condition's lane. @throws ValueError where it is not told apart. */
function laneOf(step: Bijection<Pair>): Bijection {
  if (step instanceof Sequential) return compose(...step.layers.map(laneOf));
  if (step instanceof ConditionalHintCoupling) return step.lane;
  return lanesOf(step).second;
}

function lanesOf(map: Bijection<Pair>): Parallel {
  if (map instanceof Parallel) return map;
  throw new ValueError(
    `lane: a ${map.type} does not say what it does to the condition alone; expected a Parallel or a ` +
      'ConditionalHintCoupling in its place.',
  );
}

function stepDefaults(network: string, options: StepOptions) {
  const { channels, conditionChannels = channels, permute = true, actnorm = true } = options;
  requireBoolean(network, 'permute', permute);
  requireBoolean(network, 'actnorm', actnorm);
  return { channels, conditionChannels, ...hintDefaults(options), permute, actnorm };
}
