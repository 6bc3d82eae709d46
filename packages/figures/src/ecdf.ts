/** Empirical distributions against the uniform one, as simulation-based calibration asks for. */
import {
  requireBetween,
  requireBoolean,
  requireList,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import { curves } from './curves.ts';
import type { Figure } from './figure.ts';
import { type FrameOptions, frameNames, requireFrame } from './frame.ts';
import { colors, softInk } from './theme.ts';

/** What is drawn. */
export interface EcdfOptions extends FrameOptions {
  /** Ranks over their largest value, so from 0 to 1, uniform if all is well; each list is a curve. */
  readonly samples: readonly ArrayLike<number>[];
  /** The probability that the whole curve of a uniform sample stays in the band. Default: 0.95. */
  readonly level?: number;
  /** The distribution less the uniform one, in which small deviations show. Default: false. */
  readonly difference?: boolean;
}

/**
 * Empirical distribution functions with a band that holds, with probability `level`, the whole curve of n
 * independent uniform numbers, where n is the length of the shortest list.
 *
 * @remarks The band is that of Dvoretzky, Kiefer, Wolfowitz and Massart, ± √(ln(2 / (1 − level)) / 2n): of one
 * width, for all n, and a little wide near 0 and 1. The method is Talts et al., "Validating Bayesian inference
 * algorithms with simulation-based calibration" (2018).
 * @throws ValueError without samples, and for options that do not fit.
 * @example ecdf({ samples: ranks, difference: true, x: { label: 'normalized rank' } });
 */
export function ecdf(options: EcdfOptions): Figure {
  const { samples, level = 0.95, difference = false, ...frame } = options;
  check(options);
  const n = Math.min(...samples.map((list) => list.length));
  const margin = Math.sqrt(Math.log(2 / (1 - level)) / (2 * n));
  const places = Float64Array.from({ length: 201 }, (_, i) => i / 200);
  const middle = places.map((p) => (difference ? 0 : p));
  const band = {
    low: middle.map((m) => (difference ? m - margin : Math.max(0, m - margin))),
    high: middle.map((m) => (difference ? m + margin : Math.min(1, m + margin))),
  };
  const many = samples.length > 3;
  const steps = samples.map((list, i) => ({
    x: places,
    y: distribution(list, places, difference),
    color: many ? `${colors[0]}50` : colors[i]!,
  }));
  const percent = Math.round(100 * level);
  return curves({
    y: { label: difference ? 'ECDF − uniform' : 'ECDF' },
    ...frame,
    x: { range: [0, 1], ...frame.x },
    series: [
      {
        name: `uniform, ${percent} % band`,
        x: places,
        y: middle,
        band,
        dashed: true,
        color: softInk,
      },
      ...steps,
    ],
  });
}

/** The part of a list at or below each place, less the place itself where differences are asked for. */
function distribution(
  list: ArrayLike<number>,
  places: Float64Array,
  difference: boolean,
): Float64Array {
  const sorted = Float64Array.from(list).sort();
  let below = 0;
  return places.map((place) => {
    while (below < sorted.length && sorted[below]! <= place) below += 1;
    return below / sorted.length - (difference ? place : 0);
  });
}

function check(options: EcdfOptions): void {
  const op = 'ecdf';
  requireOptions(op, options, [...frameNames, 'samples', 'level', 'difference']);
  requireFrame(op, options);
  requireBetween(op, 'level', options.level ?? 0.95, 0, 1);
  requireBoolean(op, 'difference', options.difference ?? false);
  requireList(op, 'samples', options.samples, 'a list of lists of numbers');
  for (const [i, list] of options.samples.entries()) {
    if (list.length > 0 && Array.from(list).every((v) => v >= 0 && v <= 1)) continue;
    throw new ValueError(`ecdf: samples[${i}] is to hold at least one number, each from 0 to 1.`);
  }
  if (options.samples.length === 0) throw new ValueError('ecdf: samples has no list in it.');
}
