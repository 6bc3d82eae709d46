/** What a person sees while training runs: a bar on a terminal, a line now and then elsewhere. */
import { SingleBar } from 'cli-progress';

/** The state to show. */
export interface ProgressReport {
  /** How much of the budget is used, 0 to 1. */
  readonly fraction: number;
  readonly step: number;
  readonly bitsPerDim: number;
  readonly imagesPerSecond: number;
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly secondsLeft: number;
}

/** Milliseconds between lines where there is no terminal. */
const lineInterval = 5000;

/**
 * A progress display on stderr.
 *
 * @example
 * const progress = new Progress();
 * progress.update(report);
 * progress.stop();
 */
export class Progress {
  readonly #bar: SingleBar | undefined;
  #shown = Number.NEGATIVE_INFINITY;
  #last: ProgressReport | undefined;
  #smoothed: number | undefined;

  constructor() {
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
    this.#smoothed = 0.95 * (this.#smoothed ?? report.bitsPerDim) + 0.05 * report.bitsPerDim;
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
    return [
      `${this.#smoothed!.toFixed(3)} bits/dim`,
      `${Math.round(r.imagesPerSecond)} images/s`,
      `memory ${megabytes(r.liveBytes)} live, ${megabytes(r.peakBytes)} peak`,
      `${clock(r.secondsLeft)} left`,
    ].join(' | ');
  }
}

/** `12.3 MB` */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Minutes and seconds, `2:05`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
