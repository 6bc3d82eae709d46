/** What `fit` is told, and what it gives: options with their defaults, progress, the result. */
import type { RowSource, Rows } from '@invnet/datasets';
import type { Flow } from '@invnet/flows';
import {
  formatValue,
  type RandomStream,
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireFunction,
  requireList,
  requireOneOf,
  requireOptions,
  requireWhole,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { Adam } from '../adam.ts';
import { clipFactor } from '../clipping.ts';
import { type Communicator, requireCommunicator } from '../communicator.ts';
import { type Optimizer, requireOptimizer } from '../optimizer.ts';
import { constant, type Schedule } from '../schedule.ts';

/** What to fit to: rows in memory, of which a part is kept for validation, or sources of rows for both. */
export type FitData = Rows | { readonly training: RowSource; readonly validation?: RowSource };

/** A batch as a loss gets it: standardized, where `fit` does that. */
export interface FitBatch {
  /** [N, …] */
  readonly x: Tensor;
  readonly context?: Tensor;
  /** What each row counts, [N], with a mean of 1 over all rows; only where the data have weights. */
  readonly weights?: Tensor;
  /** For what the loss draws; it follows from the seed and the step alone. */
  readonly random: RandomStream;
}

/**
 * Returns the loss of a batch, one number, and adds its gradient to the flow's parameters; as that of `train`, it is
 * asked within a training step. For validation it is asked as well, and its gradients are dropped.
 */
export type FitLoss = (flow: Flow, batch: FitBatch) => Tensor;

/** How to fit. Everything has a default. */
export interface FitOptions {
  /** Passes over the rows, at most. Default: 100. */
  readonly epochs?: number;
  /** Rows in a step. Default: 128. */
  readonly batchSize?: number;
  /** Default: an `Adam` of its own. */
  readonly optimizer?: Optimizer;
  /** Learning rates. Default: `constant(1e-3)`. */
  readonly schedule?: Schedule;
  /** Which part of rows in memory is kept for validation, from 0 (none) to below 1. Default: 0.1. */
  readonly validation?: number;
  /** Ends the fit after so many epochs without a lower loss on the validation rows. Default: 20. */
  readonly patience?: number;
  /** Standardizes x and contexts, by a layer that becomes part of the flow. Default: true. */
  readonly standardize?: boolean;
  /** Gradients are scaled down to this global norm at most. Default: 5. */
  readonly clipNorm?: number;
  /** The deviation of noise that is added to x, standardized, in training: a number, or one that changes like a rate. Default: 0. */
  readonly noise?: number | Schedule;
  /** β of a moving average of the weights, in [0, 1), with which it is validated and given back. Default: none. */
  readonly average?: number;
  /** What stays as it is: a pattern of paths in the flow, as `freeze` takes them, or several. */
  readonly freeze?: string | readonly string[];
  /** Default: −mean log p(x | context). */
  readonly loss?: FitLoss;
  /** A file, written after each epoch and when the fit is stopped; a model file, too. */
  readonly checkpoint?: string;
  /** Goes on from the checkpoint, where there is one, as if it had never stopped. Default: false. */
  readonly resume?: boolean;
  /** The processes that fit together, each of which reads all rows, and trains on its part of each batch. */
  readonly communicator?: Communicator;
  /** What becomes of rows with NaN or infinite numbers: `'refuse'` or `'drop'`. Default: `'refuse'`. */
  readonly missing?: 'refuse' | 'drop';
  /** Of the split, the order of the rows, and all that is drawn. Default: 0. */
  readonly seed?: number;
  /** Steps between reports of progress, beside those after each epoch. Default: none between. */
  readonly report?: number;
  /** Ends the fit after the step that is under way, with the best weights so far. */
  readonly signal?: AbortSignal;
  /** Told each warning as it comes; they are in the result too. */
  readonly onWarning?: (warning: FitWarning) => void;
}

/** Something about the data or the fit that is probably not as it was meant, though there is a result. */
export interface FitWarning {
  readonly kind:
    | 'coarse-column'
    | 'constant-column'
    | 'diverged'
    | 'duplicated-columns'
    | 'dropped-rows'
    | 'few-rows'
    | 'no-validation';
  readonly message: string;
}

/** What is known after an epoch. Losses are per row, in nats of the data as they are unless there is a loss of one's own. */
export interface FitEpoch {
  /** Epochs done: 1 after the first. */
  readonly epoch: number;
  /** Steps done. */
  readonly step: number;
  /** The mean over the epoch's rows, while they were trained on. */
  readonly trainingLoss: number;
  /** The mean over the validation rows after the epoch; undefined without such rows. */
  readonly validationLoss?: number;
  /** Of the epoch's last step. */
  readonly learningRate: number;
}

/** How far a fit is: after an epoch, or, with `report`, within one. */
export interface FitProgress extends FitEpoch {
  /** Does it end an epoch? Otherwise the loss is over the rows so far, and `epoch` counts the complete ones. */
  readonly endsEpoch: boolean;
  /** How much of all epochs is done, 0 to 1; patience may end it sooner. */
  readonly fraction: number;
  /** Of the last step, before clipping. */
  readonly gradientNorm: number;
  /** The best epoch so far. */
  readonly best: BestEpoch | undefined;
  readonly liveBytes: number;
  readonly peakBytes: number;
}

/** The epoch whose weights are kept: that of the lowest validation loss, or the last one without validation. */
export interface BestEpoch {
  readonly epoch: number;
  readonly loss: number;
}

/** What a fit gives. */
export interface FitResult {
  /** With the best weights; with the standardization in front, where there is one. */
  readonly flow: Flow;
  readonly history: readonly FitEpoch[];
  /** undefined when the fit ended before its first epoch did; the flow has the last weights then. */
  readonly best: BestEpoch | undefined;
  /**
   * Why it ended: all epochs are done, patience ran out, the signal came, whoever iterated left, or numbers were not finite any
   * more, of which a warning tells.
   */
  readonly stopped: 'epochs' | 'patience' | 'aborted' | 'left' | 'diverged';
  readonly warnings: readonly FitWarning[];
}

/** The options with their defaults. */
export interface FitSettings extends Omit<FitOptions, 'noise' | 'freeze'> {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly validation: number;
  readonly patience: number;
  readonly standardize: boolean;
  readonly clipNorm: number;
  readonly missing: 'refuse' | 'drop';
  readonly seed: number;
  readonly noise: Schedule;
  readonly freeze: readonly string[];
  /** Is the optimizer the fit's own, to be disposed with it? */
  readonly ownsOptimizer: boolean;
}

const optionNames = [
  'epochs',
  'batchSize',
  'optimizer',
  'schedule',
  'validation',
  'patience',
  'standardize',
  'clipNorm',
  'noise',
  'average',
  'freeze',
  'loss',
  'checkpoint',
  'resume',
  'communicator',
  'missing',
  'seed',
  'report',
  'signal',
  'onWarning',
];

/** @throws ValueError for options that there are not, or that are out of range. */
export function requireFitOptions(data: FitData, options: FitOptions): FitSettings {
  requireOptions('fit', options, optionNames);
  const settings: FitSettings = {
    ...options,
    epochs: options.epochs ?? 100,
    batchSize: options.batchSize ?? 128,
    optimizer: options.optimizer ?? new Adam(),
    ownsOptimizer: options.optimizer === undefined,
    schedule: options.schedule ?? constant(1e-3),
    validation: options.validation ?? 0.1,
    patience: options.patience ?? 20,
    standardize: options.standardize ?? true,
    clipNorm: options.clipNorm ?? 5,
    missing: options.missing ?? 'refuse',
    seed: options.seed ?? 0,
    noise: noiseOf(options.noise),
    freeze: typeof options.freeze === 'string' ? [options.freeze] : (options.freeze ?? []),
  };
  const { epochs, batchSize, validation, patience, standardize, clipNorm, seed } = settings;
  requireWhole('fit', 'epochs', epochs, 1, 2 ** 32);
  requireWhole('fit', 'batchSize', batchSize, 1);
  requireOptimizer('fit', settings.optimizer);
  requireFunction('fit', 'schedule', settings.schedule, 'a function, such as constant(1e-3)');
  if (validation !== 0) requireBetween('fit', 'validation', validation, 0, 1);
  requireWhole('fit', 'patience', patience, 1);
  requireBoolean('fit', 'standardize', standardize);
  clipFactor(0, clipNorm);
  requireOneOf('fit', 'missing', settings.missing, ['refuse', 'drop']);
  requireWhole('fit', 'seed', seed, 0);
  const { loss, report, signal, onWarning } = options;
  requireList('fit', 'freeze', settings.freeze, 'a pattern of paths, or a list of them');
  if (loss !== undefined) requireFunction('fit', 'loss', loss);
  requireRunOptions(options);
  if (report !== undefined) requireWhole('fit', 'report', report, 1);
  if (signal !== undefined) requireBoolean('fit', "the signal's aborted", signal?.aborted);
  if (onWarning !== undefined) requireFunction('fit', 'onWarning', onWarning);
  if (!isRows(data) && options.validation !== undefined) {
    throw new ValueError(
      `fit: validation is ${validation}, and the data are sources; expected a source of validation rows beside that for ` +
        'training.',
    );
  }
  return settings;
}

/** @throws ValueError for options of what is around the training. */
function requireRunOptions({ average, checkpoint, resume = false, communicator }: FitOptions) {
  if (average !== undefined) {
    requireAtLeast('fit', 'average', average, 0);
    requireBetween('fit', 'average', average, -1, 1);
  }
  if (checkpoint !== undefined && typeof checkpoint !== 'string') {
    throw new ValueError(
      `fit: checkpoint is ${formatValue(checkpoint)}; expected the path of a file.`,
    );
  }
  requireBoolean('fit', 'resume', resume);
  if (resume && checkpoint === undefined) {
    throw new ValueError('fit: resume without a checkpoint; expected the path to go on from.');
  }
  if (communicator !== undefined) requireCommunicator('fit', communicator);
}

function noiseOf(noise: number | Schedule = 0): Schedule {
  if (typeof noise === 'function') return noise;
  requireAtLeast('fit', 'noise', noise, 0);
  return () => noise;
}

/** Are these rows in memory, in place of sources? @throws ValueError for what is neither. */
export function isRows(data: FitData): data is Rows {
  if (typeof data === 'object' && data !== null) {
    if ('x' in data) return true;
    if ('training' in data) {
      requireOptions('fit', data, ['training', 'validation']);
      requireSource('training', data.training);
      if (data.validation !== undefined) requireSource('validation', data.validation);
      return false;
    }
  }
  throw new ValueError(
    `fit: data is ${formatValue(data)}; expected rows { x, context, weights }, or sources of them, ` +
      '{ training, validation }.',
  );
}

function requireSource(name: string, source: RowSource): void {
  const expected = 'a function, as of a source such as arrayRows(rows)';
  requireFunction('fit', `the batches of ${name}`, source?.batches, expected);
  requireWhole('fit', `the count of ${name}`, source.count, 1);
}
