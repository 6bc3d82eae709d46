/**
 * What a person sees while a fit or a training runs: a bar on a terminal, a line now and then elsewhere. An entry of its
 * own, for Node.js: it needs the package `cli-progress`.
 */
import {
  formatValue,
  requireBetween,
  requireFunction,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import { SingleBar } from 'cli-progress';
import { Fitting } from './fitting/fit.ts';
import type { FitProgress, FitResult } from './fitting/options.ts';

/** Where progress is shown: `process.stderr`, or another stream like it. */
export interface ProgressOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

/** Milliseconds between lines where there is no terminal. */
const lineInterval = 5000;

/**
 * A bar on a terminal; elsewhere a line at the start, then one in five seconds at most, and one at the end.
 *
 * @example
 * const display = new ProgressDisplay();
 * for (let i = 1; i <= 100; i++) display.update(i / 100, `step ${i}`);
 * display.stop();
 */
export class ProgressDisplay {
  readonly #output: ProgressOutput;
  readonly #bar: SingleBar | undefined;
  #shown = Number.NEGATIVE_INFINITY;
  #last: string | undefined;

  constructor(output: ProgressOutput = process.stderr) {
    requireFunction('ProgressDisplay', "the output's write", output?.write, 'a stream');
    this.#output = output;
    if (!output.isTTY) return;
    this.#bar = new SingleBar({
      stream: output,
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

  /**
   * Shows how much is done, from 0 to 1, and a text beside it, unless the last one was shown only just now.
   *
   * @throws ValueError for another fraction, and for what is no text.
   */
  update(fraction: number, text: string): void {
    requireBetween('ProgressDisplay.update', 'fraction', fraction, -1e-9, 1 + 1e-9);
    if (typeof text !== 'string') {
      throw new ValueError(
        `ProgressDisplay.update: text is ${formatValue(text)}; expected a string.`,
      );
    }
    if (this.#bar) {
      this.#bar.update(Math.floor(fraction * 1000), { text });
      return;
    }
    this.#last = `${`${Math.floor(fraction * 100)}%`.padStart(4)} | ${text}\n`;
    if (performance.now() - this.#shown >= lineInterval) this.#line();
  }

  /** Ends the display, with what was last on it. */
  stop(): void {
    this.#bar?.stop();
    this.#line();
  }

  #line(): void {
    if (this.#last === undefined) return;
    this.#output.write(this.#last);
    this.#last = undefined;
    this.#shown = performance.now();
  }
}

/**
 * Shows a fit on stderr, or another stream, until it ends, and gives its result.
 *
 * @throws what the fit throws; the display has ended then. @throws ValueError for what is no fit.
 * @example const { flow } = await showProgress(fit(flow, rows, { epochs: 50, report: 10 }));
 */
export async function showProgress(
  fitting: Fitting,
  options: { readonly output?: ProgressOutput } = {},
): Promise<FitResult> {
  requireOptions('showProgress', options, ['output']);
  if (!(fitting instanceof Fitting)) {
    throw new ValueError(
      `showProgress: got ${formatValue(fitting)}; expected what fit(flow, data) gives.`,
    );
  }
  const display = new ProgressDisplay(options.output);
  try {
    for await (const progress of fitting) display.update(progress.fraction, wordsOf(progress));
  } finally {
    display.stop();
  }
  return fitting.result();
}

function wordsOf({ epoch, step, trainingLoss, validationLoss, best, learningRate }: FitProgress) {
  const nats = (loss: number) => loss.toPrecision(4);
  return [
    `epoch ${epoch}, step ${step}`,
    `loss ${nats(trainingLoss)}`,
    ...(validationLoss === undefined ? [] : [`validation ${nats(validationLoss)}`]),
    ...(best ? [`best ${nats(best.loss)} in epoch ${best.epoch}`] : []),
    `rate ${learningRate.toPrecision(2)}`,
  ].join(' | ');
}
