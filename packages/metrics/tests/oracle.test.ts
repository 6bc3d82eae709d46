/**
 * Metrics agree with those of scikit-image, scikit-learn and scipy: with recorded numbers everywhere, and with
 * the packages themselves where `python3` has them.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  averageAccuracy,
  cohenKappa,
  confusionMatrix,
  energyDistance,
  intersectionOverUnion,
  kolmogorovSmirnov,
  mmd,
  nrmse,
  overallAccuracy,
  psnr,
  spearman,
  ssim,
} from '../src/index.ts';

/** What oracle.py printed: scikit-image 0.26, scikit-learn 1.9, scipy 1.17. */
const recorded = {
  psnr: 29.040663130493584,
  nrmse: 0.13434510023207877,
  ssim: 0.9528834237802898,
  ssimGaussian: 0.9517658165854632,
  ssimVolume: 0.9636418118509975,
  confusion: [
    [90, 5, 5, 0, 0],
    [0, 181, 9, 10, 0],
    [0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0],
    [10, 9, 0, 0, 181],
  ],
  averageAccuracy: 0.9033333333333333,
  kappa: 0.854368932038835,
  iou: 0.5137952421410366,
  spearman: 0.8950664873056294,
  ks: 0.2222222222222222,
  ksExact: 0.13872209324195223,
  energy: 0.10480809826580452,
  bandwidth: 1.2655818763475575,
  mmd: -0.0014837423468001543,
};

function ours(): typeof recorded {
  const image = (size: number): [number[], number[]] => {
    const i = Array.from({ length: size }, (_, at) => at);
    const truth = i.map((at) => 0.5 + 0.3 * Math.sin(0.37 * at) + 0.2 * Math.cos(0.011 * at));
    return [truth.map((value, at) => value + 0.1 * Math.sin(1.7 * at)), truth];
  };
  const flat = image(19 * 23);
  const i = Array.from({ length: 500 }, (_, at) => at);
  const labels = i.map((at) => (at * at) % 5);
  const predicted = i.map((at) => (at * at + (at % 7 === 0 ? at % 3 : 0)) % 5);
  const matrix = confusionMatrix(predicted, labels, { classes: 5 });
  const shape = [19, 23];
  const rows = (count: number, row: (at: number) => number[]) => ({
    shape: [count, 2],
    data: i.slice(0, count).flatMap(row),
  });
  const x = rows(60, (at) => [Math.sin(1.3 * at), Math.cos(0.7 * at ** 2)]);
  const y = rows(45, (at) => [0.2 + Math.sin(1.1 * at), Math.cos(0.3 * at ** 2)]);
  const second = ({ data }: { data: number[] }) => {
    const one = data.filter((_, at) => at % 2 === 1);
    return { shape: [one.length], data: one };
  };
  const [ks] = kolmogorovSmirnov(x, y);
  const discrepancy = mmd(x, y, { permutations: 1 });
  return {
    psnr: psnr(...flat, { range: 2 }),
    nrmse: nrmse(...flat),
    ssim: ssim(...flat, { shape, range: 2 }),
    ssimGaussian: ssim(...flat, { shape, range: 2, window: 'gaussian' }),
    ssimVolume: ssim(...image(9 * 8 * 11), { shape: [9, 8, 11], range: 1 }),
    confusion: matrix.map((row) => [...row]),
    averageAccuracy: averageAccuracy(matrix),
    kappa: cohenKappa(matrix),
    iou: intersectionOverUnion(matrix).mean,
    spearman: spearman(
      i.map((at) => Math.floor(10 * Math.sin(0.7 * at))),
      i.map((at) => Math.sin(0.7 * at) + 0.5 * Math.cos(1.3 * at)),
    ),
    ks: ks!.statistic,
    ksExact: ks!.pValue,
    energy: energyDistance(second(x), second(y), { permutations: 1 }).distance,
    bandwidth: discrepancy.bandwidth,
    mmd: discrepancy.squared,
  };
}

function expectEqual(found: typeof recorded, expected: typeof recorded): void {
  const { confusion, ...numbers } = expected;
  expect(found.confusion).toEqual(confusion);
  for (const [name, value] of Object.entries(numbers)) {
    expect(found[name as keyof typeof numbers], name).toBeCloseTo(value, 11);
  }
}

describe('metrics', () => {
  it('are those that Python packages were recorded with', () => {
    expectEqual(ours(), recorded);
    const { confusion } = recorded;
    expect(overallAccuracy(confusion)).toBeCloseTo((90 + 181 + 181) / 500, 12);
  });
});

const imports = 'import scipy, skimage, sklearn';
const { status, error, stderr } = spawnSync('python3', ['-c', imports], { encoding: 'utf8' });

if (status !== 0) {
  it('python3 lacks scikit-image, scikit-learn or scipy: recorded numbers stand in', () => {
    expect(`${error ?? ''}${stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
} else {
  it('are those of the Python packages', () => {
    const run = spawnSync('python3', [join(import.meta.dirname, 'oracle.py')], {
      encoding: 'utf8',
    });
    expect(run.status, run.stderr).toBe(0);
    expectEqual(ours(), JSON.parse(run.stdout));
  });
}
