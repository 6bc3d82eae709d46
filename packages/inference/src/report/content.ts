/** What a report is made of, and its checks. */
import type { HostArray } from '@invnet/datasets';
import { type PredictiveCheck, requirePoints } from '@invnet/metrics';
import {
  formatValue,
  requireFinite,
  requireList,
  requireOptions,
  requireRecord,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import type { Calibration } from '../diagnostics/calibrate.ts';

/** An epoch of training, such as `fit` of `@invnet/train` gives. */
export interface TrainingEpoch {
  readonly epoch: number;
  readonly trainingLoss: number;
  readonly validationLoss?: number | undefined;
}

/** What is known of one estimator. All parts may be left out. */
export interface EstimatorReport {
  readonly name: string;
  /** Of the posterior of one observation, [N, D]. */
  readonly samples?: HostArray | undefined;
  /** What `calibrate` gave. */
  readonly calibration?: Calibration | undefined;
  /** Numbers for the table, such as C2ST, log-probability or seconds of training. */
  readonly scores?: Readonly<Record<string, number>> | undefined;
  /** Statistics of the observation among those of replications, what `predictiveChecks` gave. */
  readonly predictive?: readonly (PredictiveCheck & { readonly name: string })[] | undefined;
  readonly history?: readonly TrainingEpoch[] | undefined;
  /** What a reader has to know: texts, or warnings of `fit`. */
  readonly warnings?: readonly (string | { readonly message: string })[] | undefined;
  /** Maps of a posterior of images, for which `size` of the report says how large they are. */
  readonly maps?:
    | { readonly mean: ArrayLike<number>; readonly deviation: ArrayLike<number> }
    | undefined;
}

/** What a report tells. */
export interface ReportContent {
  readonly title: string;
  /** A paragraph below the title. */
  readonly text?: string | undefined;
  /** One, or several that are compared. */
  readonly estimators: readonly EstimatorReport[];
  /** Of the parameters. Default: θ1, θ2, … */
  readonly names?: readonly string[] | undefined;
  /** The parameters behind the observation, where they are known. */
  readonly truth?: ArrayLike<number> | undefined;
  /** The image behind the maps, where it is known, and how large it is. */
  readonly image?:
    | { readonly height: number; readonly width: number; readonly truth?: ArrayLike<number> }
    | undefined;
}

/** Colours tell so many apart. */
const mostEstimators = 6;

/** @throws ValueError, ShapeError for what does not belong into a report, or does not fit the rest of it. */
export function requireContent(op: string, content: ReportContent): void {
  requireOptions(op, content, ['title', 'text', 'estimators', 'names', 'truth', 'image']);
  const { title, text, estimators, names, truth, image } = content;
  requireText(op, 'title', title);
  if (text !== undefined) requireText(op, 'text', text);
  requireList(op, 'estimators', estimators, 'a list of estimators');
  if (estimators.length < 1 || estimators.length > mostEstimators) {
    throw new ValueError(
      `${op}: there are ${estimators.length} estimators; expected 1 to ${mostEstimators}.`,
    );
  }
  if (image !== undefined) {
    requireOptions(`${op}: image`, image, ['height', 'width', 'truth']);
    requireLength(op, 'image.truth', image.truth, image.height * image.width);
  }
  if (truth !== undefined) requirePoints(op, 'truth', { shape: [truth?.length], data: truth });
  if (names !== undefined) requireList(op, 'names', names, 'a list of texts');
  for (const name of names ?? []) requireText(op, 'a name', name);
  for (const [i, estimator] of estimators.entries()) {
    const where = `${op}: estimators[${i}]`;
    requireOptions(where, estimator, [
      ...['name', 'samples', 'calibration', 'scores', 'predictive', 'history', 'warnings', 'maps'],
    ]);
    requireText(where, 'name', estimator.name);
    const { samples, scores = {}, warnings = [], maps, history = [], predictive = [] } = estimator;
    if (samples !== undefined) {
      const { columns } = requirePoints(where, 'samples', samples);
      requireLength(where, 'names', names, columns);
      requireLength(where, 'truth', truth, columns);
    }
    requireRecord(where, 'scores', scores);
    for (const [name, score] of Object.entries(scores)) requireFinite(where, name, score);
    requireList(where, 'warnings', warnings, 'a list of texts');
    for (const warning of warnings) requireText(where, 'a warning', messageOf(warning));
    requireList(where, 'history', history, 'a list of epochs');
    for (const [at, epoch] of history.entries()) {
      requireRecord(where, `history[${at}]`, epoch);
      requireFinite(where, `history[${at}].epoch`, epoch.epoch);
      requireFinite(where, `history[${at}].trainingLoss`, epoch.trainingLoss);
      // A validation row of no density makes it infinite, which ends no fit.
      if (epoch.validationLoss === Number.POSITIVE_INFINITY) continue;
      requireFinite(where, `history[${at}].validationLoss`, epoch.validationLoss ?? 0);
    }
    requireList(where, 'predictive', predictive, 'a list of checks');
    for (const check of predictive) {
      requireText(where, "a check's name", check?.name);
      for (const name of ['observed', 'mean', 'deviation', 'pValue'] as const) {
        requireFinite(where, `${name} of ${check.name}`, check[name]);
      }
    }
    if (maps === undefined) continue;
    if (image === undefined) {
      throw new ValueError(`${where}: there are maps; expected the report's image with its size.`);
    }
    requireOptions(`${where}: maps`, maps, ['mean', 'deviation']);
    requireLength(where, 'maps.mean', maps.mean, image.height * image.width);
    requireLength(where, 'maps.deviation', maps.deviation, image.height * image.width);
  }
}

/** What a warning says. */
export function messageOf(warning: string | { readonly message: string }): string {
  return typeof warning === 'string' ? warning : warning?.message;
}

function requireText(op: string, name: string, value: string): void {
  if (typeof value === 'string') return;
  throw new ValueError(`${op}: ${name} is ${formatValue(value)}; expected a text.`);
}

function requireLength(
  op: string,
  name: string,
  list: ArrayLike<unknown> | undefined,
  length: number,
): void {
  if (list === undefined || list.length === length) return;
  throw new ShapeError(`${op}: ${name} has ${list.length} entries; expected ${length}.`);
}
