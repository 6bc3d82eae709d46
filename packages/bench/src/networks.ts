/** The networks whose training steps are measured, and what each library has of them. */

/** Glow on [batch, channels, side, …]. */
export interface GlowNetwork {
  readonly kind: 'glow';
  readonly batch: number;
  readonly channels: number;
  readonly side: number;
  readonly hidden: number;
  readonly scales: number;
  readonly steps: number;
  /** Number of spatial axes. */
  readonly ndims: 2 | 3;
}

/** Conditional HINT on pairs of [batch, channels, side, side]. */
export interface HintNetwork {
  readonly kind: 'hint';
  readonly batch: number;
  readonly channels: number;
  readonly side: number;
  readonly hidden: number;
  readonly steps: number;
}

/** An unrolled loop that undoes a blur of [batch, 1, side, side]. */
export interface LoopNetwork {
  readonly kind: 'loop';
  readonly batch: number;
  readonly memoryChannels: number;
  readonly side: number;
  readonly hidden: number;
  readonly iterations: number;
}

export type Network = GlowNetwork | HintNetwork | LoopNetwork;

/** The networks by the names that `--network` takes. */
export const networks: Readonly<Record<string, Network>> = {
  mnist: {
    kind: 'glow',
    ...{ batch: 16, channels: 1, side: 28, hidden: 64, scales: 2, steps: 8, ndims: 2 },
  },
  images: {
    kind: 'glow',
    ...{ batch: 16, channels: 3, side: 64, hidden: 128, scales: 3, steps: 4, ndims: 2 },
  },
  wide: {
    kind: 'glow',
    ...{ batch: 4, channels: 3, side: 32, hidden: 512, scales: 3, steps: 4, ndims: 2 },
  },
  volume: {
    kind: 'glow',
    ...{ batch: 1, channels: 1, side: 48, hidden: 64, scales: 3, steps: 4, ndims: 3 },
  },
  hint: { kind: 'hint', batch: 4, channels: 8, side: 32, hidden: 64, steps: 4 },
  loop: { kind: 'loop', batch: 4, memoryChannels: 15, side: 64, hidden: 64, iterations: 8 },
};

/** What a network is, in one line. */
export function describeNetwork(network: Network): string {
  const { batch, side, hidden } = network;
  switch (network.kind) {
    case 'glow': {
      const { channels, scales, steps, ndims } = network;
      const shape = [batch, channels, ...new Array<number>(ndims).fill(side)].join(', ');
      return `Glow [${shape}], hidden ${hidden}, ${scales} scales, ${steps} steps`;
    }
    case 'hint': {
      const { channels, steps } = network;
      const shape = [batch, channels, side, side].join(', ');
      return `conditional HINT, two of [${shape}], hidden ${hidden}, ${steps} steps`;
    }
    case 'loop': {
      const { memoryChannels, iterations } = network;
      const shape = [batch, 1, side, side].join(', ');
      return (
        `unrolled loop [${shape}] with ${memoryChannels} channels of memory, hidden ${hidden}, ` +
        `${iterations} iterations`
      );
    }
  }
}

/** What a library has of a network, or why it has nothing. */
export type Offer = { readonly computes: string } | { readonly lacks: string };

/** More hidden channels than this, and a step of jax-js takes minutes. */
const mostOfJax = 64;

/** What other libraries have of a network; `memcnn-wrapper` is memcnn in another way. */
export function offersOf(network: Network): Readonly<Record<string, Offer>> {
  const torch = { computes: 'autograd, the same network' };
  const wrapper = { computes: 'its InvertibleModuleWrapper, the same network' };
  switch (network.kind) {
    case 'glow': {
      const { ndims, hidden } = network;
      const flat = ndims === 2;
      return {
        torch,
        normflows: flat
          ? { computes: 'its GlowBlock' }
          : { lacks: 'its GlowBlock is for images of two dimensions only' },
        FrEIA: {
          computes: flat
            ? 'its AffineCouplingOneSided, mixing not trained'
            : 'its AllInOneBlock, mixing not trained',
        },
        memcnn: {
          computes: 'its reversible AffineCoupling of both halves, no log-determinant',
        },
        'memcnn-wrapper': wrapper,
        ...(flat && hidden <= mostOfJax && { 'jax-js': { computes: 'wasm, without Adam' } }),
      };
    }
    case 'hint':
      return {
        torch,
        normflows: { lacks: 'it has no coupling of images with a condition' },
        FrEIA: { computes: 'its ConditionalAffineTransform, mixing not trained' },
        'memcnn-wrapper': wrapper,
      };
    case 'loop':
      return {
        torch,
        normflows: { lacks: 'it has no unrolled loop' },
        FrEIA: { lacks: 'it has no unrolled loop' },
        'memcnn-wrapper': wrapper,
      };
  }
}
