/**
 * Glow (Kingma and Dhariwal, "Glow: generative flow with invertible 1×1 convolutions", 2018), in
 * 1D, 2D and 3D. Mathematics: docs/math/glow.md
 */

import {
  type Activation,
  ActNorm,
  type BackwardOptions,
  type Bijection,
  Conv1x1,
  GlowCoupling,
  type Parameter,
  ShuffleSqueeze,
  type Tangent,
} from '@invnet/layers';
import { formatShape, RandomStream, ShapeError, type Tensor, ValueError } from '@invnet/tensor';
import { FirstHalf } from './first-half.ts';
import { reverse } from './reverse.ts';
import { Sequential } from './sequential.ts';

/** Options of `Glow`. */
export interface GlowOptions {
  /** Channels of the data. */
  readonly channels: number;
  /** Width of the conditioners. Default: 64. */
  readonly hidden?: number;
  /** Number L of scales; spatial sizes are divisible by 2ᴸ. Default: 2. */
  readonly scales?: number;
  /** Number K of flow steps per scale. Default: 8. */
  readonly steps?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Lets half of the channels leave after each scale but the last. Default: true. */
  readonly splitScales?: boolean;
  /** Default: `new ShuffleSqueeze({ pattern: 'checkerboard' })`. */
  readonly squeeze?: Bijection;
  /** Scale function of the couplings; see `GlowCoupling`. */
  readonly scaleFunction?: Activation;
  /** Keeps the 1×1 convolutions as they were drawn. Default: false. */
  readonly frozenConv1x1?: boolean;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * Per scale a squeeze, then K × (ActNorm, Conv1x1, GlowCoupling). The output has the input's shape:
 * each scale is unsqueezed behind the ones inside it, so the network is a map of images to images.
 *
 * Parameters are named `scales.0.steps.3.coupling.conditioner.w1`.
 *
 * @example
 * const net = new Glow({ channels: 3, hidden: 64, scales: 3, steps: 8 });
 * const { y, logdet } = net.forward(x); // x and y [N, 3, H, W], H and W divisible by 8
 */
export class Glow implements Bijection {
  readonly parameters: readonly Parameter[];
  readonly #network: Bijection;
  readonly #options: Required<Pick<GlowOptions, 'channels' | 'scales' | 'ndims'>>;

  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: GlowOptions) {
    const { channels, hidden = 64, scales = 2, steps = 8, ndims = 2, splitScales = true } = options;
    const { squeeze = new ShuffleSqueeze(), frozenConv1x1: frozen = false } = options;
    for (const [name, value] of Object.entries({ channels, hidden, scales, steps, ndims })) {
      if (!Number.isInteger(value) || value < 1 || (name === 'ndims' && value > 3)) {
        throw new ValueError(
          `Glow: ${name} is ${value}; expected a whole number of at least 1` +
            `${name === 'ndims' ? ' and at most 3' : ''}.`,
        );
      }
    }
    const random = options.random ?? new RandomStream(0);
    const { scaleFunction } = options;
    const step = (width: number) =>
      new Sequential({
        actnorm: new ActNorm({ channels: width }),
        conv1x1: new Conv1x1({ channels: width, frozen, random }),
        coupling: new GlowCoupling({
          channels: width,
          hidden,
          ndims,
          random,
          ...(scaleFunction && { scaleFunction }),
        }),
      });
    const widths = [channels * 2 ** ndims];
    while (widths.length < scales) {
      const width = widths.at(-1)!;
      widths.push((splitScales ? Math.ceil(width / 2) : width) * 2 ** ndims);
    }
    const flows = widths.map(
      (width) => new Sequential(Array.from({ length: steps }, () => step(width))),
    );
    const names = flows.flatMap((flow, i) =>
      flow.parameters.map((p) => [p, `scales.${i}.steps.${p.name}`] as const),
    );
    let network: Bijection | undefined;
    for (const flow of flows.reverse()) {
      const inner = network ? [splitScales ? new FirstHalf(network) : network] : [];
      network = new Sequential([squeeze, flow, ...inner, reverse(squeeze)]);
    }
    for (const [p, name] of names) p.name = name;
    this.#network = network!;
    this.#options = { channels, scales, ndims };
    this.parameters = names.map(([p]) => p);
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    this.#check(x);
    return this.#network.forward(x);
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    this.#check(y);
    return this.#network.inverse(y);
  }

  backward(y: Tensor, dy: Tensor, options?: BackwardOptions): { x: Tensor; dx: Tensor } {
    this.#check(y);
    return this.#network.backward(y, dy, options);
  }

  backwardInverse(x: Tensor, dx: Tensor, options?: BackwardOptions): { y: Tensor; dy: Tensor } {
    this.#check(x);
    return this.#network.backwardInverse(x, dx, options);
  }

  jvp(x: Tensor, tangent: Tangent) {
    this.#check(x);
    return this.#network.jvp(x, tangent);
  }

  jvpInverse(y: Tensor, tangent: Tangent) {
    this.#check(y);
    return this.#network.jvpInverse(y, tangent);
  }

  #check(x: Tensor): void {
    const { channels, scales, ndims } = this.#options;
    const factor = 2 ** scales;
    if (
      x.rank !== ndims + 2 ||
      x.shape[1] !== channels ||
      x.shape.slice(2).some((s) => s % factor !== 0)
    ) {
      const spatial = ['D', 'H', 'W'].slice(3 - ndims).join(', ');
      throw new ShapeError(
        `Glow: got ${formatShape(x.shape)}; expected [N, ${channels}, ${spatial}] with spatial ` +
          `sizes divisible by ${factor} (2 per scale).`,
      );
    }
  }
}
