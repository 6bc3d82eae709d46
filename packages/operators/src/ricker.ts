/** The usual wavelet of seismic sources. */
import { requireBetween, requireOptions, requireWhole } from '@invnet/tensor';
import { MOST_STEPS } from './wave-grid.ts';

/** Options of `ricker`. */
export interface RickerOptions {
  /** Where its spectrum is largest: kHz where times are milliseconds, Hz where they are seconds. */
  readonly peakFrequency: number;
  readonly timeStep: number;
  readonly steps: number;
}

/**
 * q(t) = (1 − 2a) e⁻ᵃ with a = (π f (t − 1/f))², at t = 0, timeStep, …: the second derivative of a Gaussian, which peaks
 * one period after the start, as Devito's does (Ricker, "The form and laws of propagation of seismic wavelets", 1953).
 *
 * @throws ValueError
 * @example const wavelet = ricker({ peakFrequency: 0.015, timeStep: 2, steps: 500 }); // 15 Hz, 1 s
 */
export function ricker(options: RickerOptions): Float64Array {
  requireOptions('ricker', options, ['peakFrequency', 'timeStep', 'steps']);
  const { peakFrequency, timeStep, steps } = options;
  requireBetween('ricker', 'peakFrequency', peakFrequency, 0);
  requireBetween('ricker', 'timeStep', timeStep, 0);
  requireWhole('ricker', 'steps', steps, 1, MOST_STEPS);
  return Float64Array.from({ length: steps }, (_, i) => {
    const a = (Math.PI * (peakFrequency * i * timeStep - 1)) ** 2;
    return (1 - 2 * a) * Math.exp(-a);
  });
}
