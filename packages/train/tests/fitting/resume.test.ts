/** A fit that was stopped anywhere and goes on is the fit that was never stopped, to the last bit. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Flow, flowCatalogue } from '@invnet/flows';
import { memory, setBackend } from '@invnet/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AdamW,
  CheckpointError,
  cosine,
  type FitOptions,
  type FitResult,
  fit,
  loadModel,
  modelBytes,
  Psgld,
  plateau,
  saveCheckpoint,
} from '../../src/index.ts';
import { correlatedRows, smallFlow } from './problems.ts';

let directory: string;
let checkpoint: string;
beforeEach(async () => {
  await setBackend('wasm');
  directory = await mkdtemp(join(tmpdir(), 'invnet-fit-'));
  checkpoint = join(directory, 'fit.safetensors');
});
afterEach(() => rm(directory, { recursive: true }));

const rows = correlatedRows(100);

/** All that can differ: numbers of the whole model, and the story. */
async function all({ flow, history, best, stopped, warnings }: FitResult) {
  return { bits: [...(await modelBytes(flow))], history, best, stopped, warnings };
}

/** Options anew for each run, with optimizers and schedules that remember nothing of another. */
const kinds: Record<string, () => FitOptions> = {
  'the defaults': () => ({}),
  'averages, noise and a schedule': () => ({
    average: 0.9,
    noise: cosine({ rate: 0.2 }),
    schedule: cosine({ rate: 0.01 }),
    optimizer: new AdamW(),
  }),
  // Weights that are kept only in the checkpoint when the fit goes on.
  'a best epoch that is over': () => ({ schedule: (step) => (step < 6 ? 0.01 : 0.3) }),
  'no validation': () => ({ validation: 0, average: 0.5 }),
  'a schedule that follows the loss': () => ({
    schedule: plateau({ rate: 0.05, patience: 0, threshold: 0.5, factor: 0.3 }),
    freeze: '**.coupling',
    optimizer: new Psgld({ rows: 90, seed: 2 }),
  }),
};

describe('a resumed fit', () => {
  // In the midst of the first epoch, at the end of the second, of six steps each, and in the last.
  it.each(Object.entries(kinds))('is the one that was never stopped: %s', async (_, options) => {
    const common = { epochs: 4, batchSize: 16, seed: 5, checkpoint };
    const whole = await all(await fit(smallFlow(), rows, { ...common, ...options() }).result());
    await rm(checkpoint);
    for (const stop of [2, 12, 22]) {
      const controller = new AbortController();
      const { signal } = controller;
      const again = { ...common, ...options(), resume: true, report: 1, signal };
      const fitting = fit(smallFlow(), rows, again);
      for await (const { step } of fitting) if (step === stop) controller.abort();
      expect((await fitting.result()).stopped).toBe('aborted');
    }
    const rest = { ...common, ...options(), resume: true };
    expect(await all(await fit(smallFlow(), rows, rest).result())).toEqual(whole);
    // It is over: nothing is trained any more, and the result is the same.
    expect(await all(await fit(smallFlow(), rows, { ...rest, ...options() }).result())).toEqual(
      whole,
    );
  });

  it('has a file that is a model, and refuses one of other rows, options or kinds', async () => {
    const options = { epochs: 1, average: 0.5, checkpoint, resume: true };
    const flow = smallFlow();
    const before = memory();
    const { flow: fitted } = await fit(flow, rows, options).result();
    expect(memory().liveBytes).toBe(before.liveBytes + 2 * 2 * 4);
    const loaded = await loadModel(checkpoint, { modules: flowCatalogue, as: Flow });
    expect(await modelBytes(loaded)).toEqual(await modelBytes(fitted));
    loaded.dispose();
    const bytes = await modelBytes(flow);
    const refused = async (other: FitOptions, message: RegExp, others = rows) => {
      const { liveBytes } = memory();
      const fitting = fit(flow, others, { ...options, ...other });
      await expect(fitting.result()).rejects.toThrow(message);
      await expect(fitting.result()).rejects.toThrow(CheckpointError);
      expect(memory().liveBytes).toBe(liveBytes);
      expect(await modelBytes(flow)).toEqual(bytes);
    };
    await refused({ batchSize: 50 }, /batchSize was 128, and here it is 50/);
    await refused({ seed: 1 }, /seed was 0, and here it is 1/);
    await refused({}, /rows was 90, and here it is 45/, correlatedRows(50));
    await refused({ optimizer: new Psgld({ rows: 1, seed: 1 }) }, /state of fit\/adam; expected/);
    await saveCheckpoint(checkpoint, { parameters: fitted.parameters });
    await refused({}, /is a checkpoint, and not one of fit/);
    expect(() => fit(flow, rows, { resume: true })).toThrow(/expected the path/);
  });
});
