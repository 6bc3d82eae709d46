/** What each option of `fit` does to the steps, to the last bit where it can be said. */
import { arrayRows, type Rows } from '@invnet/datasets';
import { type Flow, negativeLogLikelihood } from '@invnet/flows';
import { moduleAt } from '@invnet/layers';
import { memory, setBackend, type Tensor, tensor, tidy } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  type FitLoss,
  type FitOptions,
  type FitWarning,
  fit,
  NonFiniteLossError,
  SingleProcess,
} from '../../src/index.ts';
import { autoregressiveFlow, correlatedRows, smallFlow } from './problems.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const rows = correlatedRows(64);
const plain: FitOptions = { epochs: 2, batchSize: 16, seed: 5, validation: 0 };
const weights = (flow: Flow) => flow.parameters.flatMap((p) => [...p.data.dataSync()]);
const fitted = async (options: FitOptions, data: Rows = rows) =>
  weights((await fit(smallFlow(), data, { ...plain, ...options }).result()).flow);

/** The weights after so many steps. */
async function after(steps: number): Promise<number[]> {
  const fitting = fit(smallFlow(), rows, { ...plain, report: 1 });
  for await (const { step } of fitting) if (step === steps) break;
  return weights((await fitting.result()).flow);
}

/** What a loss was given in each step. */
async function seen(options: FitOptions, data: Rows = rows) {
  const batches: { x: number[]; weights: number[] | undefined; draw: number }[] = [];
  const loss: FitOptions['loss'] = (flow, { x, weights: w, random }): Tensor => {
    const draw = random.uniformArray(1)[0]!;
    batches.push({ x: [...x.dataSync()], weights: w && [...w.dataSync()], draw });
    return negativeLogLikelihood(flow, x);
  };
  const result = await fit(smallFlow(), data, { ...plain, ...options, loss }).result();
  return { batches, result };
}

describe('fit', () => {
  it('averages weights with exponential weights from the first update on', async () => {
    const steps = await Promise.all([1, 2, 3, 4].map(after));
    const expected = steps.reduce((sum, now) => sum.map((s, i) => 0.7 * s + 0.3 * now[i]!));
    const found = await fitted({ average: 0.7, epochs: 1 });
    found.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-12);
    });
    expect(await fitted({ average: 0 })).toEqual(await fitted({}));
  });

  it('leaves frozen parts as they are, and thaws what it froze', async () => {
    const [flow, fresh] = [smallFlow(), smallFlow()];
    const path = 'network.scales.0.steps.1';
    const [part, before] = [flow, fresh].map((f) => moduleAt(f, path));
    flow.parameters[0]!.frozen = true;
    await fit(flow, rows, { ...plain, freeze: [path, 'network.scales.0.steps.0.**'] }).result();
    const numbers = (m: typeof part) => m!.parameters.map((p) => [...p.data.dataSync()]);
    // What data set is set where it is not frozen.
    expect(numbers(part)).toEqual(numbers(before));
    expect(weights(flow)).not.toEqual(weights(fresh));
    expect(flow.parameters.map((p) => p.frozen)).toEqual(flow.parameters.map((_, i) => i === 0));
  });

  it('adds noise of a deviation that changes from step to step, in units of standardized data', async () => {
    const noise = (step: number, steps?: number) => 0.5 * (1 - step / steps!);
    const [clean, noisy] = [(await seen({})).batches, (await seen({ noise })).batches];
    clean.forEach(({ x, draw }, step) => {
      const differences = noisy[step]!.x.map((value, i) => value - x[i]!);
      const deviation = Math.sqrt(differences.reduce((s, d) => s + d * d, 0) / x.length);
      expect(Math.abs(deviation / noise(step, 8) - 1)).toBeLessThan(0.4);
      expect(noisy[step]!.draw).toBe(draw);
    });
    const all = clean.slice(0, 4).flatMap(({ x }) => x);
    const second = all.filter((_, i) => i % 2 === 1);
    expect(Math.abs(second.reduce((s, v) => s + v, 0))).toBeLessThan(1e-8);
    expect(second.reduce((s, v) => s + v * v, 0) / 64).toBeCloseTo(1, 10);
    expect(new Set(clean.map(({ draw }) => draw)).size).toBe(8);
    expect(await fitted({ noise: 0 })).toEqual(await fitted({}));
    expect(await fitted({ noise: 0.1 })).not.toEqual(await fitted({}));
  });

  it('gives losses weights of mean 1, which move the density to what counts', async () => {
    const data = { shape: [64], data: Float64Array.from({ length: 64 }, (_, n) => (n % 4) + 1) };
    const { batches } = await seen({}, { ...rows, weights: data });
    const given = batches.slice(0, 4).flatMap(({ weights }) => weights!);
    expect(given.reduce((s, w) => s + w, 0)).toBeCloseTo(64, 10);
    // A row that stands there twice is one that counts twice.
    const counts = Float64Array.from({ length: 64 }, (_, n) => (n < 32 ? 2 : 1));
    const repeated = Float64Array.of(...rows.x.data.subarray(0, 64), ...rows.x.data);
    const whole = { ...plain, standardize: false, batchSize: 96 };
    const [once, twice] = await Promise.all(
      [
        { x: rows.x, weights: { shape: [64], data: counts } },
        { x: { shape: [96, 2], data: repeated } },
      ].map(async (data) => fit(autoregressiveFlow(), data, whole).result()),
    );
    expect(Math.abs(once!.best!.loss / twice!.best!.loss - 1)).toBeLessThan(1e-12);
    const [a, b] = [weights(once!.flow), weights(twice!.flow)];
    a.forEach((value, k) => {
      expect(Math.abs(value - b[k]!)).toBeLessThan(1e-9);
    });
  });

  it('trains a source like the rows that it has, and alone as one of one rank', async () => {
    const source = arrayRows(rows);
    const fromSource = await fit(
      smallFlow(),
      { training: source },
      { epochs: 2, batchSize: 16, seed: 5 },
    ).result();
    expect(weights(fromSource.flow)).toEqual(await fitted({}));
    expect(await fitted({ communicator: new SingleProcess() })).toEqual(await fitted({}));
  });

  it('looks at validation rows in evaluation, and leaves modes as they were', async () => {
    const modes: boolean[] = [];
    const loss: FitOptions['loss'] = (flow, { x }) => {
      modes.push(flow.training);
      return negativeLogLikelihood(flow, x);
    };
    const flow = smallFlow();
    const part = moduleAt(flow, 'network.scales.0.steps.0');
    part.training = false;
    await fit(flow, rows, { epochs: 1, batchSize: 32, validation: 0.25, loss }).result();
    expect(modes).toEqual([true, true, false]);
    expect([flow.training, part.training]).toEqual([true, false]);
  });

  it('ends with the best weights when numbers stop being finite, and throws without any', async () => {
    const ruined = (from: number): FitLoss => {
      let calls = 0;
      return (flow, { x }) =>
        calls++ < from
          ? negativeLogLikelihood(flow, x)
          : tidy(() => tensor([Number.NaN]).reshape([]));
    };
    const options = { epochs: 9, batchSize: 16, seed: 5, validation: 0.25 };
    // Three steps an epoch, and one batch for validation; checkpoints keep what was before.
    const [flow, heard] = [smallFlow(), [] as string[]];
    const onWarning = ({ kind }: FitWarning) => heard.push(kind);
    const diverged = await fit(flow, rows, { ...options, loss: ruined(9), onWarning }).result();
    expect(diverged.stopped).toBe('diverged');
    expect(diverged.best!.epoch).toBe(2);
    expect(diverged.warnings).toEqual([
      {
        kind: 'diverged',
        message: expect.stringMatching(/weights of epoch 2\. train: in step 8 the/),
      },
    ]);
    expect(heard).toEqual(['diverged']);
    // The eighth loss is of the validation rows after the second epoch.
    const invalid = await fit(smallFlow(), rows, { ...options, loss: ruined(7) }).result();
    expect(invalid.best!.epoch).toBe(1);
    expect(invalid.warnings[0]!.message).toMatch(/validation rows after epoch 2 is NaN/);
    const loss = ruined(Number.POSITIVE_INFINITY);
    const short = await fit(smallFlow(), rows, { ...options, epochs: 2, loss }).result();
    expect(weights(diverged.flow)).toEqual(weights(short.flow));
    const another = smallFlow();
    const { liveBytes } = memory();
    const failing = fit(another, rows, { ...options, loss: ruined(1) });
    await expect(failing.result()).rejects.toThrow(NonFiniteLossError);
    expect(memory().liveBytes).toBe(liveBytes);
  });

  it('does not standardize twice, and goes on with an optimizer of the caller', async () => {
    const optimizer = new Adam();
    const first = await fit(smallFlow(), rows, { ...plain, optimizer }).result();
    const again = await fit(first.flow, rows, { ...plain, optimizer }).result();
    expect(again.flow).toBe(first.flow);
    expect(again.history[0]!.trainingLoss).toBeLessThan(first.history[0]!.trainingLoss);
    const unstandardized = fit(smallFlow(), rows, { ...plain, standardize: false });
    expect((await unstandardized.result()).flow.network.type).toBe('Glow');
    expect((await optimizer.state(first.flow.parameters)).size).toBeGreaterThan(0);
    optimizer.dispose();
  });
});
