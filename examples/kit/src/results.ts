/** What a run leaves beside its model, each file whole or not at all. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { countParameters, type Module } from '@invnet/layers';
import { backendInfo, InvNetError } from '@invnet/tensor';
import { checkpointPath, type Run } from './run.ts';
import { theLoss } from './training.ts';

/** What `metrics.json` of every example holds. */
export interface StandardMetrics {
  readonly seed: number;
  readonly trainingSteps: number;
  readonly trainingSeconds: number;
  /** Most tensor memory that was live at once during training. */
  readonly peakBytes: number;
  readonly parameterBytes: number;
  readonly backend: string;
  /** Threads among them. */
  readonly backendDetails: Readonly<Record<string, string | number | boolean>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A file of results cannot be written. */
export class ResultsError extends InvNetError {
  override name = 'ResultsError';
}

const bytesPerNumber = 4;

/**
 * Writes files by name into the run's folder, then `losses.csv` and, last, `metrics.json` with what was
 * measured and how it was trained; gives the metrics.
 *
 * @throws ResultsError when a file cannot be written.
 * @example await writeResults(run, { files: { 'samples.png': png }, metrics: { testPsnr } });
 */
export async function writeResults<T extends object>(
  run: Run<Module, { readonly seed: number }>,
  {
    files,
    metrics,
  }: { readonly files: Readonly<Record<string, string | Uint8Array>>; readonly metrics: T },
): Promise<T & StandardMetrics> {
  const { app, out, config, budget, state, model } = run;
  const { name, details } = backendInfo();
  const all = {
    ...metrics,
    seed: config.seed,
    trainingSteps: state.step,
    trainingSeconds: state.seconds,
    peakBytes: state.peakBytes,
    parameterBytes: countParameters(model) * bytesPerNumber,
    backend: name,
    backendDetails: details,
    config: { ...config, ...budget },
  };
  const losses = state.losses.map((loss, i) => `${i + 1},${loss}`);
  const contents = Object.entries({
    ...files,
    'losses.csv': `step,${(app.measure ?? theLoss).name}\n${losses.join('\n')}\n`,
    'metrics.json': `${JSON.stringify(all, null, 2)}\n`,
  });
  for (const [file, content] of contents) {
    const path = join(out, file);
    await writeWhole(path, content).catch((cause: unknown) => {
      const { message } = cause instanceof Error ? cause : new Error(String(cause));
      throw new ResultsError(
        `cannot write ${path}: ${message}. The model is whole, in ${checkpointPath(out)}: with --resume ` +
          'its results are written again.',
        { cause },
      );
    });
  }
  return all;
}

/** Writes beside the file and renames over it, so a reader finds the old one or the new one. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
