/**
 * FrEIA's block of a coupling, a scale and a shift of each channel, and a mixing of channels (Ardizzone et al.,
 * "FrEIA", 2018-2022). Mathematics: docs/math/couplings/all-in-one-block.md
 */
import {
  concat,
  full,
  RandomStream,
  requireBetween,
  requireBoolean,
  requireOneOf,
  zeros,
} from '@invnet/tensor';
import { requireParts } from '../combinators/channel-halves.ts';
import { Composite } from '../combinators/composite.ts';
import { reverse } from '../combinators/reverse.ts';
import { compose } from '../combinators/sequential.ts';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { ScaledConditioner } from '../conditioners/scaled-conditioner.ts';
import { type Bijection, requireBijection } from '../core/bijection.ts';
import { requireDimensions, requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import { exp, expClamp } from '../elementwise/exponentials.ts';
import { shiftedSigmoid, softplusScale } from '../elementwise/scales.ts';
import { Householder } from '../linear/householder.ts';
import { Permutation } from '../linear/permutation.ts';
import { AdditiveTransformer } from '../transformers/additive-transformer.ts';
import { AffineTransformer } from '../transformers/affine-transformer.ts';
import { ElementwiseTransform } from '../transformers/elementwise-transform.ts';
import { VolumePreservingTransformer } from '../transformers/volume-preserving-transformer.ts';
import { Construction } from '../tree/construction.ts';
import { TransformerCoupling } from './transformer-coupling.ts';

/** Options of `AllInOneBlock`. */
export interface AllInOneBlockOptions extends ConditionerDefaults {
  /** At least 2. */
  readonly channels: number;
  /**
   * Maps the first ⌈channels/2⌉ channels (and the context) to twice as many as the others are. Default: see
   * `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Log scales of the coupling are within ± this. Default: 2. */
  readonly clamp?: number;
  /** Keeps volumes: the coupling is GIN's, and channels are shifted but not scaled. Default: false. */
  readonly volumePreserving?: boolean;
  /** The function that makes the scale of each channel of its parameter. Default: `softplus`. */
  readonly globalScale?: 'softplus' | 'sigmoid' | 'exp';
  /** What channels are scaled by at first, below 10 for `sigmoid`. Default: 1. */
  readonly globalScaleStart?: number;
  /** What mixes the channels and is not trained: a random permutation, a random rotation, or a map of one's own. Default: `hard`. */
  readonly permutation?: 'hard' | 'soft' | Bijection;
  /** Trained Householder reflections before that. Default: 0, none. */
  readonly reflections?: number;
  /** Is the mixing undone before the coupling? Default: false. */
  readonly permutesBefore?: boolean;
  /** Draws the mixing and the default conditioner's weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'conditioner', 'contextChannels', 'hidden', 'ndims', 'clamp', 'volumePreserving'],
  ...['globalScale', 'globalScaleStart', 'permutation', 'reflections', 'permutesBefore'],
];

/**
 * y = R V (Ψ(g) ⊙ C(x) + b), or with `permutesBefore` C(V⁻¹R⁻¹x): a coupling C with log s = clamp·tanh(r/10) and
 * t/10 of (r, t) = conditioner(x₁, context), a scale Ψ(g) and a shift b of each channel, reflections V and a
 * permutation or rotation R.
 *
 * @example
 * const block = new AllInOneBlock({ channels: 4, hidden: 32, permutation: 'soft', random });
 * const { y, logdet } = block.forward(x); // x [N, 4, H, W]
 */
export class AllInOneBlock extends Composite {
  static readonly type: string = 'AllInOneBlock';
  readonly coupling: TransformerCoupling;
  readonly affine: ElementwiseTransform;
  readonly reflections?: Householder;
  readonly permutation: Bijection;
  readonly #options: AllInOneBlockOptions;

  /** @throws ValueError for fewer than 2 channels, a clamp or a start that are not positive, or unknown names. */
  constructor(options: AllInOneBlockOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('AllInOneBlock', options, optionNames);
    const { channels, clamp = 2, volumePreserving = false, globalScale = 'softplus' } = options;
    const { globalScaleStart = 1, reflections = 0, permutesBefore = false } = options;
    const { contextChannels = 0, ndims = 2, hidden, random = new RandomStream(0) } = options;
    requireParts('AllInOneBlock', channels);
    requireWhole('AllInOneBlock', 'contextChannels', contextChannels, 0);
    requireDimensions('AllInOneBlock', ndims, 0);
    requireBetween('AllInOneBlock', 'clamp', clamp, 0);
    requireBoolean('AllInOneBlock', 'volumePreserving', volumePreserving);
    requireBoolean('AllInOneBlock', 'permutesBefore', permutesBefore);
    requireOneOf('AllInOneBlock', 'globalScale', globalScale, ['softplus', 'sigmoid', 'exp']);
    const still = Math.ceil(channels / 2);
    const split = [still, channels - still] as const;
    const shape = { inChannels: still, outChannels: 2 * split[1], contextChannels, ndims };
    const defaults = { random, ...(hidden !== undefined && { hidden }) };
    const conditioner = makeConditioner('AllInOneBlock', options.conditioner, shape, defaults);
    const scaleFunction = expClamp({ clamp, rate: 1 });
    this.coupling = new TransformerCoupling({
      channels,
      split,
      transformer: volumePreserving
        ? new VolumePreservingTransformer({ scaleFunction, over: 'sample' })
        : new AffineTransformer({ scaleFunction }),
      conditioner: new ScaledConditioner({ inner: conditioner, factor: 0.1 }),
    });
    this.affine = volumePreserving
      ? new ElementwiseTransform({ channels, transformer: new AdditiveTransformer() })
      : globalAffine(channels, globalScale, globalScaleStart);
    if (reflections !== 0) {
      this.reflections = new Householder({ channels, reflections, random });
    }
    this.permutation = permutationOf(channels, options.permutation, random);
    this.#options = {
      ...{ channels, conditioner, clamp, volumePreserving, globalScale, reflections },
      permutesBefore,
    };
    building.complete();
  }

  get options() {
    return { ...this.#options, permutation: this.permutation };
  }

  protected get whole() {
    const { coupling, affine, reflections, permutation } = this;
    const mixing = reflections ? [reflections, permutation] : [permutation];
    const before = this.#options.permutesBefore ? mixing.map((f) => reverse(f)).toReversed() : [];
    return compose(...before, coupling, affine, ...mixing);
  }
}

/** A scale and a shift of each channel, the scales at their start. */
function globalAffine(
  channels: number,
  name: keyof typeof globalScales,
  start: number,
): ElementwiseTransform {
  const most = name === 'sigmoid' ? 10 : undefined;
  requireBetween('AllInOneBlock', 'globalScaleStart', start, 0, most);
  const { scaleFunction, parameterOf } = globalScales[name];
  const transformer = new AffineTransformer({ scaleFunction: scaleFunction() });
  const made = new ElementwiseTransform({ channels, transformer });
  using scales = full([channels], parameterOf(start));
  using shifts = zeros([channels]);
  using p = concat([scales, shifts], 0);
  made.p.assign(p);
  return made;
}

/** Scale functions, and the parameter that gives a scale. */
const globalScales = {
  softplus: {
    scaleFunction: () => softplusScale({ factor: 0.1, rate: 0.5 }),
    parameterOf: (s: number) => 2 * (5 * s + Math.log(-Math.expm1(-5 * s))),
  },
  sigmoid: {
    scaleFunction: () => shiftedSigmoid({ high: 10, shift: -2 }),
    parameterOf: (s: number) => 2 - Math.log(10 / s - 1),
  },
  exp: { scaleFunction: () => exp(), parameterOf: Math.log },
};

function permutationOf(
  channels: number,
  permutation: AllInOneBlockOptions['permutation'] = 'hard',
  random: RandomStream,
): Bijection {
  if (typeof permutation !== 'string') {
    return requireBijection('AllInOneBlock', 'permutation', permutation, 1);
  }
  requireOneOf('AllInOneBlock', 'permutation', permutation, ['hard', 'soft']);
  if (permutation === 'hard') return new Permutation({ channels, order: 'random', random });
  return new Householder({ channels, reflections: channels, frozen: true, random });
}
