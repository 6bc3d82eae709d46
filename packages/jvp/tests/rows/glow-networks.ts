/** Rows of Glow, its conditional form and summarized networks. */
import {
  ConditionalGlowCoupling,
  DeepSet,
  defaultConditioner,
  expClamp,
  HaarSqueeze,
  ShuffleSqueeze,
  UNet,
  withContext,
} from '@invnet/layers';
import {
  ConditionalGlow,
  Glow,
  type GlowOptions,
  LearnedPrior,
  SummarizedNetwork,
} from '@invnet/networks';
import { even, odd, type Row, random, twice } from '../row.ts';

export function glowRows(ndims: number): Row[] {
  return [...(ndims === 0 ? vectorRows() : imageRows(ndims)), ...conditionalRows(ndims)];
}

function vectorRows(): Row[] {
  const glow = (name: string, options: Partial<GlowOptions> = {}): Row => ({
    name,
    shape: [3, 5],
    make: () => makeGlow(0, { channels: 5, steps: 2, ...options }),
  });
  return [
    glow('Glow on vectors'),
    glow('Glow without ActNorm', { actnorm: false }),
    glow('Glow with a learned prior', { prior: new LearnedPrior() }),
  ];
}

function imageRows(ndims: number): Row[] {
  const scales = ndims === 3 ? 1 : 2;
  return [
    { name: 'Glow', shape: [2, 1, ...twice(ndims)], make: () => makeGlow(ndims) },
    {
      name: 'Glow without split scales, Haar, expClamp',
      shape: [2, 1, ...(ndims === 3 ? even(ndims) : twice(ndims))],
      make: () =>
        makeGlow(ndims, {
          splitScales: false,
          squeeze: new HaarSqueeze(),
          scaleFunction: expClamp(),
          scales,
        }),
    },
    {
      name: 'Glow of one scale, patches, two steps',
      shape: [2, 2, ...even(ndims)],
      make: () =>
        makeGlow(ndims, {
          channels: 2,
          scales: 1,
          steps: 2,
          squeeze: new ShuffleSqueeze({ pattern: 'patch' }),
          frozenConv1x1: true,
        }),
    },
    {
      name: 'Glow without ActNorm',
      shape: [2, 1, ...(ndims === 3 ? even(ndims) : twice(ndims))],
      make: () => makeGlow(ndims, { actnorm: false, scales }),
    },
    {
      name: 'Glow with a prior of classes',
      shape: [2, 1, ...(ndims === 3 ? even(ndims) : twice(ndims))],
      context: [2, 3],
      make: () =>
        makeGlow(ndims, { actnorm: false, scales, prior: new LearnedPrior({ classes: 3 }) }),
    },
    {
      name: 'Glow with a prior of classes and places',
      shape: [2, 1, ...even(ndims)],
      context: [2, 3],
      make: () => {
        const size = even(ndims).map((s) => s / 2);
        const prior = new LearnedPrior({ classes: 3, size });
        return makeGlow(ndims, { actnorm: false, scales: 1, prior });
      },
    },
  ];
}

function makeGlow(ndims: number, options: Partial<GlowOptions> = {}): Glow {
  const sizes = { channels: 1, hidden: 3, scales: 2, steps: 1, ndims };
  return new Glow({ ...sizes, random: random(), ...options });
}

const small = { hidden: 2, scales: 1, steps: 1, actnorm: false };

const ofSets: Row = {
  name: 'SummarizedNetwork of a DeepSet',
  shape: [2, 2],
  context: [2, 3, 1],
  make: () =>
    new SummarizedNetwork({
      network: new ConditionalGlow({
        ...small,
        channels: 2,
        contextChannels: 2,
        ndims: 0,
        random: random(),
      }),
      summary: new DeepSet({ features: 1, hidden: 2, outChannels: 2, random: random() }),
    }),
};

/** In 1D, for a U-Net has many operations, and in 2D each of them fails once in turn. */
const ofUNets: Row = {
  name: 'ConditionalGlow of U-Nets',
  shape: [1, 1, 4],
  context: [1, 1, 4],
  make: () =>
    new ConditionalGlow({
      ...small,
      channels: 1,
      contextChannels: 1,
      ndims: 1,
      random: random(),
      conditioner: withContext(
        (shape) => new UNet({ ...shape, hidden: 1, levels: 1, random: random() }),
      ),
    }),
};

function conditionalRows(ndims: number): Row[] {
  const size = odd(ndims);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const conditionalGlow = (name: string, options: Partial<GlowOptions> = {}): Row => {
    const channels = ndims === 0 ? 3 : 1;
    const scaled = ndims === 1 ? twice(ndims) : even(ndims);
    const scales = ndims < 2 ? 2 : 1;
    const fixed = { channels, contextChannels: 2, scales, steps: 1 };
    return {
      name,
      shape: [2, channels, ...scaled],
      context: [2, 2, ...scaled],
      make: () => new ConditionalGlow({ ...sizes(), ...fixed, ...options }),
    };
  };
  return [
    conditionalGlow('ConditionalGlow'),
    conditionalGlow('ConditionalGlow without ActNorm', { actnorm: false }),
    ...(ndims < 2
      ? [
          conditionalGlow('ConditionalGlow with a learned prior', {
            actnorm: false,
            prior: new LearnedPrior(),
          }),
        ]
      : []),
    {
      name: 'SummarizedNetwork',
      shape: [2, 3, ...size],
      context: [2, 3, ...size],
      make: () =>
        new SummarizedNetwork({
          network: new ConditionalGlowCoupling({ ...sizes(), channels: 3, contextChannels: 2 }),
          summary: defaultConditioner({ ...sizes(), inChannels: 3, outChannels: 2 }),
        }),
    },
    ...(ndims === 0 ? [ofSets] : []),
    ...(ndims === 1 ? [ofUNets] : []),
  ];
}
