/** What a person sees while training runs: a bar on a terminal, a line now and then elsewhere. */
import { ProgressDisplay } from '@invnet/train/progress';
import { clock, megabytes } from './text.ts';

/** The state to show. */
export interface ProgressReport {
  /** How much of the budget is used, 0 to 1. */
  readonly fraction: number;
  readonly step: number;
  /** What the app's measure says of the step's loss. */
  readonly loss: number;
  readonly stepsPerSecond: number;
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly secondsLeft: number;
}

/** How a report is worded. */
export interface Wording {
  /** Behind the loss. */
  readonly unit: string;
  /** Samples in each step, and what they are called, where speed is told in samples. */
  readonly samples?: { readonly perStep: number; readonly called: string };
}

/**
 * A progress display on stderr.
 *
 * @example
 * const progress = new Progress({ unit: 'bits/dim' });
 * progress.update(report);
 * progress.stop();
 */
export class Progress {
  readonly #wording: Wording;
  readonly #display = new ProgressDisplay();
  #smoothed: number | undefined;

  constructor(wording: Wording) {
    this.#wording = wording;
  }

  /** Shows a report, unless the last one was shown only just now. */
  update(report: ProgressReport): void {
    // One batch says little: what is shown is an average over about 20 of them.
    this.#smoothed = 0.95 * (this.#smoothed ?? report.loss) + 0.05 * report.loss;
    this.#display.update(report.fraction, this.#text(report));
  }

  /** Ends the display, with the last report on it. */
  stop(): void {
    this.#display.stop();
  }

  #text(r: ProgressReport): string {
    const { unit, samples } = this.#wording;
    return [
      `step ${r.step}`,
      `${this.#smoothed!.toPrecision(4)} ${unit}`,
      samples
        ? `${Math.round(r.stepsPerSecond * samples.perStep)} ${samples.called}/s`
        : `${r.stepsPerSecond.toPrecision(3)} steps/s`,
      `memory ${megabytes(r.liveBytes)} live, ${megabytes(r.peakBytes)} peak`,
      `${clock(r.secondsLeft)} left`,
    ].join(' | ');
  }
}
