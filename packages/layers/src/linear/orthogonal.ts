/**
 * Orthogonal mixing of channels by a skew-symmetric matrix: its exponential, or its Cayley transform.
 * Mathematics: docs/math/linear/orthogonal.md
 *
 * Scales and shifts behind it, as in an `OrthogonalTransform` of FrEIA, are a layer of their own.
 */
import {
  formatValue,
  RandomStream,
  requireBoolean,
  requireFinite,
  requireList,
  requireOneOf,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions, requireWhole } from '../core/checks.ts';
import { Parameter } from '../tree/parameter.ts';
import { LinearMap } from './linear-map.ts';
import type { Mixing } from './mixing.ts';
import { type SkewMap, SkewMixing } from './skew-mixing.ts';

/** Options of `Orthogonal`. */
export interface OrthogonalOptions {
  readonly channels: number;
  /** How A = a − aᵀ becomes a rotation: `exponential` is eᴬ, `cayley` (I − A)(I + A)⁻¹. Default: `exponential`. */
  readonly map?: SkewMap;
  /**
   * An orthogonal matrix Q, row by row, before the rotation, which is then the identity at first. It is not
   * trained. Default: none, and a random rotation.
   */
  readonly start?: readonly number[];
  /** A rotation that is not trained. Default: false. */
  readonly frozen?: boolean;
  /** Draws a. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = R(a − aᵀ) Q x at every position; logdet = 0. It is orthogonal by construction, whatever the parameter a
 * [C, C] is. Rotations have the determinant 1, so that W keeps the determinant of Q.
 *
 * The exponential reaches every rotation, and is right to rounding as long as ‖A‖ is below 32, five full
 * turns; the Cayley transform every one that turns by less than half a turn.
 *
 * @example
 * const mix = new Orthogonal({ channels: 8, map: 'cayley', random: new RandomStream(1) });
 * const { y } = mix.forward(x); // x [N, 8, ...]
 */
export class Orthogonal extends LinearMap {
  static readonly type: string = 'Orthogonal';
  readonly channels: number;
  readonly weights: readonly Parameter[];
  readonly #map: SkewMap;
  readonly #start: readonly number[] | undefined;
  readonly #frozen: boolean;
  readonly #mixing: Mixing;

  /** @throws ValueError unless channels ≥ 1, and for a start that is not orthogonal to 10⁻⁵. */
  constructor(options: OrthogonalOptions) {
    super();
    requireModuleOptions('Orthogonal', options, ['channels', 'map', 'start', 'frozen']);
    const { channels, map = 'exponential', start, frozen = false } = options;
    const { random = new RandomStream(0) } = options;
    requireWhole('Orthogonal', 'channels', channels, 1, mostChannels);
    requireOneOf('Orthogonal', 'map', map, ['exponential', 'cayley']);
    requireBoolean('Orthogonal', 'frozen', frozen);
    if (start !== undefined) requireOrthogonal(start, channels);
    this.channels = channels;
    this.#map = map;
    this.#start = start && [...start];
    this.#frozen = frozen;
    const square = [channels, channels];
    const drawn = start ? zeros(square) : random.normal(square, 1 / Math.sqrt(channels));
    const a = new Parameter('a', drawn, { frozen });
    this.weights = [a];
    this.#mixing = new SkewMixing(a, map, this.#start);
  }

  get options() {
    const start = this.#start;
    return {
      channels: this.channels,
      map: this.#map,
      ...(start && { start }),
      frozen: this.#frozen,
    };
  }

  protected get mixing(): Mixing {
    return this.#mixing;
  }
}

/** Channels at most: what is done with their matrix takes as many steps as channels have cubes. */
const mostChannels = 2 ** 12;

/** What float32 keeps of an orthogonal matrix, and rounding adds up to. */
const tolerance = 1e-5;

function requireOrthogonal(matrix: readonly number[], n: number): void {
  requireList('Orthogonal', 'start', matrix);
  if (matrix.length !== n * n) {
    throw new ValueError(
      `Orthogonal: start has ${matrix.length} numbers; expected ${n * n}, row by row.`,
    );
  }
  for (const [i, entry] of matrix.entries()) requireFinite('Orthogonal', `start[${i}]`, entry);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let k = 0; k < n; k++) product += matrix[i * n + k]! * matrix[j * n + k]!;
      if (Math.abs(product - Number(i === j)) < tolerance) continue;
      throw new ValueError(
        `Orthogonal: rows ${j} and ${i} of start have the product ${formatValue(product)}; expected ` +
          `${Number(i === j)}, as of an orthogonal matrix.`,
      );
    }
  }
}
