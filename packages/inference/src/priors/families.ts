/**
 * Priors of independent parameters: uniform, normal, log-normal, gamma and beta distributions, and products of any priors.
 * Densities have their constants. Mathematics: docs/math/inference/priors.md
 */
import {
  formatValue,
  type RandomStream,
  requireFinite,
  requireList,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import { gammaDraw, logGamma } from './gamma.ts';
import { Prior, requirePrior } from './prior.ts';
import { type Support, sizeOfSupports } from './support.ts';

/**
 * Numbers between bounds, all equally likely.
 *
 * @throws ValueError unless there are as many bounds of both kinds, finite, the lower ones below the upper.
 * @example uniformPrior({ low: [-1, 0], high: [1, 10] })
 */
export function uniformPrior(options: { low: readonly number[]; high: readonly number[] }): Prior {
  const { low, high } = columns('uniformPrior', options, ['low', 'high']);
  low.forEach((from, c) => {
    if (from < high[c]!) return;
    throw new ValueError(
      `uniformPrior: low[${c}] is ${from} and high[${c}] ${high[c]}; expected a lower and an upper bound.`,
    );
  });
  const logDensity = -low.reduce((sum, from, c) => sum + Math.log(high[c]! - from), 0);
  return new Prior({
    support: [{ kind: 'box', low, high }],
    sample: (count, random) =>
      random.uniformArray(count * low.length).map((u, i) => {
        const c = i % low.length;
        return low[c]! + (high[c]! - low[c]!) * u;
      }),
    logDensity: () => logDensity,
    score: (theta) => theta.map(() => 0),
  });
}

/**
 * Independent normal numbers.
 *
 * @throws ValueError unless there are as many means as deviations, and these are positive.
 * @example normalPrior({ mean: [0, 0], deviation: [1, 0.1] })
 */
export function normalPrior(options: {
  mean: readonly number[];
  deviation: readonly number[];
}): Prior {
  const { mean, deviation } = columns('normalPrior', options, ['mean', 'deviation']);
  requirePositive('normalPrior', { deviation });
  const constant = normalizer(deviation);
  const z = (theta: Float64Array) => theta.map((value, c) => (value - mean[c]!) / deviation[c]!);
  return new Prior({
    support: [{ kind: 'real', size: mean.length }],
    sample: (count, random) => normalRows(count, random, mean, deviation),
    logDensity: (theta) => constant - halfSquares(z(theta)),
    score: (theta) => z(theta).map((value, c) => -value / deviation[c]!),
  });
}

/**
 * Independent positive numbers whose logarithms are normal, of that mean and deviation.
 *
 * @throws ValueError unless there are as many means as deviations, and these are positive.
 * @example logNormalPrior({ mean: [Math.log(0.4), Math.log(0.125)], deviation: [0.5, 0.2] })
 */
export function logNormalPrior(options: {
  mean: readonly number[];
  deviation: readonly number[];
}): Prior {
  const { mean, deviation } = columns('logNormalPrior', options, ['mean', 'deviation']);
  requirePositive('logNormalPrior', { deviation });
  const constant = normalizer(deviation);
  const z = (theta: Float64Array) =>
    theta.map((value, c) => (Math.log(value) - mean[c]!) / deviation[c]!);
  return new Prior({
    support: [{ kind: 'above', low: 0, size: mean.length }],
    sample: (count, random) => normalRows(count, random, mean, deviation).map(Math.exp),
    // At zero squares of logarithms outweigh them.
    logDensity: (theta) =>
      theta.includes(0)
        ? Number.NEGATIVE_INFINITY
        : constant - halfSquares(z(theta)) - theta.reduce((sum, value) => sum + Math.log(value), 0),
    score: (theta) => z(theta).map((value, c) => -(value / deviation[c]! + 1) / theta[c]!),
  });
}

/**
 * Independent positive numbers of density ∝ θ^(shape − 1)·exp(−rate·θ).
 *
 * @throws ValueError unless there are as many shapes as rates, all positive.
 * @example gammaPrior({ shape: [2], rate: [0.5] }) // mean 4
 */
export function gammaPrior(options: { shape: readonly number[]; rate: readonly number[] }): Prior {
  const { shape, rate } = columns('gammaPrior', options, ['shape', 'rate']);
  requirePositive('gammaPrior', { shape, rate });
  const constant = shape.reduce((sum, a, c) => sum + a * Math.log(rate[c]!) - logGamma(a), 0);
  return new Prior({
    support: [{ kind: 'above', low: 0, size: shape.length }],
    sample: (count, random) =>
      fill(count, shape.length, (c) => gammaDraw(shape[c]!, random) / rate[c]!),
    logDensity: (theta) =>
      theta.reduce((sum, t, c) => sum + logPower(t, shape[c]! - 1) - rate[c]! * t, constant),
    score: (theta) => theta.map((t, c) => powerScore(t, shape[c]! - 1) - rate[c]!),
  });
}

/**
 * Independent numbers between 0 and 1 of density ∝ θ^(alpha − 1)·(1 − θ)^(beta − 1).
 *
 * @throws ValueError unless there are as many of both, all positive.
 * @example betaPrior({ alpha: [2, 1], beta: [2, 3] })
 */
export function betaPrior(options: { alpha: readonly number[]; beta: readonly number[] }): Prior {
  const { alpha, beta } = columns('betaPrior', options, ['alpha', 'beta']);
  requirePositive('betaPrior', { alpha, beta });
  const constant = alpha.reduce(
    (sum, a, c) => sum + logGamma(a + beta[c]!) - logGamma(a) - logGamma(beta[c]!),
    0,
  );
  return new Prior({
    support: [{ kind: 'box', low: alpha.map(() => 0), high: alpha.map(() => 1) }],
    sample: (count, random) =>
      fill(count, alpha.length, (c) => {
        const g = gammaDraw(alpha[c]!, random);
        return g / (g + gammaDraw(beta[c]!, random));
      }),
    logDensity: (theta) =>
      theta.reduce(
        (sum, t, c) => sum + logPower(t, alpha[c]! - 1) + logPower(1 - t, beta[c]! - 1),
        constant,
      ),
    score: (theta) =>
      theta.map((t, c) => powerScore(t, alpha[c]! - 1) - powerScore(1 - t, beta[c]! - 1)),
  });
}

/**
 * Parameters of several priors side by side, independent of each other. It has a density where all of them have.
 *
 * @throws ValueError for an empty list, or what is no prior.
 * @example independentPrior([uniformPrior({ low: [0], high: [1] }), normalPrior({ mean: [0], deviation: [2] })])
 */
export function independentPrior(priors: readonly Prior[]): Prior {
  requireList('independentPrior', 'priors', priors);
  for (const prior of priors) requirePrior('independentPrior', prior);
  const support: Support[] = priors.flatMap((prior) => prior.support);
  const size = sizeOfSupports(support);
  const starts: number[] = [];
  for (const [i, prior] of priors.entries()) {
    starts.push(i === 0 ? 0 : starts[i - 1]! + priors[i - 1]!.size);
    requirePrior('independentPrior', prior);
  }
  /** A row's part that is of a prior, as one row. */
  const part = (theta: Float64Array, i: number) => {
    const { size } = priors[i]!;
    return { shape: [1, size], data: theta.slice(starts[i]!, starts[i]! + size) };
  };
  return new Prior({
    support,
    sample: (count, random) => {
      const data = new Float64Array(count * size);
      priors.forEach((prior, i) => {
        const own = prior.sample({ count, seed: random });
        for (let n = 0; n < count; n++) {
          data.set(own.data.subarray(n * prior.size, (n + 1) * prior.size), n * size + starts[i]!);
        }
      });
      return data;
    },
    logDensity: priors.every((prior) => prior.hasDensity)
      ? (theta) => priors.reduce((sum, prior, i) => sum + prior.logProb(part(theta, i))[0]!, 0)
      : undefined,
    score: priors.every((prior) => prior.hasScore)
      ? (theta) =>
          Float64Array.from(priors.flatMap((prior, i) => [...prior.score(part(theta, i)).data]))
      : undefined,
  });
}

/** Lists of finite numbers of one length, copied. */
function columns<Name extends string>(
  op: string,
  options: Readonly<Record<Name, readonly number[]>>,
  names: readonly Name[],
): Record<Name, readonly number[]> {
  requireOptions(op, options, names);
  const first = options[names[0]!];
  const copies = names.map((name) => {
    const values = options[name];
    requireList(op, name, values, 'a list of numbers, one a parameter');
    values.forEach((value, c) => {
      requireFinite(op, `${name}[${c}]`, value);
    });
    if (values.length === first.length && values.length > 0) return [name, [...values]] as const;
    throw new ValueError(
      `${op}: ${name} is ${formatValue(values)}, of ${values.length} numbers; expected one for each parameter, as many ` +
        `as of ${names[0]}, and at least one.`,
    );
  });
  return Object.fromEntries(copies) as Record<Name, readonly number[]>;
}

function requirePositive(op: string, lists: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, values] of Object.entries(lists)) {
    values.forEach((value, c) => {
      if (value > 0) return;
      throw new ValueError(`${op}: ${name}[${c}] is ${value}; expected a positive number.`);
    });
  }
}

/** Numbers row by row, each drawn for its column. */
function fill(count: number, size: number, draw: (c: number) => number): Float64Array {
  return Float64Array.from({ length: count * size }, (_, i) => draw(i % size));
}

function normalRows(
  count: number,
  random: RandomStream,
  mean: readonly number[],
  deviation: readonly number[],
): Float64Array {
  return random.normalArray(count * mean.length).map((z, i) => {
    const c = i % mean.length;
    return mean[c]! + deviation[c]! * z;
  });
}

/** log tᵃ, which is 0 for a = 0 at the bound t = 0 as well. */
function logPower(t: number, a: number): number {
  return a === 0 ? 0 : a * Math.log(t);
}

/** Its derivative, likewise. */
function powerScore(t: number, a: number): number {
  return a === 0 ? 0 : a / t;
}

/** −Σ log σ√(2π) */
function normalizer(deviation: readonly number[]): number {
  return -deviation.reduce((sum, d) => sum + Math.log(d) + 0.5 * Math.log(2 * Math.PI), 0);
}

function halfSquares(z: Float64Array): number {
  return z.reduce((sum, value) => sum + 0.5 * value * value, 0);
}
