/** What a reader looks at: posteriors of some cases, and the curves of the checks. */
import { curves, type Figure, grid, type Panel, panels } from '@invnet/figures';
import { decibels, meanSquare } from './checks/check.ts';
import type { Evaluation } from './evaluation.ts';
import { magnitude, moments, type PosteriorCase } from './posterior.ts';
import type { InverseProblem } from './problem.ts';

const samplesShown = 6;

/** A row for each case: truth, what was observed, mean, deviation, |error| and samples, as magnitudes. */
export function posteriorPanels(cases: readonly PosteriorCase[], problem: InverseProblem): Figure {
  const rows = cases.map(({ truth, zeroFilled, samples }) => {
    const show = (image: Float32Array) => magnitude(image, problem);
    const drawn = samples.map(show);
    const { mean, deviation } = moments(drawn);
    const exact = show(truth);
    const error = mean.map((v, i) => Math.abs(v - exact[i]!));
    return { exact, observed: show(zeroFilled), mean, deviation, error, drawn };
  });
  const most = Math.max(...rows.flatMap(({ error }) => [quantile(error, 0.995)]));
  const { size } = problem;
  const panel = (title: string, values: Float32Array): Panel => ({
    height: size,
    width: size,
    title,
    values,
  });
  const spread = { palette: 'sequential', range: [0, most] } as const;
  const noted = (values: Float32Array, exact: Float32Array) =>
    `${(-decibels(meanSquare(values, exact))).toFixed(1)} dB`;
  const list = rows.flatMap(({ exact, observed, mean, deviation, error, drawn }) => [
    panel('truth', exact),
    { ...panel('observed', observed), note: noted(observed, exact) },
    { ...panel('mean', mean), note: noted(mean, exact) },
    { ...panel('deviation', deviation), scale: spread },
    { ...panel('|error|', error), scale: spread },
    ...drawn.slice(0, samplesShown).map((values, i) => ({
      ...panel(`sample ${i + 1}`, values),
      note: noted(values, exact),
    })),
  ]);
  return panels(list, {
    columns: 5 + samplesShown,
    size: 110,
    scale: { range: [0, 1], label: 'magnitude' },
  });
}

/** Coverage, ranks, deviations against errors, and means against samples, of one or two sets of cases. */
export function checkCurves(
  evaluations: Readonly<Record<string, Evaluation>>,
  region?: string,
): Figure {
  const named = Object.entries(evaluations);
  const [, first] = named[0]!;
  const coverage = curves({
    title: 'coverage of central intervals',
    series: named.flatMap(([name, { coverage }]) => [
      { name, x: coverage.levels, y: coverage.all },
      ...(coverage.region
        ? [{ name: `${name}, ${region}`, x: coverage.levels, y: coverage.region, dashed: true }]
        : []),
    ]),
    references: [{ diagonal: true, label: 'exact' }],
    x: { label: 'level', range: [0, 1] },
    y: { label: 'share of true numbers inside', range: [0, 1] },
  });
  const { at, differences, lower, upper } = first.functionalRanks;
  const ranks = curves({
    title: 'ranks of 64 linear functionals',
    series: [
      {
        name: '95 % band',
        x: at,
        y: Array.from(at, () => 0),
        band: { low: lower, high: upper },
        dashed: true,
      },
      ...differences.map((y) => ({ x: at, y, color: '#4e79a750' })),
    ],
    x: { label: 'normalized rank', range: [0, 1] },
    y: { label: 'ECDF − uniform' },
  });
  const calibration = curves({
    title: 'deviation and error',
    series: named.map(([name, { uncertainty }]) => ({
      name,
      x: uncertainty.bins.map(({ deviation }) => deviation),
      y: uncertainty.bins.map(({ error }) => error),
    })),
    references: [{ diagonal: true, label: 'exact' }],
    x: { label: 'predicted deviation' },
    y: { label: 'root mean square error' },
  });
  const means = curves({
    title: 'means of samples',
    series: [
      ...named.map(([name, { sampleMeans }]) => ({
        name,
        x: sampleMeans.samples,
        y: sampleMeans.gain,
      })),
      {
        name: '10 log₁₀(2P/(P + 1))',
        x: first.sampleMeans.samples,
        y: first.sampleMeans.exactGain,
        dashed: true,
      },
    ],
    x: { label: 'samples P', scale: 'log' },
    y: { label: 'gain over one sample (dB)' },
  });
  return grid([coverage, ranks, calibration, means], { columns: 2 });
}

/** The loss of each training step. */
export function lossCurve(losses: readonly number[]): Figure {
  return curves({
    title: 'training',
    series: [{ name: 'training', y: losses, smooth: 30 }],
    clip: 0.98,
    x: { label: 'step' },
    y: { label: 'nats per number' },
  });
}

function quantile(values: Float32Array, part: number): number {
  return values.toSorted()[Math.floor(part * (values.length - 1))]!;
}
