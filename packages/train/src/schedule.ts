/**
 * Learning-rate schedules: plain functions, so a schedule of one's own is one too. Mathematics: docs/math/train/schedules.md
 *
 * What follows the loss is in plateau.ts.
 */
import {
  requireAtLeast,
  requireBetween,
  requireOptions,
  requireWhole,
  ValueError,
} from '@invnet/tensor';

/**
 * The learning rate of an update, given the number of updates before it (0 for the first), and how many there will be,
 * which `fit` knows and `train` does not.
 */
export type Schedule = (step: number, steps?: number) => number;

/** The same rate always. @throws ValueError unless it is finite and not negative. */
export function constant(rate: number): Schedule {
  requireAtLeast('constant', 'rate', rate, 0);
  return () => rate;
}

/** What `cosine` is made of. */
export interface CosineOptions {
  readonly rate: number;
  /** Default: 0. */
  readonly finalRate?: number;
  /** Updates until the final rate. Default: all that `fit` may make. */
  readonly steps?: number;
}

/**
 * Falls from `rate` to `finalRate` as half a cosine (Loshchilov and Hutter, "SGDR", 2017), reached at `steps` and kept from
 * there on: PyTorch's `CosineAnnealingLR`.
 *
 * @throws ValueError unless steps ≥ 1 is whole, and the rates are finite, not negative; when asked without `steps`
 * outside of `fit`.
 * @example fit(flow, rows, { schedule: cosine({ rate: 1e-3 }) })
 */
export function cosine(options: CosineOptions): Schedule {
  requireOptions('cosine', options, ['rate', 'finalRate', 'steps']);
  const { rate, finalRate = 0, steps } = options;
  requireAtLeast('cosine', 'rate', rate, 0);
  requireAtLeast('cosine', 'finalRate', finalRate, 0);
  if (steps !== undefined) requireWhole('cosine', 'steps', steps, 1);
  return (step, all) => {
    const progress = Math.min(step / stepsOf('cosine', steps, all), 1);
    return between(rate, finalRate, progress);
  };
}

/**
 * Rises linearly to `rate` over `warmup` updates, then falls to `finalRate` as half a cosine
 * (Loshchilov and Hutter, "SGDR", 2017), reached at `steps` and kept from there on.
 *
 * @throws ValueError unless 0 ≤ warmup < steps, both whole, and the rates are finite, not negative.
 * @example
 * const schedule = warmupCosine({ rate: 1e-3, warmup: 100, steps: 5000 });
 * schedule(0); // 1e-5
 */
export function warmupCosine(options: {
  rate: number;
  steps: number;
  warmup?: number;
  finalRate?: number;
}): Schedule {
  requireOptions('warmupCosine', options, ['rate', 'steps', 'warmup', 'finalRate']);
  const { rate, steps, warmup = 0, finalRate = 0 } = options;
  requireAtLeast('warmupCosine', 'rate', rate, 0);
  requireAtLeast('warmupCosine', 'finalRate', finalRate, 0);
  requireWhole('warmupCosine', 'steps', steps, 1);
  requireWhole('warmupCosine', 'warmup', warmup, 0);
  if (warmup >= steps) {
    throw new ValueError(
      `warmupCosine: warmup ${warmup} and steps ${steps}; expected fewer updates of warmup.`,
    );
  }
  return (step) => {
    if (step < warmup) return (rate * (step + 1)) / warmup;
    return between(rate, finalRate, Math.min((step - warmup) / (steps - warmup), 1));
  };
}

/**
 * rate · decay^(step/every): PyTorch's `ExponentialLR`, with `every` the updates between two of its steps.
 *
 * @throws ValueError unless the rate is finite and not negative, decay in (0, 1], and every ≥ 1 whole.
 * @example exponential({ rate: 1e-3, decay: 0.5, every: 1000 }) // halved in each thousand of updates
 */
export function exponential(options: {
  readonly rate: number;
  readonly decay: number;
  /** Updates over which the rate is multiplied by `decay`. Default: 1. */
  readonly every?: number;
}): Schedule {
  requireOptions('exponential', options, ['rate', 'decay', 'every']);
  const { rate, decay, every = 1 } = options;
  requireAtLeast('exponential', 'rate', rate, 0);
  requireBetween('exponential', 'decay', decay, 0);
  requireAtLeast('exponential', '1 − decay', 1 - decay, 0);
  requireWhole('exponential', 'every', every, 1);
  return (step) => rate * decay ** (step / every);
}

/** What `oneCycle` is made of. */
export interface OneCycleOptions {
  /** The highest one. */
  readonly rate: number;
  /** Updates of the cycle. Default: all that `fit` may make. */
  readonly steps?: number;
  /** Which part of them the rate rises in, above 0 and below 1. Default: 0.3. */
  readonly rise?: number;
  /** The first rate is the highest over this. Default: 25. */
  readonly startDivisor?: number;
  /** The last rate is the first over this. Default: 1e4. */
  readonly finalDivisor?: number;
}

/**
 * One cycle (Smith and Topin, "Super-convergence", 2018): up to `rate` and down again, both as half a cosine. PyTorch's
 * `OneCycleLR`; behind the last update the rate stays.
 *
 * @throws ValueError for numbers out of range; when asked without `steps` outside of `fit`.
 * @example fit(flow, rows, { epochs: 20, schedule: oneCycle({ rate: 5e-3 }) })
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  requireOptions('oneCycle', options, ['rate', 'steps', 'rise', 'startDivisor', 'finalDivisor']);
  const { rate, steps, rise = 0.3, startDivisor = 25, finalDivisor = 1e4 } = options;
  requireAtLeast('oneCycle', 'rate', rate, 0);
  if (steps !== undefined) requireWhole('oneCycle', 'steps', steps, 1);
  requireBetween('oneCycle', 'rise', rise, 0, 1);
  requireAtLeast('oneCycle', 'startDivisor', startDivisor, 1);
  requireAtLeast('oneCycle', 'finalDivisor', finalDivisor, 1);
  const first = rate / startDivisor;
  return (step, all) => {
    const total = stepsOf('oneCycle', steps, all);
    const top = rise * total - 1;
    // Of so few updates that it is at the top at once, none rises.
    if (step <= top && top > 0) return between(first, rate, step / top);
    return between(rate, first / finalDivisor, Math.min((step - top) / (total - 1 - top), 1));
  };
}

/** From a to b as half a cosine. */
function between(a: number, b: number, progress: number): number {
  return b + (a - b) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

function stepsOf(op: string, own: number | undefined, all: number | undefined): number {
  const steps = own ?? all;
  if (steps !== undefined) return steps;
  throw new ValueError(
    `${op}: it was made without steps, and asked by what does not know how many there are; expected steps, or fit.`,
  );
}
