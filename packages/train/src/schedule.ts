/** Learning-rate schedules: plain functions, so a schedule of one's own is one too. */
import { ValueError } from '@invnet/tensor';

/** The learning rate of an update, given the number of updates before it (0 for the first). */
export type Schedule = (step: number) => number;

/** The same rate always. @throws ValueError unless it is finite and not negative. */
export function constant(rate: number): Schedule {
  requireRate('constant', 'rate', rate);
  return () => rate;
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
  const { rate, steps, warmup = 0, finalRate = 0 } = options;
  requireRate('warmupCosine', 'rate', rate);
  requireRate('warmupCosine', 'finalRate', finalRate);
  if (!(Number.isInteger(warmup) && Number.isInteger(steps) && 0 <= warmup && warmup < steps)) {
    throw new ValueError(
      `warmupCosine: warmup ${warmup} and steps ${steps}; expected whole numbers, ` +
        '0 ≤ warmup < steps.',
    );
  }
  return (step) => {
    if (step < warmup) return (rate * (step + 1)) / warmup;
    const progress = Math.min((step - warmup) / (steps - warmup), 1);
    return finalRate + (rate - finalRate) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}

function requireRate(op: string, name: string, rate: number): void {
  if (!(rate >= 0 && Number.isFinite(rate))) {
    throw new ValueError(`${op}: ${name} ${rate}; expected a finite number that is not negative.`);
  }
}
