/** Flow steps over several resolutions: what Glow and the multi-scale HINT networks share. */

import {
  type BackwardOptions,
  type Bijection,
  type Parameter,
  reverse,
  Sequential,
  type State,
  type Tangent,
  tensorsOf,
} from '@invnet/layers';
import { formatShape, ShapeError, type Tensor, ValueError } from '@invnet/tensor';
import { FirstHalf } from './first-half.ts';

/** Sizes that all multi-scale networks take. */
export interface MultiScaleSizes {
  /** Number L of scales; spatial sizes are divisible by 2ᴸ. Default: 2. */
  readonly scales?: number;
  /** Number K of flow steps per scale. Default: 8. */
  readonly steps?: number;
  /** Number of spatial axes, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /** Lets half of the channels leave after each scale but the last. Default: true. */
  readonly splitScales?: boolean;
}

/** What a `MultiScale` is made of. */
export interface MultiScaleOptions<S extends State> extends MultiScaleSizes {
  /** Stands in error messages. */
  readonly name: string;
  /** Channels of the state's tensors. */
  readonly channels: readonly number[];
  /** Halves the resolution; not asked for without spatial axes. */
  readonly squeeze: Bijection<S>;
  /** Makes a flow step for states of the given channels at a scale. */
  readonly step: (channels: readonly number[], scale: number) => Bijection<S>;
  /** Put around each scale, what is inside included. */
  readonly around?: (network: Bijection<S>, scale: number) => Bijection<S>;
}

/**
 * Per scale a squeeze and K steps, then the scales inside it on the first half of the channels, and
 * the squeeze undone: a map between states of one shape. Without spatial axes nothing is squeezed.
 *
 * Parameters are named `scales.0.steps.3.<name in the step>`.
 */
export class MultiScale<S extends State = Tensor> implements Bijection<S> {
  readonly parameters: readonly Parameter[];
  readonly #network: Bijection<S>;
  readonly #name: string;
  readonly #channels: readonly number[];
  readonly #ndims: number;
  readonly #factor: number;

  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: MultiScaleOptions<S>) {
    const { name, channels, squeeze, step, around = (network) => network } = options;
    const { scales = 2, steps = 8, ndims = 2, splitScales = true } = options;
    requireSizes(name, { scales, steps, ndims });
    channels.forEach((c) => {
      requireSizes(name, { channels: c });
    });
    const flows = Array.from({ length: scales }, (_, scale) => {
      const widths = channels.map((c) => widthAt(c, scale, ndims, splitScales));
      return new Sequential(Array.from({ length: steps }, () => step(widths, scale)));
    });
    const named = flows.flatMap((flow, i) =>
      flow.parameters.map((p) => [p, `scales.${i}.steps.${p.name}`] as const),
    );
    let network: Bijection<S> | undefined;
    for (let scale = scales - 1; scale >= 0; scale--) {
      const inside = network ? [splitScales ? new FirstHalf(network) : network] : [];
      const flow = [flows[scale]!, ...inside];
      const all = ndims === 0 ? flow : [squeeze, ...flow, reverse(squeeze)];
      network = around(new Sequential<S>(all), scale);
    }
    this.#network = network!;
    // What stands around the scales has names of its own; the steps' come last, by their paths.
    for (const [p, path] of named) p.name = path;
    this.parameters = this.#network.parameters;
    this.#name = name;
    this.#channels = channels;
    this.#ndims = ndims;
    this.#factor = ndims === 0 ? 1 : 2 ** scales;
  }

  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    this.#check(x);
    return this.#network.forward(x, context);
  }

  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    this.#check(y);
    return this.#network.inverse(y, context);
  }

  backward(y: S, dy: S, options?: BackwardOptions) {
    this.#check(y);
    return this.#network.backward(y, dy, options);
  }

  backwardInverse(x: S, dx: S, options?: BackwardOptions) {
    this.#check(x);
    return this.#network.backwardInverse(x, dx, options);
  }

  jvp(x: S, tangent: Tangent<S>, context?: Tensor) {
    this.#check(x);
    return this.#network.jvp(x, tangent, context);
  }

  jvpInverse(y: S, tangent: Tangent<S>, context?: Tensor) {
    this.#check(y);
    return this.#network.jvpInverse(y, tangent, context);
  }

  #check(state: S): void {
    tensorsOf(state).forEach((x, i) => {
      const channels = this.#channels[i];
      if (
        x.rank === this.#ndims + 2 &&
        x.shape[1] === channels &&
        x.shape.slice(2).every((s) => s % this.#factor === 0)
      ) {
        return;
      }
      const sizes = ['N', channels, ...['D', 'H', 'W'].slice(3 - this.#ndims)].join(', ');
      const rule =
        this.#ndims === 0 ? '' : ` with spatial sizes divisible by ${this.#factor} (2 per scale)`;
      throw new ShapeError(
        `${this.#name}: got ${formatShape(x.shape)}; expected [${sizes}]${rule}.`,
      );
    });
  }
}

/** Channels of a scale's steps. */
function widthAt(channels: number, scale: number, ndims: number, splitScales: boolean): number {
  let width = channels * 2 ** ndims;
  for (let i = 0; i < scale; i++) width = (splitScales ? Math.ceil(width / 2) : width) * 2 ** ndims;
  return width;
}

/** @throws ValueError for a size that is not whole and positive; `ndims` is 0 to 3. */
export function requireSizes(network: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(sizes)) {
    const [least, most] = name === 'ndims' ? [0, 3] : [1, Number.POSITIVE_INFINITY];
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    throw new ValueError(
      `${network}: ${name} is ${value}; expected a whole number of at least ${least}` +
        `${name === 'ndims' ? ' and at most 3' : ''}.`,
    );
  }
}
