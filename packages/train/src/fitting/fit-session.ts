/** What a fit has open while it runs, and what it does before, after each step, and at the end. */
import { type Flow, negativeLogLikelihood } from '@invnet/flows';
import { requireFinite } from '@invnet/tensor';
import { type TrainingMetrics, train } from '../loop.ts';
import {
  disposeBatch,
  type FitPlace,
  type Preparation,
  type PreparedBatch,
  trainingBatches,
} from './batches.ts';
import { BestWeights } from './best-weights.ts';
import { evaluateLoss } from './evaluation.ts';
import type {
  BestEpoch,
  FitData,
  FitEpoch,
  FitProgress,
  FitResult,
  FitSettings,
  FitWarning,
} from './options.ts';
import {
  HostStandardization,
  type StandardizedFlow,
  standardizeFlow,
} from './standardized-flow.ts';
import { surveyRows, warningsOf } from './survey.ts';
import { type TrainingData, trainingData } from './training-data.ts';

/** What a fit knows of itself between two steps; all that is needed to go on. */
interface FitState {
  place: FitPlace;
  /** Of the epoch so far: Σ weight · loss, and Σ weight. */
  lossSum: number;
  weight: number;
  readonly history: FitEpoch[];
  best: BestEpoch | undefined;
}

/** A fit's parts and its state. */
export class FitSession {
  readonly #settings: FitSettings;
  readonly #data: TrainingData;
  readonly #flows: StandardizedFlow;
  readonly #preparation: Preparation;
  readonly #warnings: readonly FitWarning[];
  readonly #best: BestWeights;
  readonly #state: FitState;
  /** What the losses of standardized rows lack. */
  readonly #lossShift: number;
  #batch: PreparedBatch | undefined;

  /** Looks at the data and standardizes the flow. @throws ValueError, ShapeError for data that cannot be used. */
  static async open(flow: Flow, from: FitData, settings: FitSettings): Promise<FitSession> {
    const data = trainingData(from, settings);
    requireShapes(flow, data);
    const survey = await surveyRows(data.training);
    const warnings = [...data.warnings, ...warningsOf(survey)];
    for (const warning of warnings) settings.onWarning?.(warning);
    const flows = settings.standardize ? standardizeFlow(flow, survey) : { inner: flow, flow };
    const [x, context] = await Promise.all(
      [flows.x, flows.context].map((layer) => layer && HostStandardization.of(layer)),
    );
    const preparation = { x, context, weight: survey.weight, seed: settings.seed };
    return new FitSession(settings, data, flows, preparation, warnings);
  }

  private constructor(
    settings: FitSettings,
    data: TrainingData,
    flows: StandardizedFlow,
    preparation: Preparation,
    warnings: readonly FitWarning[],
  ) {
    this.#settings = settings;
    this.#data = data;
    this.#flows = flows;
    this.#preparation = preparation;
    this.#warnings = warnings;
    this.#best = new BestWeights(flows.inner);
    this.#state = {
      place: { epoch: 0, batch: 0, step: 0 },
      lossSum: 0,
      weight: 0,
      history: [],
      best: undefined,
    };
    const size = data.training.shapes.x.reduce((product, n) => product * n, 1);
    this.#lossShift = settings.loss ? 0 : (preparation.x?.logDeviations(size) ?? 0);
  }

  /** Why there are no more steps; undefined while there are. */
  get ended(): 'epochs' | 'patience' | undefined {
    const { place, best } = this.#state;
    if (place.batch > 0) return undefined;
    const { epochs, patience } = this.#settings;
    if (place.epoch >= epochs) return 'epochs';
    const waits = this.#data.validation && best;
    return waits && place.epoch - best.epoch >= patience ? 'patience' : undefined;
  }

  /** The steps that are left. */
  train(): AsyncGenerator<TrainingMetrics, void, undefined> {
    const { optimizer, schedule, clipNorm, signal, batchSize, epochs, loss } = this.#settings;
    const { inner } = this.#flows;
    const how = { ...this.#preparation, batchSize, epochs };
    const ended = this.ended !== undefined;
    return train<PreparedBatch>({
      parameters: inner.parameters,
      optimizer,
      schedule,
      clipNorm,
      signal,
      startStep: this.#state.place.step,
      batches: ended ? [] : trainingBatches(this.#data.training, how, this.#state.place),
      loss: (batch) => {
        this.#batch = batch;
        return loss
          ? loss(inner, batch)
          : negativeLogLikelihood(inner, batch.x, batch.context, batch.weights);
      },
      disposeBatch,
    });
  }

  /** Takes a step into account, at the end of an epoch looks at the validation rows, and says what there is to report. */
  async after(metrics: TrainingMetrics): Promise<FitProgress | undefined> {
    const state = this.#state;
    const { rows, weight, endsEpoch } = this.#batch!;
    state.lossSum += metrics.loss * rows + this.#lossShift * weight;
    state.weight += weight;
    const { epoch, batch } = state.place;
    const { step, learningRate } = metrics;
    const trainingLoss = state.lossSum / state.weight;
    state.place = endsEpoch
      ? { epoch: epoch + 1, batch: 0, step }
      : { epoch, batch: batch + 1, step };
    const now = { epoch: state.place.epoch, step, trainingLoss, learningRate };
    if (endsEpoch) await this.#endEpoch(now);
    const { report } = this.#settings;
    if (!endsEpoch && !(report && step % report === 0)) return undefined;
    const { gradientNorm, liveBytes, peakBytes } = metrics;
    const fraction = this.#fraction();
    const known = endsEpoch ? state.history.at(-1)! : now;
    return { ...known, endsEpoch, fraction, gradientNorm, best: state.best, liveBytes, peakBytes };
  }

  /** The result, with the best weights; frees all that is not in it. */
  async finish(stopped: FitResult['stopped']): Promise<FitResult> {
    const { history, best } = this.#state;
    this.#best.restore();
    this.#release();
    const { flow } = this.#flows;
    return { flow, history: [...history], best, stopped, warnings: this.#warnings };
  }

  /** Frees all but the flow that was given. */
  abandon(): void {
    this.#release();
    this.#flows.x?.dispose();
    this.#flows.context?.dispose();
  }

  async #endEpoch(now: FitEpoch): Promise<void> {
    const state = this.#state;
    [state.lossSum, state.weight] = [0, 0];
    const validationLoss = await this.#validationLoss();
    state.history.push(validationLoss === undefined ? now : { ...now, validationLoss });
    const { epoch, trainingLoss } = now;
    if (validationLoss === undefined) state.best = { epoch, loss: trainingLoss };
    else if (!(validationLoss >= (state.best?.loss ?? Number.POSITIVE_INFINITY))) {
      requireFinite('fit', `the validation loss of epoch ${epoch}`, validationLoss);
      state.best = { epoch, loss: validationLoss };
      await this.#best.keep();
    }
  }

  async #validationLoss(): Promise<number | undefined> {
    const { validation } = this.#data;
    if (!validation) return undefined;
    const { batchSize, loss } = this.#settings;
    const how = { ...this.#preparation, batchSize, loss };
    return (await evaluateLoss(this.#flows.inner, validation, how)) + this.#lossShift;
  }

  #fraction(): number {
    const { epoch, batch } = this.#state.place;
    const { epochs, batchSize } = this.#settings;
    const batches = Math.ceil(this.#data.training.count / batchSize);
    return Math.min(1, (epoch + batch / batches) / epochs);
  }

  #release(): void {
    if (this.#settings.ownsOptimizer) this.#settings.optimizer.dispose();
  }
}

/** @throws ShapeError unless the flow takes rows of these shapes. */
function requireShapes(flow: Flow, { training, validation }: TrainingData): void {
  for (const source of [training, validation]) {
    if (source) flow.outputShape([1, ...source.shapes.x]);
  }
}
