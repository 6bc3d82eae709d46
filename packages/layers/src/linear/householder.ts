/**
 * Reflections of the channels: a permutation that is learned, and more than one (Tomczak and Welling,
 * "Improving variational auto-encoders using Householder flow", 2016). `ConditionalHouseholder` has those
 * of a context.
 * Mathematics: docs/math/linear/householder.md
 */
import { RandomStream, requireBoolean } from '@invnet/tensor';
import { requireModuleOptions, requireRepeats, requireWhole } from '../core/checks.ts';
import type { Parameter } from '../tree/parameter.ts';
import { LinearMap } from './linear-map.ts';
import type { Mixing } from './mixing.ts';
import { Reflections } from './reflections.ts';

/** Options of `Householder`. */
export interface HouseholderOptions {
  readonly channels: number;
  /** How many. With as many as there are channels W may be any orthogonal matrix. Default: 2. */
  readonly reflections?: number;
  /** Reflections that are drawn and not trained. Default: false. */
  readonly frozen?: boolean;
  /** Draws the vectors. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = H(v₁)H(v₂)…H(vₖ) x at every position, H(v) = I − 2vvᵀ/vᵀv; logdet = 0. The vectors are trained, and
 * the map is orthogonal whatever they are.
 *
 * @example
 * const mix = new Householder({ channels: 8, reflections: 4, random: new RandomStream(1) });
 * const { y } = mix.forward(x); // x [N, 8, ...]
 */
export class Householder extends LinearMap {
  static readonly type: string = 'Householder';
  readonly channels: number;
  readonly reflections: number;
  /** v1, …, vk */
  readonly weights: readonly Parameter[];
  readonly #frozen: boolean;
  readonly #mixing: Mixing;

  /** @throws ValueError unless channels and reflections are whole and at least 1. */
  constructor(options: HouseholderOptions) {
    super();
    requireModuleOptions('Householder', options, ['channels', 'reflections', 'frozen']);
    const { channels, reflections = 2, frozen = false, random = new RandomStream(0) } = options;
    requireWhole('Householder', 'channels', channels, 1);
    requireRepeats('Householder', 'reflections', reflections);
    requireBoolean('Householder', 'frozen', frozen);
    this.channels = channels;
    this.reflections = reflections;
    this.#frozen = frozen;
    this.#mixing = new Reflections(channels, reflections, random, frozen);
    this.weights = this.#mixing.parameters;
  }

  get options() {
    const { channels, reflections } = this;
    return { channels, reflections, frozen: this.#frozen };
  }

  protected get mixing(): Mixing {
    return this.#mixing;
  }
}
