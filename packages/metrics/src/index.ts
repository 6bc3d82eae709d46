/** How good images, labels and posterior samples are, tests of two samples, and losses to train for it. */
export type { CalibrationBin, UncertaintyCalibration } from './calibration.ts';
export { coverage, uncertaintyCalibration } from './calibration.ts';
export type { ConfusionMatrix } from './classification.ts';
export {
  averageAccuracy,
  cohenKappa,
  confusionMatrix,
  intersectionOverUnion,
  overallAccuracy,
} from './classification.ts';
export type { CoverageCurve } from './coverage-curve.ts';
export {
  bootstrapCoverage,
  centralRanks,
  coverageCurve,
  densityRank,
} from './coverage-curve.ts';
export { energyDistance } from './energy-distance.ts';
export { nrmse, psnr, snr } from './image-quality.ts';
export type { KolmogorovSmirnov } from './kolmogorov-smirnov.ts';
export { kolmogorovSmirnov } from './kolmogorov-smirnov.ts';
export type { Loss } from './losses.ts';
export { halfSquaredError, softmaxCrossEntropy, ssimLoss } from './losses.ts';
export type { MaximumMeanDiscrepancy } from './mmd.ts';
export { mmd } from './mmd.ts';
export type { Points } from './points.ts';
export { requirePoints } from './points.ts';
export type { PosteriorMoments } from './posterior-moments.ts';
export { contraction, posteriorMoments, zScores } from './posterior-moments.ts';
export type { PredictiveCheck } from './predictive-check.ts';
export { predictiveChecks } from './predictive-check.ts';
export type { EcdfBand, EcdfDifference, RankTest } from './ranks.ts';
export { ecdfBand, ecdfDifference, rankAmong, rankTest } from './ranks.ts';
export { spearman } from './spearman.ts';
export type { SsimOptions, SsimWindow } from './ssim.ts';
export { ssim } from './ssim.ts';
export type { TarpReferences } from './tarp.ts';
export { tarpRank, tarpReferences } from './tarp.ts';
