import { loadMnist } from '@invnet/datasets';
import { setBackend, tensor } from '@invnet/tensor';
import { NonFiniteLossError } from '@invnet/train';
import { beforeEach, expect, test } from 'vitest';
import { parseOptions } from '../src/options.ts';
import { newRun } from '../src/run-state.ts';
import { trainWithinBudget } from '../src/training.ts';

beforeEach(() => setBackend('wasm'));

const options = parseOptions('--hidden 4 --steps 1 --batch 4 --epochs 0.001'.split(' '))!;
const never = new AbortController().signal;

test('a parameter that is not finite stops training, named with its step', async () => {
  const run = newRun(options);
  const training = trainWithinBudget(run, await loadMnist({ split: 'train' }), never);
  await training.next();
  const spoiled = run.flow.parameters[3]!;
  using values = tensor(new Float32Array(spoiled.size).fill(Number.NaN), spoiled.shape);
  spoiled.assign(values);
  const error = await training.next().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NonFiniteLossError);
  expect((error as NonFiniteLossError).step).toBe(2);
  expect((error as NonFiniteLossError).message).toContain(spoiled.name);
  // The state is still that of the last good step.
  expect(run.state.step).toBe(1);
  expect(run.state.bitsPerDim).toHaveLength(1);
});

test('an aborted signal ends training after the step under way', async () => {
  const controller = new AbortController();
  const run = newRun(options);
  const data = await loadMnist({ split: 'train' });
  for await (const { step } of trainWithinBudget(run, data, controller.signal)) {
    if (step === 2) controller.abort();
  }
  expect(run.state.step).toBe(2);
});
