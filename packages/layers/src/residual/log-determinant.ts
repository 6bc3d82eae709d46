/**
 * log det(I + J) of the Jacobian J of a contraction, exactly or by estimators of its power series
 * Σ (−1)ᵏ⁺¹ tr Jᵏ/k, with what its derivative is made of. Mathematics:
 * docs/math/residual/invertible-residual.md
 */
import {
  add,
  affine,
  concat,
  matmul,
  mul,
  RandomStream,
  requireBetween,
  requireOneOf,
  type Shape,
  sign,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { requireRepeats, requireWhole } from '../core/checks.ts';
import { perSample } from '../core/idioms.ts';
import { inverseByElimination, unitRow } from './elimination.ts';
import type { BlockAt, Pairing } from './lipschitz-block.ts';

/** How a log-determinant is found. */
export interface LogDeterminantOptions {
  /**
   * `exact`: from the Jacobian of each sample, which takes as many products with it as a sample has numbers.
   * `series`: the first `terms` of the power series, with traces by Hutchinson's estimator (Behrmann et al., 2019);
   * biased by what is left out. `roulette`: the first `terms` and a random number of further ones, weighted so that
   * the mean over draws is exact (Chen et al., 2019). Default: `exact`.
   */
  readonly logdet?: 'exact' | 'series' | 'roulette';
  /** Terms that are always taken. Default: 20 of `series`, 2 of `roulette`, and 20 of that in evaluation. */
  readonly terms?: number;
  /** Estimates that are averaged. Default: 1. */
  readonly samples?: number;
  /** Of the number of further terms, by `roulette`. Default: `geometric`. */
  readonly distribution?: 'geometric' | 'poisson';
  /** The probability to stop of `geometric`, above 0.01 and below 1, or the mean of `poisson`, below 100. Default: 0.5, or 2. */
  readonly rate?: number;
  /** Draws the noise of the estimators. Default: drawn by `random`. */
  readonly seed?: number;
}

/** The names of these options. */
export const logDeterminantOptions = ['logdet', 'terms', 'samples', 'distribution', 'rate', 'seed'];

/** A log-determinant per sample, and the pairings of which its gradient is the sum. */
export interface FoundLogDeterminant {
  readonly logdet: Tensor;
  /** What the pairings are made of, so that they can be kept. */
  readonly tensors: readonly Tensor[];
  pairings(): Iterable<Pairing>;
}

/** A way to find it. */
export interface LogDeterminant {
  /** With what was left out. */
  readonly options: LogDeterminantOptions;
  /** Does it depend on draws? */
  readonly random: boolean;
  /** At a point, with the draws of a number. */
  at(block: BlockAt, draw: number, training: boolean): FoundLogDeterminant;
}

/** Terms of a series, and of one by roulette in evaluation. */
const manyTerms = 20;

/** Blocks of random numbers between two draws: a sample may have as many numbers as four times that. */
export const blocksPerDraw = 2 ** 28;

/** @throws ValueError for options out of range, or that the way does not have. */
export function logDeterminantBy(
  op: string,
  options: LogDeterminantOptions,
  random: RandomStream,
): LogDeterminant {
  const { logdet = 'exact' } = options;
  requireOneOf(op, 'logdet', logdet, ['exact', 'series', 'roulette']);
  const taken = {
    exact: ['logdet'],
    series: ['logdet', 'terms', 'samples', 'seed'],
    roulette: logDeterminantOptions,
  }[logdet];
  for (const name of logDeterminantOptions) {
    if (taken.includes(name) || !(name in options)) continue;
    throw new ValueError(
      `${op}: ${name} is given, and logdet '${logdet}' has none; expected ${taken.join(', ')} alone.`,
    );
  }
  if (logdet === 'exact') return { options: { logdet }, random: false, at: exactAt };
  const { terms = logdet === 'series' ? manyTerms : 2, samples = 1 } = options;
  const { seed = Math.floor(random.uniformArray(1)[0]! * 2 ** 24) } = options;
  requireRepeats(op, 'terms', terms);
  requireRepeats(op, 'samples', samples);
  requireWhole(op, 'seed', seed, 0);
  const counts = logdet === 'series' ? undefined : countsBy(op, options);
  return {
    options: { logdet, terms, samples, ...counts?.options, seed },
    random: true,
    at: (block, draw, training) => {
      const certain = counts && !training ? Math.max(terms, manyTerms) : terms;
      const stream = new RandomStream(seed, draw * blocksPerDraw);
      return estimateAt(block, stream, { certain, counts, samples });
    },
  };
}

/** log det(I + J) and its gradient tr((I + J)⁻¹ ∂J), a pairing for each number of a sample. */
function exactAt(block: BlockAt): FoundLogDeterminant {
  const { inverse, logdet } = tidy(() => {
    const jacobian = jacobianOf(block);
    return inverseByElimination(add(jacobian, identityLike(jacobian)));
  });
  return { logdet, tensors: [inverse], pairings: () => rowPairings(inverse, block.x.shape) };
}

/** J at the block's point, [N, D, D] for samples of D numbers: a product for each of its columns. */
export function jacobianOf(block: BlockAt): Tensor {
  const [samples, size] = [block.x.shape[0]!, block.x.size / block.x.shape[0]!];
  return tidy(() => {
    const push = block.pusher();
    const columns = Array.from({ length: size }, (_, k) =>
      tidy(() => push(unitDirection(k, block.x)).reshape([samples, size, 1])),
    );
    return concat(columns, 2);
  });
}

/** The identity, [1, D, D], where `like` is [N, D, D]. */
export function identityLike(like: Tensor): Tensor {
  const size = like.shape.at(-1)!;
  const values = new Float64Array(size * size);
  for (let k = 0; k < size; k++) values[k * (size + 1)] = 1;
  return tensor(values, [1, size, size], like);
}

/** In each sample number k is 1 and the others 0. */
export function unitDirection(k: number, like: Tensor): Tensor {
  const values = new Float64Array(like.size / like.shape[0]!);
  values[k] = 1;
  return tidy(() =>
    add(zeros(like.shape, like), tensor(values, [1, ...like.shape.slice(1)], like)),
  );
}

/** tr(M ∂J) for matrices M [N, D, D]: of each unit vector with a row of M, for samples of a shape. */
export function* rowPairings(matrices: Tensor, shape: Shape): Generator<Pairing> {
  for (let k = 0; k < matrices.shape.at(-1)!; k++) {
    const pairing = tidy(() => {
      const w = matmul(unitRow(matrices, k), matrices).reshape(shape);
      return { v: unitDirection(k, w), w };
    });
    yield pairing;
    pairing.v.dispose();
    pairing.w.dispose();
  }
}

/** The pairings of a log-determinant, times a number per sample. */
export function* weightedPairings(found: FoundLogDeterminant, weights: Tensor): Generator<Pairing> {
  for (const { v, w } of found.pairings()) {
    const scaled = mul(w, perSample(weights, w));
    yield { v, w: scaled };
    scaled.dispose();
  }
}

/** The number of further terms, and how likely it is that there are so many. */
interface Counts {
  readonly options: Required<Pick<LogDeterminantOptions, 'distribution' | 'rate'>>;
  /** A number by a uniform one. */
  draw(uniform: number): number;
  /** The probability of at least k. */
  atLeast(k: number): number;
}

function countsBy(op: string, options: LogDeterminantOptions): Counts {
  const { distribution = 'geometric' } = options;
  requireOneOf(op, 'distribution', distribution, ['geometric', 'poisson']);
  if (distribution === 'geometric') {
    const { rate = 0.5 } = options;
    requireBetween(op, 'rate', rate, 0.01, 1);
    return {
      options: { distribution, rate },
      draw: (u) => 1 + Math.floor(Math.log(1 - u) / Math.log(1 - rate)),
      atLeast: (k) => (1 - rate) ** Math.max(k - 1, 0),
    };
  }
  const { rate = 2 } = options;
  requireBetween(op, 'rate', rate, 0, 100);
  /** The probability of k. */
  const of = (k: number) => {
    let probability = Math.exp(-rate);
    for (let i = 1; i <= k; i++) probability *= rate / i;
    return probability;
  };
  return {
    options: { distribution, rate },
    draw: (u) => {
      let k = 0;
      for (let rest = u - of(0); rest > 0; rest -= of(k)) k++;
      return k;
    },
    atLeast: (k) => {
      let below = 0;
      for (let i = 0; i < k; i++) below += of(i);
      return 1 - below;
    },
  };
}

/**
 * The mean of `samples` estimates Σ (−1)ᵏ⁺¹ cₖ⟨(Jᵀ)ᵏv, v⟩/k with signs v, and the pairings of v with
 * Σ (−1)ᵏ cₖ₊₁ (Jᵀ)ᵏv, by Neumann's series of (I + J)⁻¹.
 */
function estimateAt(
  block: BlockAt,
  stream: RandomStream,
  how: { certain: number; counts: Counts | undefined; samples: number },
): FoundLogDeterminant {
  const { certain, counts, samples } = how;
  const found = tidy(() => {
    const pairings: Pairing[] = [];
    let total: Tensor | undefined;
    for (let i = 0; i < samples; i++) {
      const further = counts ? counts.draw(stream.uniformArray(1)[0]!) : 0;
      const coefficient = (k: number) => (k > certain ? 1 / counts!.atLeast(k - certain) : 1);
      const one = tidy(() =>
        estimateWith(
          block,
          signs(block.x, stream),
          certain + further,
          (k) => coefficient(k) / samples,
        ),
      );
      pairings.push(one.pairing);
      total = total ? add(total, one.logdet) : one.logdet;
    }
    return { logdet: total!, pairings };
  });
  const { logdet, pairings } = found;
  return { logdet, tensors: pairings.flatMap(({ v, w }) => [v, w]), pairings: () => pairings };
}

function estimateWith(
  block: BlockAt,
  v: Tensor,
  terms: number,
  coefficient: (k: number) => number,
): { logdet: Tensor; pairing: Pairing } {
  let [u, w] = [v, affine(v, coefficient(1))];
  let logdet: Tensor | undefined;
  for (let k = 1; k <= terms; k++) {
    const [before, sum] = [{ u, w }, logdet];
    const alternating = k % 2 === 1 ? 1 : -1;
    [u, w, logdet] = tidy(() => {
      const next = block.pull(before.u);
      const term = affine(sumPerSample(mul(next, v)), (alternating * coefficient(k)) / k);
      return [
        next,
        k < terms ? add(before.w, affine(next, -alternating * coefficient(k + 1))) : before.w,
        sum ? add(sum, term) : term,
      ] as const;
    });
    if (before.u !== v) before.u.dispose();
    if (before.w !== w) before.w.dispose();
    sum?.dispose();
  }
  return { logdet: logdet!, pairing: { v, w } };
}

/** −1 or 1, each as likely. */
export function signs(like: Tensor, stream: RandomStream): Tensor {
  const values = stream.uniformArray(like.size, -1, 1);
  return sign(affine(tensor(values, like.shape, like), 1, 2 ** -26));
}
