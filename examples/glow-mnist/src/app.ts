/** What the command is: its flags, their defaults (the one place where they stand) and their limits. */

import type { Flow } from '@invnet/flows';
import { bitsPerDim } from '@invnet/flows';
import { type App, type Config, type Run, toggle, whole } from 'example-kit';
import { upgrade } from './earlier-form.ts';

/** Height and width of MNIST's images. */
export const side = 28;

/** Numbers per image. */
export const dims = side * side;

const config = {
  hidden: whole({ default: 32, most: 512, help: 'channels inside the couplings' }),
  // 28 can be halved twice.
  scales: whole({ default: 2, most: 2, help: 'scales, each of half the resolution: 1 or 2' }),
  steps: whole({ default: 8, most: 64, help: 'flow steps per scale' }),
  batch: whole({
    default: 16,
    most: 1024,
    help: 'images per training step, of all ranks together',
  }),
};

const flags = {
  mpi: toggle({ help: 'as one of the ranks that mpirun has started' }),
};

export const app: App<typeof config, typeof flags> = {
  name: 'glow-mnist',
  about: 'Trains Glow on MNIST, then samples from it and measures it.',
  config,
  flags,
  budget: { minutes: 3, learningRate: 4e-3 },
  epochs: true,
  measure: { name: 'bitsPerDim', unit: 'bits/dim', of: (nats) => bitsPerDim(nats, dims) },
  writes:
    'samples.png, reconstructions.png, loss.svg, losses.csv, metrics.json and model.safetensors',
  upgrade,
};

/** What shapes the network and the data stream. */
export type GlowConfig = Config<typeof config>;

/** Glow in training. */
export type GlowRun = Run<Flow, GlowConfig>;
