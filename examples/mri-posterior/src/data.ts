/** The data sets, each with the sizes and the training that suit it where flags do not say otherwise. */

import { loadMnist } from '@invnet/datasets';
import { loadHead } from 'brain-mri';
import type { Budget } from 'example-kit';
import { brain, brainChannels } from './brain.ts';
import { linearGaussian, linearGaussianChannels } from './linear-gaussian.ts';
import { mnistInpainting, mnistInpaintingChannels } from './mnist-inpainting.ts';
import type { ModelSizes } from './model.ts';
import type { Channels } from './problem.ts';

/** Names of `--data`. */
export const dataNames = ['brain', 'mnist-inpainting', 'linear-gaussian'] as const;

export type DataName = (typeof dataNames)[number];

/** What a run has that was not told. */
export interface Preset {
  readonly channels: Channels;
  readonly sizes: ModelSizes & { readonly batch: number };
  readonly budget: Budget;
  /** Cases to evaluate on. */
  readonly cases: number;
}

export const presets: Readonly<Record<DataName, Preset>> = {
  brain: {
    channels: brainChannels,
    sizes: { scales: 2, depth: 8, hidden: 32, batch: 8 },
    budget: { steps: 10000, learningRate: 3e-3 },
    cases: 512,
  },
  // Of InvertibleNetworks.jl's script: 30 epochs of 14 batches.
  'mnist-inpainting': {
    channels: mnistInpaintingChannels,
    sizes: { scales: 2, depth: 10, hidden: 32, batch: 128 },
    budget: { steps: 420, learningRate: 2e-3 },
    cases: 205,
  },
  'linear-gaussian': {
    channels: linearGaussianChannels,
    sizes: { scales: 2, depth: 8, hidden: 32, batch: 64 },
    budget: { steps: 10_000, learningRate: 4e-3 },
    cases: 256,
  },
};

/** The problems by name, loaded when they are asked for. */
export const problems = {
  brain: async () => brain(await loadHead()),
  'mnist-inpainting': async () => mnistInpainting(await loadMnist({ split: 'train' })),
  'linear-gaussian': linearGaussian,
} as const;

/** The sizes of a run, those that were not given as they suit its data. */
export function sizesOf(
  config: { readonly data: DataName } & {
    readonly [K in keyof Preset['sizes']]?: number | undefined;
  },
): Preset['sizes'] {
  const { sizes } = presets[config.data];
  const {
    scales = sizes.scales,
    depth = sizes.depth,
    hidden = sizes.hidden,
    batch = sizes.batch,
  } = config;
  return { scales, depth, hidden, batch };
}

/** Options whose budget suits the data as well, unless one was given. */
export function withPreset<
  O extends {
    readonly config: { readonly data: DataName };
    readonly budget: Budget;
    readonly given: ReadonlySet<string>;
  },
>(options: O): O {
  const { budget } = presets[options.config.data];
  const { given } = options;
  const length = given.has('minutes') || given.has('steps') ? options.budget : budget;
  const { learningRate } = given.has('learningRate') ? options.budget : budget;
  return { ...options, budget: { ...length, learningRate } };
}
