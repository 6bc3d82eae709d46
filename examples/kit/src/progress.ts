/** What a person sees while training runs: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';
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

/** Milliseconds between lines where there is no terminal. */
const lineInterval = 5000;

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
  readonly #bar: SingleBar | undefined;
  #shown = Number.NEGATIVE_INFINITY;
  #last: ProgressReport | undefined;
  #smoothed: number | undefined;

  constructor(wording: Wording) {
    this.#wording = wording;
    if (!process.stderr.isTTY) return;
    this.#bar = new SingleBar({
      stream: process.stderr,
      format: '{bar} {percentage}% | {text}',
      barsize: 20,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: true,
      fps: 5,
      linewrap: false,
    });
    this.#bar.start(1000, 0, { text: 'starting' });
  }

  /** Shows a report, unless the last one was shown only just now. */
  update(report: ProgressReport): void {
    this.#last = report;
    // One batch says little: what is shown is an average over about 20 of them.
    this.#smoothed = 0.95 * (this.#smoothed ?? report.loss) + 0.05 * report.loss;
    this.#bar?.update(Math.floor(report.fraction * 1000), { text: this.#text(report) });
    if (!this.#bar && performance.now() - this.#shown >= lineInterval) this.#line(report);
  }

  /** Ends the display, with the last report on it. */
  stop(): void {
    this.#bar?.stop();
    if (!this.#bar && this.#last) this.#line(this.#last);
    this.#last = undefined;
  }

  #line(report: ProgressReport): void {
    this.#shown = performance.now();
    const percent = `${Math.floor(report.fraction * 100)}%`.padStart(4);
    process.stderr.write(`${percent} | step ${report.step} | ${this.#text(report)}\n`);
  }

  #text(r: ProgressReport): string {
    const { unit, samples } = this.#wording;
    return [
      `${this.#smoothed!.toPrecision(4)} ${unit}`,
      samples
        ? `${Math.round(r.stepsPerSecond * samples.perStep)} ${samples.called}/s`
        : `${r.stepsPerSecond.toPrecision(3)} steps/s`,
      `memory ${megabytes(r.liveBytes)} live, ${megabytes(r.peakBytes)} peak`,
      `${clock(r.secondsLeft)} left`,
    ].join(' | ');
  }
}
