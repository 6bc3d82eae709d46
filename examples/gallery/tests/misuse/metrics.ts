/** Right calls of `@invnet/metrics`. */
import * as metrics from '@invnet/metrics';
import { RandomStream } from '@invnet/tensor';
import { type Calls, call } from './call.ts';

/** Calls of all exports of metrics. */
export function metricCalls(): Calls {
  const r = new RandomStream(7);
  // Numbers far from 1 may leave the range of their type on the way.
  const nan = { may: ['nan'] } as const;
  const images = [r.uniformArray(64), r.uniformArray(64)];
  const [x, y] = [r.uniform([1, 1, 8, 8]), r.uniform([1, 1, 8, 8])];
  const samples = [1, 2, 3].map((value) => [value, -value]);
  const points = { shape: [3, 2], data: [1, 2, 3, 4, 5, 7] };
  const others = { shape: [2, 2], data: [0, 1, 1, 3] };
  const matrix = [
    [3, 1],
    [0, 2],
  ];
  const labels = [1, 0, 1];
  const mask = [1, 1, 0];
  return {
    psnr: [call(metrics.psnr, [...images, { range: 1 }], nan)],
    nrmse: [
      call(
        metrics.nrmse,
        [
          [1, 2],
          [3, 4],
        ],
        nan,
      ),
    ],
    snr: [
      call(
        metrics.snr,
        [
          [1, 2],
          [3, 4],
        ],
        nan,
      ),
    ],
    ssim: [call(metrics.ssim, [...images, { shape: [8, 8], range: 1, window: 'uniform' }], nan)],
    confusionMatrix: [call(metrics.confusionMatrix, [[0, 0, 1], labels, { classes: 2, mask }])],
    overallAccuracy: [call(metrics.overallAccuracy, [matrix])],
    averageAccuracy: [call(metrics.averageAccuracy, [matrix])],
    cohenKappa: [call(metrics.cohenKappa, [matrix])],
    intersectionOverUnion: [call(metrics.intersectionOverUnion, [matrix])],
    coverage: [call(metrics.coverage, [samples, [0, 1], { levels: [0.5] }])],
    uncertaintyCalibration: [
      call(metrics.uncertaintyCalibration, [[1, -2], [1, 2], { bins: 2 }], nan),
    ],
    spearman: [
      call(metrics.spearman, [
        [1, 2, 3],
        [3, 1, 2],
      ]),
    ],
    rankAmong: [call(metrics.rankAmong, [2, [1, 2, 3], { random: r }])],
    rankTest: [call(metrics.rankTest, [[0, 2, 1], { draws: 2 }])],
    coverageCurve: [call(metrics.coverageCurve, [[0, 2, 1], { draws: 2, probability: 0.9 }])],
    bootstrapCoverage: [
      call(metrics.bootstrapCoverage, [
        [0, 2, 1],
        { draws: 2, probability: 0.9, resamples: 20, seed: 1 },
      ]),
    ],
    densityRank: [call(metrics.densityRank, [-1, [-2, -0.5]])],
    centralRanks: [call(metrics.centralRanks, [[0, 3, 2], { draws: 3 }])],
    tarpReferences: [call(metrics.tarpReferences, [samples, { seed: 1 }])],
    tarpRank: [
      call(metrics.tarpRank, [[1, 2], points, { reference: [0, 0], scales: [1, 2] }], nan),
    ],
    requirePoints: [
      {
        ...call(metrics.requirePoints, [points]),
        run: ([value]) =>
          Reflect.apply(metrics.requirePoints, undefined, ['op', 'points', value] as never),
      },
    ],
    posteriorMoments: [call(metrics.posteriorMoments, [samples], nan)],
    zScores: [call(metrics.zScores, [[1, 2], { mean: [1, 3], deviation: [1, 2] }], nan)],
    contraction: [
      call(
        metrics.contraction,
        [
          [1, 0],
          [2, 2],
        ],
        nan,
      ),
    ],
    predictiveChecks: [call(metrics.predictiveChecks, [[1, 2], points], nan)],
    mmd: [call(metrics.mmd, [points, others, { bandwidth: 1, permutations: 5, seed: 1 }], nan)],
    energyDistance: [
      call(metrics.energyDistance, [points, others, { permutations: 5, seed: 1 }], nan),
    ],
    kolmogorovSmirnov: [call(metrics.kolmogorovSmirnov, [points, others])],
    ecdfDifference: [call(metrics.ecdfDifference, [[0, 2, 1], { draws: 2 }])],
    ecdfBand: [call(metrics.ecdfBand, [{ count: 5, draws: 2, probability: 0.9 }])],
    halfSquaredError: [call(metrics.halfSquaredError, [x, y], nan)],
    softmaxCrossEntropy: [call(metrics.softmaxCrossEntropy, [r.normal([3, 2]), labels, { mask }])],
    ssimLoss: [call(metrics.ssimLoss, [x, y, { range: 1 }], nan)],
  };
}
