/**
 * 1×1 convolutions: orthogonal by Householder reflections (Putzky and Welling, "Invert to learn to
 * invert", 2019), or any regular matrix by its PLU factors (Kingma and Dhariwal, "Glow", 2018).
 * Mathematics: docs/math/linear/conv1x1.md
 */
import {
  formatValue,
  RandomStream,
  requireBoolean,
  requireList,
  requireOneOf,
  ValueError,
} from '@invnet/tensor';
import { requireModuleOptions, requirePermutation, requireWhole } from '../core/checks.ts';
import type { Parameter } from '../tree/parameter.ts';
import { LinearMap } from './linear-map.ts';
import type { Mixing } from './mixing.ts';
import { type FixedFactors, mostFactored, PluFactors } from './plu-factors.ts';
import { Reflections } from './reflections.ts';

/** Options of `Conv1x1`. */
export interface Conv1x1Options {
  readonly channels: number;
  /**
   * `householder` keeps W orthogonal; `plu` lets it be any matrix P L U of a permutation P and of signs
   * of U's diagonal, and its determinant with it. Default: `householder`.
   */
  readonly parametrization?: 'householder' | 'plu';
  /** P of `plu`: row i of W is row `rows[i]` of L U. Not trained. Default: reversed. */
  readonly rows?: readonly number[];
  /** The signs of U's diagonal, 1 or −1, of `plu`. Not trained. Default: all 1. */
  readonly signs?: readonly number[];
  /** A fixed random mixing of channels, which is not trained. Default: false. */
  readonly frozen?: boolean;
  /** Draws the matrix, which starts orthogonal. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = W x at every position; logdet = P·log|det W| over P positions, which is 0 for Householder
 * reflections.
 *
 * @example
 * const mix = new Conv1x1({ channels: 8, random: new RandomStream(1) });
 * const { y } = mix.forward(x); // x [N, 8, ...]
 */
export class Conv1x1 extends LinearMap {
  static readonly type: string = 'Conv1x1';
  readonly channels: number;
  readonly parametrization: 'householder' | 'plu';
  /** v1, v2 and v3 of the reflections, or lu. */
  readonly weights: readonly Parameter[];
  readonly #frozen: boolean;
  readonly #fixed: Partial<FixedFactors>;
  readonly #mixing: Mixing;

  /** @throws ValueError unless channels ≥ 1, for an unknown parametrization, or rows that are no permutation. */
  constructor(options: Conv1x1Options) {
    super();
    requireModuleOptions('Conv1x1', options, optionNames);
    const { channels, frozen = false, random = new RandomStream(0) } = options;
    const { parametrization = 'householder' } = options;
    requireWhole('Conv1x1', 'channels', channels, 1);
    requireBoolean('Conv1x1', 'frozen', frozen);
    requireOneOf('Conv1x1', 'parametrization', parametrization, ['householder', 'plu']);
    if (parametrization === 'plu') requireWhole('Conv1x1', 'channels', channels, 1, mostFactored);
    this.channels = channels;
    this.parametrization = parametrization;
    this.#frozen = frozen;
    this.#fixed = fixedFactors(options);
    this.#mixing =
      parametrization === 'plu'
        ? new PluFactors(channels, random, frozen, { ...plainFactors(channels), ...this.#fixed })
        : new Reflections(channels, 3, random, frozen);
    this.weights = this.#mixing.parameters;
  }

  get options() {
    const { channels, parametrization } = this;
    return { channels, parametrization, ...this.#fixed, frozen: this.#frozen };
  }

  protected get mixing(): Mixing {
    return this.#mixing;
  }
}

const optionNames = ['channels', 'parametrization', 'rows', 'signs', 'frozen'];

/** Those factors that are given, and so are saved. */
function fixedFactors(options: Conv1x1Options): Partial<FixedFactors> {
  const { channels, parametrization, rows, signs } = options;
  if (rows === undefined && signs === undefined) return {};
  requireOneOf('Conv1x1', 'parametrization with rows or signs', parametrization ?? 'householder', [
    'plu',
  ]);
  if (rows !== undefined) requirePermutation('Conv1x1', 'rows', rows, channels);
  if (signs !== undefined) requireSigns(signs, channels);
  return { ...(rows && { rows: [...rows] }), ...(signs && { signs: [...signs] }) };
}

/** What is left out: all channels reversed, and no sign. */
function plainFactors(channels: number): FixedFactors {
  const indices = Array.from({ length: channels }, (_, i) => i);
  return { rows: indices.toReversed(), signs: indices.map(() => 1) };
}

function requireSigns(signs: readonly number[], channels: number): void {
  requireList('Conv1x1', 'signs', signs);
  if (signs.length === channels && signs.every((sign) => sign === 1 || sign === -1)) return;
  throw new ValueError(
    `Conv1x1: signs is ${formatValue(signs)}; expected a list of ${channels}, each 1 or −1.`,
  );
}
