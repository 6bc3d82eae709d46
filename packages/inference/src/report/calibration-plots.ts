/** Plots of a calibration: ranks, coverage, random points, z-scores over contraction. */
import { colors, curves, ecdf, type Figure, grid, histogram, type Series } from '@invnet/figures';
import {
  bootstrapCoverage,
  centralRanks,
  coverageCurve,
  ecdfBand,
  ecdfDifference,
} from '@invnet/metrics';
import type { Calibration } from '../diagnostics/calibrate.ts';
import { plot } from './plot.ts';

/** A calibration and whose it is. */
export interface NamedCalibration {
  readonly name: string;
  readonly calibration: Calibration;
}

/** Which of the estimators it is, and whether it is the only one. */
interface Place {
  readonly index: number;
  readonly alone: boolean;
}

/** What is not an estimator's. */
const softInk = '#666666';
const size = { width: 380, height: 270 };
/** Histograms of more would be a page of them. */
const mostHistograms = 8;
const rankBins = 20;
/** Of a parameter; more would be a blot. */
const mostDots = 150;

/** All plots, several estimators in one where they can be. */
export function calibrationPlots(all: readonly NamedCalibration[]): string[] {
  const withDensity = all.filter(({ calibration }) => calibration.densityRanks);
  const marginal = {
    name: 'Coverage of central intervals',
    caption:
      'How often the central interval of a parameter holds the truth, over what it promises; of several estimators, the mean over parameters. On the ' +
      'diagonal intervals are as wide as they should be; below it they are too narrow.',
  };
  const density = {
    name: 'Expected coverage',
    caption:
      'How often the region of highest density of each level holds the truth (Hermans et al., 2022). Below the diagonal the ' +
      'posterior is too sure, above it conservative; an exact one stays in the grey band with 95 % probability.',
  };
  const tarp = {
    name: 'Tests of accuracy with random points (TARP)',
    caption:
      'The share of cases in which the truth lies within the ball of each level around a random point (Lemos et al., 2023), with ' +
      'the bootstrap band of 95 %. An S around the diagonal, below it at high levels, says too narrow or off; the other way round, too wide.',
  };
  const score = {
    name: 'z-score and contraction',
    caption:
      'Errors of the posterior mean in posterior deviations, over how much narrower than the prior the posterior is; dots are ' +
      'cases and parameters (Schad, Betancourt and Vasishth, 2021). Good posteriors are at the right, 95 % of them within ±2.',
  };
  return [
    ...all.map((one) => ecdfPlot(one, all.length > 1)),
    ...(withDensity.length > 0
      ? [plot({ ...density, figure: coverageFigure(withDensity, densityCurve) })]
      : []),
    plot({ ...marginal, figure: coverageFigure(all, centralCurve) }),
    plot({ ...tarp, figure: coverageFigure(all, tarpCurve) }),
    plot({ ...score, figure: scoreFigure(all) }),
    ...all.map((one) => rankPlot(one, all.length > 1)),
  ];
}

function ecdfPlot({ name, calibration }: NamedCalibration, several: boolean): string {
  const { count, draws, parameters } = calibration;
  const differences = parameters.map(({ ranks }) => ecdfDifference(ranks, { draws }).difference);
  const names = parameters.map((parameter) => parameter.name);
  const title = several ? { title: name } : {};
  return plot({
    figure: ecdf({ ...size, ...title, differences, names, band: ecdfBand({ count, draws }) }),
    name: several ? `Simulation-based calibration, ${name}` : 'Simulation-based calibration',
    caption:
      'The distribution of the ranks of true parameters among posterior samples, less the uniform one, a curve for each parameter ' +
      '(Talts et al., 2018), over the band in which 95 % of uniform ones stay as a whole (Säilynoja, Bürkner and Vehtari, 2022). A hump ' +
      'and then a dip says too narrow, a dip and then a hump too wide; all above 0: samples are too high, all below: too low.',
  });
}

function rankPlot({ name, calibration }: NamedCalibration, several: boolean): string {
  const { count, draws, parameters } = calibration;
  const bins = Math.min(rankBins, draws + 1);
  const share = 1 / bins;
  // Two and a half standard errors: of the bars of uniform ranks, 99 % stay within.
  const chance = 2.576 * Math.sqrt(count * share * (1 - share));
  const expected = {
    count: count * share,
    low: Math.max(0, count * share - chance),
    high: count * share + chance,
  };
  const figures = parameters.slice(0, mostHistograms).map((parameter): Figure => {
    const counts = new Float64Array(bins);
    for (const rank of parameter.ranks) counts[Math.floor((rank * bins) / (draws + 1))]! += 1;
    return histogram({ title: parameter.name, counts, expected, width: 220, height: 160 });
  });
  const left = parameters.length - figures.length;
  return plot({
    wide: true,
    figure: grid(figures, { columns: Math.min(figures.length, 4) }),
    name: several ? `Ranks, ${name}` : 'Ranks',
    caption:
      'How many cases have each rank, from 0 (all samples are above the truth) to 1. Of uniform bars 99 % end within the grey band. A ' +
      `valley says too narrow, a hill too wide, a slope too high or too low.${left > 0 ? ` ${left} further parameters are in the numbers.` : ''}`,
  });
}

function coverageFigure(
  all: readonly NamedCalibration[],
  curvesOf: (one: NamedCalibration, place: Place) => readonly Series[],
): Figure {
  return curves({
    ...size,
    series: all.flatMap((one, index) => curvesOf(one, { index, alone: all.length === 1 })),
    references: [{ diagonal: true, label: 'exact' }],
    x: { label: 'credible level', range: [0, 1] },
    y: { label: 'share of truths within', range: [0, 1] },
  });
}

function densityCurve({ name, calibration }: NamedCalibration, { index }: Place): Series[] {
  const { densityRanks: ranks, draws } = calibration;
  if (!ranks) return [];
  const { levels, coverage, lower: low, upper: high } = coverageCurve(ranks, { draws });
  const band = { x: levels, y: levels, band: { low, high }, dashed: true, color: softInk };
  return [...(index === 0 ? [band] : []), { name, x: levels, y: coverage, color: colors[index]! }];
}

/** A curve for each parameter; of several estimators, one for all parameters of each. */
function centralCurve({ name, calibration }: NamedCalibration, { alone }: Place): Series[] {
  const { parameters, draws } = calibration;
  const curves = parameters.map((parameter) => {
    const central = centralRanks(parameter.ranks, { draws });
    const { levels, coverage } = coverageCurve(central.ranks, { draws: central.draws });
    return { name: parameter.name, x: levels, y: coverage };
  });
  if (alone) return curves.length > colors.length ? curves.map(withoutName) : curves;
  const mean = curves[0]!.y.map((_, k) =>
    curves.reduce((sum, { y }) => sum + y[k]! / curves.length, 0),
  );
  return [{ name, x: curves[0]!.x, y: mean }];
}

function withoutName({ name: _, ...series }: Series): Series {
  return { ...series, color: `${colors[0]}50` };
}

function tarpCurve({ name, calibration }: NamedCalibration): Series[] {
  const { tarpRanks, draws } = calibration;
  const { levels, coverage, lower: low, upper: high } = bootstrapCoverage(tarpRanks, { draws });
  return [{ name, x: levels, y: coverage, band: { low, high } }];
}

function scoreFigure(all: readonly NamedCalibration[]): Figure {
  return curves({
    ...size,
    series: all.map(({ name, calibration }) => ({
      name,
      x: calibration.parameters.flatMap(({ contraction }) => [...contraction.slice(0, mostDots)]),
      y: calibration.parameters.flatMap(({ zScores }) => [...zScores.slice(0, mostDots)]),
      points: true,
    })),
    references: [{ y: 2, label: '2' }, { y: 0 }, { y: -2, label: '−2' }],
    x: { label: 'contraction' },
    y: { label: 'z-score' },
  });
}
