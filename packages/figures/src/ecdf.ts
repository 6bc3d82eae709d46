/**
 * Empirical distributions of ranks less the uniform one, as simulation-based calibration asks for. Left out: what is
 * drawn, which `@invnet/metrics` computes.
 */
import { requireFinite, requireList, requireOptions, ShapeError, ValueError } from '@invnet/tensor';
import { curves } from './curves.ts';
import type { Figure } from './figure.ts';
import { type FrameOptions, frameNames } from './frame.ts';
import { requireNumberList } from './numbers.ts';
import { colors, softInk } from './theme.ts';

/** What is drawn. */
export interface EcdfOptions extends FrameOptions {
  /** Curves: of each set of ranks the `difference` of `ecdfDifference`. */
  readonly differences: readonly ArrayLike<number>[];
  /** In the legend. Default: curves are in none. */
  readonly names?: readonly string[];
  /** Within which curves of uniform ranks stay, of `ecdfBand`. */
  readonly band: {
    readonly at: ArrayLike<number>;
    readonly lower: ArrayLike<number>;
    readonly upper: ArrayLike<number>;
    readonly probability: number;
  };
}

/** Curves beyond it are in one colour, as a bundle; with names, beyond what there are colours for. */
const mostAlone = 3;

/**
 * Differences of empirical distribution functions to the uniform one, over the band in which uniform ranks keep
 * their whole curve.
 *
 * @throws ValueError without curves; ShapeError for curves at other places than the band.
 * @example
 * const band = ecdfBand({ count: ranks.length, draws: 63 });
 * const { difference } = ecdfDifference(ranks, { draws: 63 });
 * ecdf({ differences: [difference], band, title: 'Ranks of the mean intensity' });
 */
export function ecdf(options: EcdfOptions): Figure {
  requireOptions('ecdf', options, [...frameNames, 'differences', 'names', 'band']);
  const { differences, names, band, ...frame } = options;
  requireOptions('ecdf: band', band, ['at', 'lower', 'upper', 'probability']);
  for (const name of ['at', 'lower', 'upper'] as const) {
    requireNumberList('ecdf', `band.${name}`, band[name]);
  }
  requireFinite('ecdf', 'band.probability', band.probability);
  requireList('ecdf', 'differences', differences, 'a list of curves');
  if (differences.length === 0) throw new ValueError('ecdf: differences has no curve in it.');
  if (names && names.length !== differences.length) {
    throw new ShapeError(
      `ecdf: there are ${names.length} names for ${differences.length} curves; expected as many.`,
    );
  }
  const { at: x, lower: low, upper: high, probability } = band;
  const most = names ? colors.length : mostAlone;
  const color = (i: number) => (differences.length > most ? `${colors[0]}50` : colors[i]!);
  const uniform = {
    name: `uniform: ${Math.round(100 * probability)} % stay in the band`,
    x,
    y: Array.from(x, () => 0),
    band: { low, high },
    dashed: true,
    color: softInk,
  };
  return curves({
    y: { label: 'ECDF − uniform' },
    ...frame,
    x: { label: 'normalized rank', range: [0, 1], ...frame.x },
    series: [
      uniform,
      ...differences.map((y, i) => ({
        ...{ x, y, color: color(i) },
        ...(names && differences.length <= most && { name: names[i]! }),
      })),
    ],
  });
}
