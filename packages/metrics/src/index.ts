/** How good images, labels and posterior samples are, and the losses that train for it. */
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
export { nrmse, psnr, snr } from './image-quality.ts';
export type { Loss } from './losses.ts';
export { halfSquaredError, softmaxCrossEntropy, ssimLoss } from './losses.ts';
export type { EcdfBand, EcdfDifference } from './ranks.ts';
export { ecdfBand, ecdfDifference, rankAmong } from './ranks.ts';
export { spearman } from './spearman.ts';
export type { SsimOptions, SsimWindow } from './ssim.ts';
export { ssim } from './ssim.ts';
