/** Training of InvNet's networks: optimizers, schedules, the loop and its checkpoints. */

export type { AdamOptions } from './adam.ts';
export { Adam } from './adam.ts';
export type { AdamaxOptions } from './adamax.ts';
export { Adamax } from './adamax.ts';
export type { AdamWOptions } from './adamw.ts';
export { AdamW } from './adamw.ts';
export type { Share } from './agreement.ts';
export { requireSame, shareOf } from './agreement.ts';
export type { CheckpointSource, CheckpointTarget } from './checkpoint.ts';
export { CheckpointError, checkpointBytes, restoreCheckpoint } from './checkpoint.ts';
export { loadCheckpoint, saveCheckpoint } from './checkpoint-file.ts';
export { clipFactor, gradientNorm } from './clipping.ts';
export type {
  Communicator,
  Exchange,
  Message,
  PendingSum,
  Readiness,
  SharedSetup,
  SharedTraining,
} from './communicator.ts';
export {
  CommunicatorError,
  requireCommunicator,
  requireExchange,
  requireJson,
  requireNumbers,
  SingleProcess,
} from './communicator.ts';
export { DataParallel } from './data-parallel.ts';
export { Fitting, fit } from './fitting/fit.ts';
export type {
  BestEpoch,
  FitBatch,
  FitData,
  FitEpoch,
  FitLoss,
  FitOptions,
  FitProgress,
  FitResult,
  FitWarning,
} from './fitting/options.ts';
export type { NonFiniteLocation, TrainingMetrics, TrainOptions } from './loop.ts';
export { NonFiniteLossError, train } from './loop.ts';
export type { LoadOptions, LoadOptionsAs } from './model.ts';
export { modelBytes, modelFromBytes, modelInfo } from './model.ts';
export type { SaveModelOptions } from './model-file.ts';
export { loadModel, readModelInfo, saveModel } from './model-file.ts';
export type { ModelInfo } from './model-metadata.ts';
export type { Optimizer, OptimizerState, StepOptions } from './optimizer.ts';
export type { AdaptiveSchedule, PlateauOptions } from './plateau.ts';
export { plateau } from './plateau.ts';
export type { PsgldOptions } from './psgld.ts';
export { Psgld } from './psgld.ts';
export type { HostTensor, Safetensors } from './safetensors.ts';
export { readSafetensors, SafetensorsFormatError, writeSafetensors } from './safetensors.ts';
export type { CosineOptions, OneCycleOptions, Schedule } from './schedule.ts';
export { constant, cosine, exponential, oneCycle, warmupCosine } from './schedule.ts';
export type { SgdOptions } from './sgd.ts';
export { Sgd } from './sgd.ts';
export { loadSharedCheckpoint, saveSharedCheckpoint } from './shared-checkpoint.ts';
