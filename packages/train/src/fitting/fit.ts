/**
 * From rows to a fitted flow, in one call: split, standardization, batches, early stopping, best weights.
 *
 * Left out: the steps themselves, which are `train`'s.
 */
import { Flow } from '@invnet/flows';
import { formatValue, ValueError } from '@invnet/tensor';
import { FitSession } from './fit-session.ts';
import {
  type FitData,
  type FitOptions,
  type FitProgress,
  type FitResult,
  type FitSettings,
  requireFitOptions,
} from './options.ts';

/**
 * Fits a flow to rows by maximum likelihood, or by another loss. A part of the rows is kept for validation, x and
 * contexts are standardized by a layer that becomes part of the flow, so that densities and samples are those of the data
 * as they are, and the weights of the epoch that explains the validation rows best are kept.
 *
 * What is given back holds the flow that was given, which is trained in place: it is the caller's to dispose, and nothing
 * else is left. One whose numbers stop being finite after an epoch that was validated ends with the best weights, and with a
 * warning; a fit that fails otherwise leaves the flow with the weights of the step before. Equal seeds give equal bits.
 *
 * It begins when it is iterated over, or when its result is asked for. Whoever leaves the iteration ends the fit.
 *
 * @throws ValueError, ShapeError for options and data that cannot be used; those of cells name row and column.
 * @example
 * const fitting = fit(flow, { x: { shape: [1000, 2], data } }, { epochs: 50, seed: 1 });
 * for await (const { epoch, trainingLoss, validationLoss } of fitting) console.log(epoch, trainingLoss, validationLoss);
 * const { flow: fitted, best, warnings } = await fitting.result();
 * fitted.sample({ shape: [16, 2], seed: 1 });
 */
export function fit(flow: Flow, data: FitData, options: FitOptions = {}): Fitting {
  if (!(flow instanceof Flow)) {
    throw new ValueError(`fit: got ${formatValue(flow)}; expected a Flow.`);
  }
  return new Fitting(flow, data, requireFitOptions(data, options));
}

/** A fit that is under way; `fit` makes it. */
export class Fitting implements AsyncIterable<FitProgress> {
  readonly #progress: AsyncGenerator<FitProgress, void, undefined>;
  #result: FitResult | undefined;
  #failure: unknown;

  /** @internal */
  constructor(flow: Flow, data: FitData, settings: FitSettings) {
    this.#progress = this.#run(flow, data, settings);
  }

  /** Progress after each epoch, and every `report` steps. */
  [Symbol.asyncIterator](): AsyncGenerator<FitProgress, void, undefined> {
    return this.#progress;
  }

  /**
   * Drives what is left of the fit, and gives its result.
   *
   * @throws what the fit threw, as often as it is asked.
   */
  async result(): Promise<FitResult> {
    if (this.#failure === undefined) for await (const _ of this.#progress);
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#result) return this.#result;
    throw new ValueError('fit: it was left before it began, so there is no result.');
  }

  async *#run(flow: Flow, data: FitData, settings: FitSettings) {
    let session: FitSession | undefined;
    let failed = true;
    try {
      session = await FitSession.open(flow, data, settings);
      for await (const metrics of session.train()) {
        const progress = await session.after(metrics);
        failed = false;
        if (progress) yield progress;
        failed = true;
        if (session.ended) break;
      }
      failed = false;
      await this.#finish(session, session.ended ?? 'aborted');
    } catch (error) {
      if (session?.divergesAt(error)) {
        await this.#finish(session, 'diverged');
        return;
      }
      this.#failure = error;
      throw error;
    } finally {
      if (session && !this.#result) {
        // Whoever iterated has left.
        if (!failed && this.#failure === undefined) await this.#finish(session, 'left');
        else session.abandon();
      }
    }
  }

  async #finish(session: FitSession, stopped: FitResult['stopped']): Promise<void> {
    this.#result = await session.finish(stopped);
  }
}
