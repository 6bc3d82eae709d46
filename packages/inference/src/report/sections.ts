/** The parts of a report, each from what there is of it. */
import { bars, colors, corner, curves, panels } from '@invnet/figures';
import { psnr, ssim, uncertaintyCalibration, zScores } from '@invnet/metrics';
import { calibrationPlots } from './calibration-plots.ts';
import { type EstimatorReport, messageOf, type ReportContent } from './content.ts';
import { section, shown, shownP, table, text } from './html.ts';
import { plot } from './plot.ts';

/** A corner of more would be no picture any more. */
const mostParameters = 8;
/** Samples that a corner is drawn from; its regions do not change with more. */
const mostSamples = 20_000;

/** What tests and users have to say before all else. */
export function warningsOf({ estimators }: ReportContent): string[] {
  return estimators.flatMap(({ name, calibration, warnings = [], predictive = [] }) => {
    const of = estimators.length > 1 ? `${name}: ` : '';
    const far = predictive.filter(({ pValue }) => pValue < 0.01 / predictive.length);
    return [
      ...warnings.map((warning) => `${of}${messageOf(warning)}`),
      ...(calibration?.tests ?? []).flatMap((test) =>
        test.finding === undefined
          ? []
          : [`${of}${test.kind} (${test.of}): ${test.finding}; p ${shownP(test.pValue)}.`],
      ),
      ...far.map(
        (check) =>
          `${of}the observation's ${check.name} is ${shown(check.observed)}, unlike replications, ` +
          `${shown(check.mean)} ± ${shown(check.deviation)}; p ${shownP(check.pValue)}.`,
      ),
    ];
  });
}

/** All sections with something in them. */
export function sectionsOf(content: ReportContent): string {
  return [
    section('What the checks say', [summary(content)]),
    section('Scores', [scores(content.estimators)]),
    section('Posterior', [posterior(content)]),
    section('Images', images(content)),
    section('Calibration', calibration(content.estimators)),
    section('Predictive checks', predictive(content.estimators)),
    section('Training', [training(content.estimators)]),
  ].join('\n');
}

function summary(content: ReportContent): string {
  const warnings = warningsOf(content);
  const items = warnings.map((warning) => `<li>${text(warning)}</li>`).join('\n');
  if (items) return `<ul class="warnings">\n${items}\n</ul>`;
  const checked = content.estimators.some((one) => one.calibration ?? one.predictive);
  return `<p class="${checked ? 'fine' : 'open'}">${
    checked
      ? 'No check found anything: what is seen is within chance, at 1 % for all tests of an estimator together.'
      : 'Nothing was checked: there is no calibration and no predictive check in this report.'
  }</p>`;
}

function scores(estimators: readonly EstimatorReport[]): string {
  const all = estimators.map(({ scores, calibration }) => {
    const { logDensities } = calibration ?? {};
    if (!logDensities) return { ...scores };
    const mean = logDensities.reduce((sum, logP) => sum + logP / logDensities.length, 0);
    return { 'log p of the truths, mean in nats': mean, ...scores };
  });
  const names = [...new Set(all.flatMap((scores) => Object.keys(scores)))];
  return table(
    ['', ...estimators.map(({ name }) => name)],
    names.map((name) => [
      name,
      ...all.map((scores: Readonly<Record<string, number>>) =>
        scores[name] === undefined ? '–' : shown(scores[name]),
      ),
    ]),
  );
}

function posterior({ estimators, names, truth }: ReportContent): string {
  const drawn = estimators.filter(({ samples }) => samples);
  if (drawn.length === 0) return '';
  const all = drawn[0]!.samples!.data.length / drawn[0]!.samples!.shape[0]!;
  const size = Math.min(all, mostParameters);
  const sets = drawn.map(({ name, samples }) => {
    const { shape, data } = samples!;
    const columns = data.length / shape[0]!;
    const rows = Math.min(shape[0]!, mostSamples);
    const some = Float64Array.from(
      { length: rows * size },
      (_, i) => data[Math.floor(i / size) * columns + (i % size)]!,
    );
    // One alone needs no legend.
    return { ...(drawn.length > 1 && { name }), shape: [rows, size], data: some };
  });
  const figure = corner({
    sets,
    ...(names && { names: names.slice(0, size) }),
    ...(truth && { truth: Array.from(truth).slice(0, size) }),
    size: Math.max(70, Math.min(210, Math.floor(640 / size))),
  });
  return plot({
    figure,
    name: 'Marginals and pairs',
    caption:
      'Histograms of each parameter on the diagonal; below it the regions of highest density that hold 50 % and 90 % of the samples.' +
      `${truth ? ' Dashed lines are the truth.' : ''}${all > size ? ` The first ${size} of ${all} parameters.` : ''}`,
  });
}

function images({ image, estimators }: ReportContent): string[] {
  if (!image) return [];
  const { height, width, truth } = image;
  const shape = { height, width };
  return estimators.flatMap(({ name, maps }) => {
    if (!maps) return [];
    const { mean, deviation } = maps;
    const error = truth && Float64Array.from(mean, (m, i) => m - truth[i]!);
    const figure = panels(
      [
        ...(truth ? [{ ...shape, title: 'truth', values: truth }] : []),
        { ...shape, title: 'posterior mean', values: mean },
        {
          ...shape,
          title: 'deviation',
          values: deviation,
          scale: { palette: 'sequential' as const },
        },
        ...(error
          ? [
              {
                ...shape,
                title: 'error',
                values: error,
                scale: { palette: 'diverging' as const },
              },
            ]
          : []),
      ],
      { size: 160 },
    );
    const numbers = truth && error ? qualityOf({ ...shape, truth, mean, deviation, error }) : '';
    return [
      plot({
        figure,
        name: `Maps, ${name}`,
        caption:
          'Mean and standard deviation of the posterior, pixel by pixel, and the error of the mean where the truth is known. ' +
          `Where deviations are right, errors are large where they are. ${numbers}`,
      }),
    ];
  });
}

function qualityOf(of: {
  readonly height: number;
  readonly width: number;
  readonly truth: ArrayLike<number>;
  readonly mean: ArrayLike<number>;
  readonly deviation: ArrayLike<number>;
  readonly error: Float64Array;
}): string {
  const { height, width, truth, mean, deviation, error } = of;
  const values = Array.from(truth);
  const range = Math.max(...values) - Math.min(...values);
  if (!(range > 0)) return '';
  const roomy = Math.min(height, width) >= 7;
  const sharp = Array.from(deviation).every((d) => d > 0);
  const z = sharp ? zScores(truth, { mean, deviation }) : undefined;
  const said = [
    `PSNR ${psnr(mean, truth, { range }).toFixed(2)} dB`,
    ...(roomy ? [`SSIM ${ssim(mean, truth, { shape: [height, width], range }).toFixed(3)}`] : []),
    `uncertainty calibration error ${shown(uncertaintyCalibration(error, deviation).uce)}`,
    ...(z
      ? [
          `${Math.round((100 * z.filter((v) => Math.abs(v) < 1.96).length) / z.length)} % of pixels within ±1.96 deviations`,
        ]
      : []),
  ];
  return `${said.join(', ')}.`;
}

function calibration(estimators: readonly EstimatorReport[]): string[] {
  const all = estimators.flatMap(({ name, calibration }) =>
    calibration ? [{ name, calibration }] : [],
  );
  if (all.length === 0) return [];
  const rows = all.flatMap(({ name, calibration }) =>
    calibration.tests.map((test) => [
      `${all.length > 1 ? `${name}, ` : ''}${test.kind} (${test.of})`,
      shownP(test.pValue),
      test.finding ?? 'within chance',
    ]),
  );
  const cases = all.map(({ name, calibration: { count, draws } }) => {
    return `${all.length > 1 ? `${name}: ` : ''}${count} cases of ${draws} samples`;
  });
  return [
    `<p>${text(`${cases.join('; ')}. P-values of uniform ranks are exact, of each test alone.`)}</p>`,
    table(['test of ranks', 'p', 'finding'], rows),
    `<div class="plots">${calibrationPlots(all).join('\n')}</div>`,
  ];
}

function predictive(estimators: readonly EstimatorReport[]): string[] {
  const rows = estimators.flatMap(({ name, predictive = [] }) =>
    predictive.map((check) => ({ of: name, check })),
  );
  if (rows.length === 0) return [];
  return [
    '<p>Statistics of the observation among those of replications from the posterior (Gelman, Meng and Stern, 1996); a small p says that ' +
      'the model, or the posterior, does not give data like these.</p>',
    table(
      ['statistic', 'observed', 'replications', 'p'],
      rows.map(({ of, check }) => [
        `${estimators.length > 1 ? `${of}, ` : ''}${check.name}`,
        shown(check.observed),
        `${shown(check.mean)} ± ${shown(check.deviation)}`,
        shownP(check.pValue),
      ]),
    ),
    plot({
      figure: bars({
        values: rows.map(({ of, check }) => ({
          name: check.name,
          group: of,
          value: check.deviation > 0 ? (check.observed - check.mean) / check.deviation : 0,
        })),
        digits: 1,
        label: 'observed − replicated, in standard deviations',
        width: 560,
      }),
      name: 'Predictive checks',
      caption: 'How far each statistic of the observation is from the mean of its replications.',
    }),
  ];
}

function training(estimators: readonly EstimatorReport[]): string {
  const trained = estimators.filter(({ history = [] }) => history.length > 0);
  if (trained.length === 0) return '';
  const series = trained.flatMap(({ name, history = [] }, i) => {
    const color = trained.length > 1 ? { color: colors[i]! } : {};
    const x = history.map(({ epoch }) => epoch);
    const of = trained.length > 1 ? `${name}, ` : '';
    const validated = history.some(({ validationLoss }) => validationLoss !== undefined);
    const validation = history.map(({ validationLoss = Number.NaN }) =>
      // A gap, as where there is none.
      Number.isFinite(validationLoss) ? validationLoss : Number.NaN,
    );
    return [
      { name: `${of}training`, x, y: history.map(({ trainingLoss }) => trainingLoss), ...color },
      ...(validated ? [{ name: `${of}validation`, x, y: validation, dashed: true, ...color }] : []),
    ];
  });
  return plot({
    figure: curves({
      series,
      clip: 0.98,
      width: 480,
      height: 280,
      x: { label: 'epoch' },
      y: { label: 'loss' },
    }),
    name: 'Loss',
    caption:
      'Per row, in nats where it is −log p. Validation rows are not trained on; the weights kept are those of their lowest loss.' +
      `${trained.length > 1 ? ' Estimators that are trained on other coordinates of the parameters have other losses: compare log p of the truths.' : ''}`,
  });
}
