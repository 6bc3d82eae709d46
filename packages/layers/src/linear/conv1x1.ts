/**
 * 1×1 convolutions: orthogonal by Householder reflections (Putzky and Welling, "Invert to learn to
 * invert", 2019), or any regular matrix by its PLU factors (Kingma and Dhariwal, "Glow", 2018).
 * Mathematics: docs/math/linear/conv1x1.md
 */
import {
  add,
  affine,
  convFilterGrad,
  formatValue,
  neg,
  RandomStream,
  requireBoolean,
  requireList,
  requireOneOf,
  type Shape,
  sub,
  sum,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireModuleOptions,
  requirePermutation,
  requireWhole,
} from '../core/checks.ts';
import { positions, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';
import { Householder } from './householder.ts';
import { type EvaluatedMixing, type Mixing, mixingBy } from './mixing.ts';
import { type FixedFactors, mostFactored, PluFactors } from './plu-factors.ts';

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
export class Conv1x1 extends Bijection {
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
        : new Householder(channels, random, frozen);
    this.weights = this.#mixing.parameters;
  }

  get options() {
    const { channels, parametrization } = this;
    return { channels, parametrization, ...this.#fixed, frozen: this.#frozen };
  }

  protected apply(x: Tensor) {
    return { y: at(x, this.#mixing.evaluate().apply), logdet: this.#logdet(x, 1) };
  }

  protected invert(y: Tensor) {
    return { x: at(y, this.#mixing.evaluate().applyInverse), logdet: this.#logdet(y, -1) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const w = this.#mixing.evaluate();
    const x = at(y, w.applyInverse);
    this.#accumulate(w, () => outer(dy, x), dlogdet, positions(y));
    return { x, dx: at(dy, w.applyTransposed) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const w = this.#mixing.evaluate();
    const dy = at(dx, w.applyInverseTransposed);
    this.#accumulate(w, () => neg(outer(dy, x)), dlogdet, -positions(x));
    return { y: at(x, w.apply), dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const w = this.#mixing.evaluate();
    const dw = w.tangent(tangent);
    const dy = sumOfTerms(x, tangent.x && at(tangent.x, w.apply), dw && at(x, mixingBy(dw)));
    const dlogdet = this.#logdetTangent(x, tangent, 1);
    return { y: at(x, w.apply), dy, logdet: this.#logdet(x, 1), dlogdet };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const w = this.#mixing.evaluate();
    const x = at(y, w.applyInverse);
    const dw = w.tangent(tangent);
    const still = sumOfTerms(y, tangent.x);
    const dx = at(dw ? sub(still, at(x, mixingBy(dw))) : still, w.applyInverse);
    const dlogdet = this.#logdetTangent(y, tangent, -1);
    return { x, dx, logdet: this.#logdet(y, -1), dlogdet };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('Conv1x1', x, this.channels);
  }

  #logdet(x: Tensor, sign: 1 | -1): Tensor | undefined {
    return summed(x, this.#mixing.volume?.logdet(), sign);
  }

  #logdetTangent(x: Tensor, tangent: Tangent, sign: 1 | -1): Tensor | undefined {
    return summed(x, this.#mixing.volume?.tangent(tangent), sign);
  }

  /** Adds the gradients for ∂loss/∂W, which is made only if a parameter is trained. */
  #accumulate(
    w: EvaluatedMixing,
    makeGrad: () => Tensor,
    dlogdet: Tensor | undefined,
    factor: number,
  ): void {
    if (this.weights.every((p) => p.frozen)) return;
    w.accumulate(makeGrad());
    if (dlogdet) this.#mixing.volume?.accumulate(sum(dlogdet), factor);
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

/** ± a number per position, summed over the positions of each sample, [N]. */
function summed(x: Tensor, perPosition: Tensor | undefined, sign: 1 | -1): Tensor | undefined {
  return perPosition && add(zeros([x.shape[0]!], x), affine(perPosition, sign * positions(x)));
}

/** What `map` makes of x [N, C, ...] taken as [N, C, P], in x's shape. */
function at(x: Tensor, map: (x: Tensor) => Tensor): Tensor {
  return map(flat(x)).reshape(x.shape);
}

/** Σ a bᵀ over samples and positions, [C, C]. */
function outer(a: Tensor, b: Tensor): Tensor {
  const channels = a.shape[1]!;
  const kernel = [channels, channels, 1];
  return convFilterGrad(flat(b), flat(a), kernel).reshape([channels, channels]);
}

function flat(x: Tensor): Tensor {
  return x.reshape([x.shape[0]!, x.shape[1]!, -1]);
}
