/** What a fit has open while it runs, and what it does before, after each step, and at the end. */
import { type Flow, negativeLogLikelihood } from '@invnet/flows';
import { formatShape, ShapeError, ValueError } from '@invnet/tensor';
import { requireSame } from '../agreement.ts';
import { NonFiniteLossError, type TrainingMetrics, train } from '../loop.ts';
import { isAdaptive } from '../plateau.ts';
import {
  batchOfLoss,
  disposeBatch,
  type Preparation,
  type PreparedBatch,
  trainingBatches,
} from './batches.ts';
import { BestWeights } from './best-weights.ts';
import { evaluateLoss } from './evaluation.ts';
import { FitCheckpoint } from './fit-checkpoint.ts';
import { type FitState, firstState } from './fit-state.ts';
import { freezeParts } from './frozen-parts.ts';
import type { FitData, FitEpoch, FitProgress, FitResult, FitSettings } from './options.ts';
import {
  HostStandardization,
  type StandardizedFlow,
  setMoments,
  standardizeFlow,
} from './standardized-flow.ts';
import { surveyRows, warningsOf } from './survey.ts';
import { type TrainingData, trainingData } from './training-data.ts';
import { WeightAverage } from './weight-average.ts';

/** The validation rows have no finite loss. */
class ValidationError extends ValueError {}

/** A fit's parts and its state. */
export class FitSession {
  readonly #settings: FitSettings;
  readonly #data: TrainingData;
  readonly #flows: StandardizedFlow;
  readonly #best: BestWeights;
  readonly #average: WeightAverage | undefined;
  readonly #checkpoint: FitCheckpoint | undefined;
  readonly #thaw: () => void;
  readonly #steps: number;
  #preparation!: Preparation;
  #state!: FitState;
  /** What the losses of standardized rows lack. */
  #lossShift = 0;
  #batch: PreparedBatch | undefined;

  /**
   * Looks at the data and standardizes the flow, or goes on from a checkpoint.
   *
   * @throws ValueError, ShapeError for data that cannot be used. @throws CheckpointError
   */
  static async open(flow: Flow, from: FitData, settings: FitSettings): Promise<FitSession> {
    const data = trainingData(from, settings);
    requireShapes(flow, data);
    const setup = setupOf(data, settings);
    if (settings.communicator) requireSame(settings.communicator, 'What is fitted', setup);
    const session = new FitSession(flow, data, settings, setup);
    try {
      await session.#begin();
      return session;
    } catch (error) {
      session.abandon();
      throw error;
    }
  }

  private constructor(
    flow: Flow,
    data: TrainingData,
    settings: FitSettings,
    setup: ReturnType<typeof setupOf>,
  ) {
    const { standardize, freeze, average, checkpoint, communicator } = settings;
    this.#settings = settings;
    this.#data = data;
    this.#thaw = freezeParts(flow, freeze);
    const { shapes, count } = data.training;
    this.#flows = standardize ? standardizeFlow(flow, shapes) : { inner: flow, flow };
    this.#best = new BestWeights(flow);
    this.#average = average === undefined ? undefined : new WeightAverage(flow.parameters, average);
    this.#checkpoint =
      checkpoint === undefined ? undefined : new FitCheckpoint(checkpoint, communicator, setup);
    this.#steps = settings.epochs * Math.ceil(count / settings.batchSize);
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
    const { optimizer, schedule, clipNorm, signal, epochs, loss, communicator } = this.#settings;
    const { inner } = this.#flows;
    const { place } = this.#state;
    const batches = trainingBatches(this.#data.training, this.#preparation, epochs, place);
    return train<PreparedBatch>({
      parameters: inner.parameters,
      optimizer,
      schedule: (step) => schedule(step, this.#steps),
      clipNorm,
      signal,
      communicator,
      startStep: place.step,
      batches: this.ended ? [] : batches,
      loss: (batch) => {
        this.#batch = batch;
        return loss
          ? loss(inner, batchOfLoss(batch))
          : negativeLogLikelihood(inner, batch.x, batch.context, batch.weights);
      },
      disposeBatch,
    });
  }

  /** Takes a step into account, looks at the validation rows where an epoch ends, and says what there is to report. */
  async after(metrics: TrainingMetrics): Promise<FitProgress | undefined> {
    const state = this.#state;
    const { rows, weight, index, endsEpoch } = this.#batch!;
    this.#average?.update();
    state.lossSum += metrics.loss * rows + this.#lossShift * weight;
    state.weightSum += weight;
    const { epoch } = state.place;
    const { step, learningRate } = metrics;
    const trainingLoss = state.lossSum / state.weightSum;
    state.place = endsEpoch
      ? { epoch: epoch + 1, batch: 0, step }
      : { epoch, batch: index + 1, step };
    const now = { epoch: state.place.epoch, step, trainingLoss, learningRate };
    const known = endsEpoch ? await this.#endEpoch(now) : now;
    const { report } = this.#settings;
    if (!endsEpoch && !(report && step % report === 0)) return undefined;
    const { gradientNorm, liveBytes, peakBytes } = metrics;
    const fraction = Math.min(1, step / this.#steps);
    return { ...known, endsEpoch, fraction, gradientNorm, best: state.best, liveBytes, peakBytes };
  }

  /** Is it an error that ends the fit with the best weights so far? Then there is a warning of it. */
  divergesAt(error: unknown): boolean {
    const { best, warnings } = this.#state;
    const known = error instanceof NonFiniteLossError || error instanceof ValidationError;
    if (!(known && best && this.#best.arrays)) return false;
    const message = `it ended with the weights of epoch ${best.epoch}. ${error.message}`;
    const warning = { kind: 'diverged', message } as const;
    this.#state.warnings = [...warnings, warning];
    this.#settings.onWarning?.(warning);
    return true;
  }

  /** The result, with the best weights; frees all that is not in it. */
  async finish(stopped: FitResult['stopped']): Promise<FitResult> {
    const { history, best, warnings } = this.#state;
    // At the end of an epoch it was saved, and what is ruined is not.
    if (this.#state.place.batch > 0 && stopped !== 'diverged') await this.#save();
    this.#average?.swap();
    this.#best.restore();
    this.#release();
    return { flow: this.#flows.flow, history: [...history], best, stopped, warnings };
  }

  /** Frees all but the flow that was given. */
  abandon(): void {
    this.#release();
    this.#flows.x?.dispose();
    this.#flows.context?.dispose();
  }

  async #begin(): Promise<void> {
    const { resume, onWarning, schedule, loss } = this.#settings;
    this.#state =
      resume && (await this.#checkpoint?.exists())
        ? await this.#checkpoint!.load(this.#arrays)
        : await this.#survey();
    if (isAdaptive(schedule)) schedule.load(this.#state.schedule);
    for (const warning of this.#state.warnings) onWarning?.(warning);
    this.#preparation = await this.#prepare();
    const { shapes } = this.#data.training;
    const size = shapes.x.reduce((product, n) => product * n, 1);
    if (!loss) this.#lossShift = this.#preparation.x?.logDeviations(size) ?? 0;
  }

  async #survey(): Promise<FitState> {
    const { training, warnings } = this.#data;
    const { x, context } = this.#flows;
    const survey = await surveyRows(training, this.#settings);
    const state = firstState(survey.weight, [...warnings, ...warningsOf(survey)]);
    if (x) setMoments(x, survey.x);
    if (context && survey.context) setMoments(context, survey.context);
    return state;
  }

  async #prepare(): Promise<Preparation> {
    const { batchSize, seed, missing, communicator, noise } = this.#settings;
    const { meanWeight } = this.#state;
    const [x, context] = await Promise.all(
      [this.#flows.x, this.#flows.context].map((layer) => layer && HostStandardization.of(layer)),
    );
    const how = { x, context, meanWeight, batchSize, seed, missing, communicator };
    return { ...how, noise: (step) => noise(step, this.#steps) };
  }

  get #arrays() {
    const { optimizer } = this.#settings;
    return { flow: this.#flows.flow, optimizer, best: this.#best, average: this.#average };
  }

  /** With the averages in place of the weights for as long as the validation rows are looked at. */
  async #endEpoch(now: FitEpoch): Promise<FitEpoch> {
    const state = this.#state;
    [state.lossSum, state.weightSum] = [0, 0];
    this.#average?.swap();
    let known = now;
    try {
      const validationLoss = await this.#validationLoss(now.epoch);
      if (validationLoss !== undefined) known = { ...now, validationLoss };
      await this.#judge(known);
    } finally {
      this.#average?.swap();
    }
    state.history.push(known);
    const { schedule } = this.#settings;
    if (isAdaptive(schedule)) {
      schedule.observe(known.validationLoss ?? known.trainingLoss);
      state.schedule = schedule.state();
    }
    await this.#save();
    return known;
  }

  /** Is it the best epoch? Then its weights are kept; without validation they are the last ones anyway. */
  async #judge({ epoch, trainingLoss, validationLoss }: FitEpoch): Promise<void> {
    const state = this.#state;
    if (validationLoss === undefined) state.best = { epoch, loss: trainingLoss };
    else if (validationLoss < (state.best?.loss ?? Number.POSITIVE_INFINITY)) {
      state.best = { epoch, loss: validationLoss };
      await this.#best.keep();
    }
  }

  async #validationLoss(epoch: number): Promise<number | undefined> {
    const { validation } = this.#data;
    if (!validation) return undefined;
    const { loss } = this.#settings;
    const value = await evaluateLoss(this.#flows.inner, validation, this.#preparation, loss);
    if (Number.isNaN(value) || value === Number.NEGATIVE_INFINITY) {
      throw new ValidationError(
        `fit: the loss of the validation rows after epoch ${epoch} is ${value}; expected a number. Look at those rows, ` +
          'or try a lower learning rate.',
      );
    }
    return value + this.#lossShift;
  }

  async #save(): Promise<void> {
    await this.#checkpoint?.save(this.#arrays, this.#state);
  }

  #release(): void {
    this.#thaw();
    this.#average?.[Symbol.dispose]();
    if (this.#settings.ownsOptimizer) this.#settings.optimizer.dispose();
  }
}

/** What has to be the same on all ranks, and when a fit goes on. */
function setupOf({ training, validation }: TrainingData, settings: FitSettings) {
  const { batchSize, seed, standardize, clipNorm, missing, average = null, freeze } = settings;
  return {
    rows: training.count,
    'row of x': [...training.shapes.x],
    'row of the context': training.shapes.context ? [...training.shapes.context] : null,
    'validation rows': validation?.count ?? 0,
    batchSize,
    seed,
    standardize,
    clipNorm,
    missing,
    average,
    freeze: [...freeze],
  };
}

/** @throws ShapeError unless the flow takes rows of these shapes. @throws ValueError for contexts that are not used, or lack. */
function requireShapes(flow: Flow, { training, validation }: TrainingData): void {
  const { x, context } = training.shapes;
  flow.outputShape([1, ...x]);
  if (flow.usesContext !== (context !== undefined)) {
    throw new ValueError(
      flow.usesContext
        ? 'fit: the flow takes a context, and the rows have none; expected { x, context }.'
        : 'fit: the rows have a context, and the flow takes none; expected a conditional flow, or { x } alone.',
    );
  }
  if (!validation) return;
  for (const name of ['x', 'context'] as const) {
    const [one, other] = [training, validation].map(({ shapes }) =>
      formatShape(shapes[name] ?? []),
    );
    if (one === other) continue;
    throw new ShapeError(
      `fit: rows of ${name} are ${one} to train on and ${other} for validation; expected equal ones.`,
    );
  }
}
