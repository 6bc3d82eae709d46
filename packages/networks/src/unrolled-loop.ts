/**
 * The invertible recurrent inference machine (Putzky and Welling, "Invert to learn to invert",
 * 2019): an iterative solver of an inverse problem, unrolled and trained end to end.
 * Mathematics: docs/math/networks/unrolled-loop.md
 */

import {
  type Activation,
  AdditiveCoupling,
  Composite,
  type Conditioners,
  Construction,
  HintCoupling,
  IrimCoupling,
  JoinedChannels,
  type Options,
  type Pair,
  requireDimensions,
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  Sequential,
  supplyConditioners,
} from '@invnet/layers';
import { RandomStream, requireBoolean, requireOneOf } from '@invnet/tensor';
import { type ForwardOperator, MisfitGradient } from './misfit-gradient.ts';

/** Options of `UnrolledLoop`. */
export interface UnrolledLoopOptions {
  /** Channels of the estimate η. Default: 1. */
  readonly channels?: number;
  /** Channels of the memory s, at least as many as η's. */
  readonly memoryChannels: number;
  /** Number of unrolled iterations. */
  readonly iterations: number;
  /** The physics, from image to data; `named`, where the loop is to be saved. */
  readonly operator: ForwardOperator;
  /** Maps η to the image, such as `sigmoid()` for images in (0, 1). Default: the identity. */
  readonly link?: Activation;
  /** Additive couplings, or recursive ones between mixings. Default: `additive`. */
  readonly coupling?: 'additive' | 'hint';
  /** Width of the default conditioners. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /**
   * Makes the conditioners of the iterations' couplings, or all of them, in order. Default: see
   * `IrimCoupling` and `HintCoupling`.
   */
  readonly conditioner?: Conditioners | undefined;
  /** Normalizes the gradients by an `ActNorm`. Default: true. */
  readonly actnorm?: boolean;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = [
  'channels',
  'memoryChannels',
  'iterations',
  'operator',
  'link',
  'coupling',
  'hidden',
  'ndims',
  'conditioner',
  'actnorm',
];

/**
 * (η, s) ↦ (η, s) after K iterations: s ← s + N(J(u)ᵀ(F(u) − d)) with u = ψ(η), then a coupling of
 * all channels of η and s. The data d are the context; their gradient comes with `backward`.
 *
 * An iteration's backward evaluates its conditioner once, F and J once, and Jᵀ twice: once for the
 * state and once for the gradient.
 *
 * Parameters are named `0.gradient.conditioner.norm.scale`, `0.coupling.mix.v1`, ….
 *
 * @example
 * const loop = new UnrolledLoop({ memoryChannels: 4, iterations: 8, operator: { forward, adjoint } });
 * const { y: [estimate] } = loop.forward([operator.adjoint(d), zeros([N, 4, H, W])], d);
 */
export class UnrolledLoop extends Composite<Pair> {
  static readonly type: string = 'UnrolledLoop';
  readonly inner: Sequential<Pair>;
  readonly #options: Options;

  /** @throws ValueError for sizes that are not whole and positive, or too little memory. */
  constructor(options: UnrolledLoopOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('UnrolledLoop', options, names);
    const { channels = 1, memoryChannels, iterations, operator, link } = options;
    const { coupling = 'additive', hidden = 64, ndims = 2, actnorm = true } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('UnrolledLoop', { channels, memoryChannels, hidden });
    requireRepeats('UnrolledLoop', 'iterations', iterations);
    requireDimensions('UnrolledLoop', ndims, 0);
    requireBoolean('UnrolledLoop', 'actnorm', actnorm);
    requireOneOf('UnrolledLoop', 'coupling', coupling, ['additive', 'hint']);
    const supply = supplyConditioners('UnrolledLoop', options.conditioner);
    const total = channels + memoryChannels;
    const sizes = { channels: total, hidden, ndims, conditioner: supply.conditioner, random };
    const makeCoupling = () =>
      coupling === 'hint'
        ? new HintCoupling({ ...sizes, permute: 'both' })
        : new IrimCoupling(sizes);
    const gradient = () =>
      new MisfitGradient({
        channels,
        outChannels: memoryChannels,
        operator,
        actnorm,
        ...(link !== undefined && { link }),
      });
    const iteration = () =>
      new Sequential<Pair>({
        gradient: new AdditiveCoupling(gradient()),
        coupling: new JoinedChannels(makeCoupling(), [channels, memoryChannels]),
      });
    this.inner = new Sequential(Array.from({ length: iterations }, iteration));
    const network = { channels, memoryChannels, iterations, coupling, hidden, ndims, actnorm };
    this.#options = { ...network, operator, link, conditioner: supply.made };
    building.complete();
  }

  get options() {
    return this.#options;
  }

  protected get whole() {
    return this.inner;
  }
}
