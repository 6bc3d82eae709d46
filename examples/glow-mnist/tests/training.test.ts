import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadMnist } from '@invnet/datasets';
import { setBackend, tensor } from '@invnet/tensor';
import { NonFiniteLossError } from '@invnet/train';
import { openRun, parseOptions, trainWithinBudget } from 'example-kit';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { app } from '../src/app.ts';
import { buildFlow } from '../src/model.ts';
import { trainingOn } from '../src/training.ts';

const out = await mkdtemp(join(tmpdir(), 'glow-mnist-'));
beforeEach(() => setBackend('wasm'));
afterAll(() => rm(out, { recursive: true, force: true }));

const flags = '--hidden 4 --steps 1 --batch 4 --epochs 0.001 --out'.split(' ');
const options = parseOptions(app, [...flags, out])!;
const never = new AbortController().signal;

test('a parameter that is not finite stops training, named with its step', async () => {
  const run = await openRun(app, options, buildFlow);
  const data = await loadMnist({ split: 'train' });
  const training = trainWithinBudget(run, trainingOn(data, run, never));
  await training.next();
  const spoiled = run.model.parameters[3]!;
  using values = tensor(new Float32Array(spoiled.size).fill(Number.NaN), spoiled.shape);
  spoiled.assign(values);
  const error = await training.next().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NonFiniteLossError);
  expect((error as NonFiniteLossError).step).toBe(2);
  expect((error as NonFiniteLossError).message).toContain(spoiled.name);
  // The state is still that of the last good step.
  expect(run.state.step).toBe(1);
  expect(run.state.losses).toHaveLength(1);
});

test('an aborted signal ends training after the step under way', async () => {
  const controller = new AbortController();
  const run = await openRun(app, options, buildFlow);
  const data = await loadMnist({ split: 'train' });
  for await (const { step } of trainWithinBudget(run, trainingOn(data, run, controller.signal))) {
    if (step === 2) controller.abort();
  }
  expect(run.state.step).toBe(2);
});
