/**
 * The networks that the page offers: one entry each, and what is here appears in the page.
 * States are points of the plane as [N, 2, 1], two channels at one position.
 */
import {
  ActNorm,
  type Bijection,
  Conv1x1,
  expClamp,
  GlowCoupling,
  ResidualBlock,
  Sequential,
} from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';

/** Size and seed of a network. */
export interface NetworkOptions {
  readonly depth: number;
  readonly width: number;
  readonly seed: number;
}

/** An offered network. */
export interface NetworkEntry {
  readonly label: string;
  /** One layer of the result is one step of the page's slider. */
  build(options: NetworkOptions): Sequential;
  /** Numbers per point and flow step that autodiff would keep for the backward pass. */
  storedPerStep(width: number): number;
}

/** Conditioner input, two hidden layers, its scale and shift, and the scale function's output. */
const storedByCoupling = (width: number) => 2 + 1 + 2 * width + 2 + 1;

export const networks: Readonly<Record<string, NetworkEntry>> = {
  glow: {
    label: 'Glow',
    build: ({ depth, width, seed }) => {
      const random = new RandomStream(seed);
      return repeat(depth, () => ({
        actnorm: new ActNorm({ channels: 2 }),
        conv1x1: new Conv1x1({ channels: 2, random }),
        coupling: coupling(width, random),
      }));
    },
    // ActNorm and the 1×1 convolution keep their inputs, two numbers each.
    storedPerStep: (width) => 4 + storedByCoupling(width),
  },
  realnvp: {
    label: 'RealNVP',
    build: ({ depth, width, seed }) => {
      const random = new RandomStream(seed);
      return repeat(depth, () => ({
        coupling: coupling(width, random),
        // A fixed rotation, so that each coupling moves what the one before it kept.
        rotation: new Conv1x1({ channels: 2, frozen: true, random }),
      }));
    },
    storedPerStep: storedByCoupling,
  },
};

function repeat(depth: number, step: () => Record<string, Bijection>): Sequential {
  return new Sequential(Array.from({ length: depth }, () => new Sequential(step())));
}

function coupling(width: number, random: RandomStream): GlowCoupling {
  return new GlowCoupling({
    channels: 2,
    scaleFunction: expClamp({ clamp: 1.5 }),
    conditioner: new ResidualBlock({
      inChannels: 1,
      hidden: width,
      outChannels: 2,
      ndims: 1,
      kernel1: 1,
      kernel2: 1,
      random,
    }),
  });
}
