/** What the checks found, in lines, each number with what it ought to be. */
import type { MomentErrors } from './checks/closed-form.ts';
import type { Uncertainty } from './checks/uncertainty.ts';
import type { Evaluation } from './evaluation.ts';

const shownLevels = [0.5, 0.8, 0.9, 0.95];

/** The lines that the program ends with. */
export function summary(
  evaluations: Readonly<Record<string, Evaluation>>,
  moments: MomentErrors | undefined,
): string {
  const lines = Object.entries(evaluations).flatMap(([name, evaluation]) => [
    `${name}, ${evaluation.cases} images`,
    ...linesOf(evaluation).map(
      ([what, found, target]) => `  ${what.padEnd(38)}${found.padEnd(30)}${target}`,
    ),
  ]);
  if (moments) {
    lines.push(
      'beside the posterior in closed form',
      `  ${'relative error of the mean'.padEnd(38)}${percent(moments.meanError).padEnd(30)}0, at most 2 %`,
      `  ${'the same over the deviation'.padEnd(38)}${percent(moments.meanErrorInDeviations).padEnd(30)}0`,
      `  ${'relative error of the deviation'.padEnd(38)}${percent(moments.deviationError).padEnd(30)}0, at most 5 %`,
    );
  }
  return lines.join('\n');
}

function linesOf(e: Evaluation): [string, string, string][] {
  const { all, region, levels } = e.coverage;
  const places = shownLevels.map((level) => levels.findIndex((l) => Math.abs(l - level) < 1e-9));
  const shares = (of: readonly number[]) => places.map((i) => (100 * of[i]!).toFixed(1)).join(', ');
  const target = '50, 80, 90, 95 %';
  const { gap, meanError, sampleError } = e.sampleMeans;
  return [
    ['sample below mean', `${gap.toFixed(2)} dB`, '3.01 dB'],
    ['coverage', `${shares(all)} %`, target],
    ...(region
      ? [['coverage in the region', `${shares(region)} %`, target] as [string, string, string]]
      : []),
    ['functionals within the band', percent(e.functionalRanks.within), '95 %'],
    ['misfit ‖A s − d‖/(σ√m)', e.misfit.mean.toFixed(3), '1'],
    ...uncertaintyLines(e.uncertainty, ''),
    ...(e.uncertaintyWithin ? uncertaintyLines(e.uncertaintyWithin, ' in region') : []),
    ['error of mean, sample', `${meanError.toFixed(4)}, ${sampleError.toFixed(4)}`, ''],
    [
      'mean and most probable image',
      `${e.estimates.mean.toFixed(2)}, ${e.estimates.mostProbable.toFixed(2)} dB`,
      'the mean no lower',
    ],
    [
      'PSNR: zero-filled, mean, sample',
      [e.psnr.zeroFilled, e.psnr.mean, e.psnr.sample].map((v) => v.toFixed(2)).join(', '),
      'dB, of magnitudes',
    ],
    ['−log p(x | d) per number', `${e.natsPerNumber.toFixed(4)} nats`, ''],
  ];
}

function uncertaintyLines(
  { spearman, uce }: Uncertainty,
  where: string,
): [string, string, string][] {
  return [
    [`rank correlation with error${where}`, spearman.toFixed(3), 'higher is better'],
    [`calibration error (UCE)${where}`, uce.toFixed(4), '0'],
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
