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
    rankAmong: [call(metrics.rankAmong, [2, [1, 2, 3]])],
    ecdfDifference: [call(metrics.ecdfDifference, [[0, 2, 1], { draws: 2 }])],
    ecdfBand: [call(metrics.ecdfBand, [{ count: 5, draws: 2, probability: 0.9 }])],
    halfSquaredError: [call(metrics.halfSquaredError, [x, y], nan)],
    softmaxCrossEntropy: [call(metrics.softmaxCrossEntropy, [r.normal([3, 2]), labels, { mask }])],
    ssimLoss: [call(metrics.ssimLoss, [x, y, { range: 1 }], nan)],
  };
}
