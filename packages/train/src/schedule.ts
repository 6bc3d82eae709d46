/** Learning-rate schedules: plain functions, so a schedule of one's own is one too. */
import { requireAtLeast, requireOptions, requireWhole, ValueError } from '@invnet/tensor';

/** The learning rate of an update, given the number of updates before it (0 for the first). */
export type Schedule = (step: number) => number;

/** The same rate always. @throws ValueError unless it is finite and not negative. */
export function constant(rate: number): Schedule {
  requireAtLeast('constant', 'rate', rate, 0);
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
    const progress = Math.min((step - warmup) / (steps - warmup), 1);
    return finalRate + (rate - finalRate) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}
