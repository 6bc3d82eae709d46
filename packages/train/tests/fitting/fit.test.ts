import { splitRows } from '@invnet/datasets';
import { Flow, flowCatalogue } from '@invnet/flows';
import { mean, memory, setBackend, tensor, tidy } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { constant, type FitOptions, fit, modelBytes, modelFromBytes } from '../../src/index.ts';
import {
  conditionalFlow,
  conditionalRows,
  correlatedRows,
  entropy,
  smallFlow,
} from './problems.ts';

beforeEach(() => setBackend('wasm'));
/** Of a number on it. */
const bytes = 4;

const quick: FitOptions = { epochs: 3, batchSize: 32, seed: 5 };

const meanOf = (values: readonly number[]) => values.reduce((s, v) => s + v, 0) / values.length;
const bits = async (flow: Flow) =>
  (await Promise.all(flow.parameters.map((p) => p.data.data()))).map((data) => [...data]);

describe('fit', () => {
  it('finds the density of the data as they are, by default', async () => {
    const fitting = fit(smallFlow(), correlatedRows(600), { epochs: 12, seed: 1 });
    const { flow, best, history, stopped, warnings } = await fitting.result();
    expect([stopped, history.length, warnings]).toEqual(['epochs', 12, []]);
    const test = correlatedRows(2000, 9).x;
    const loss = tidy(() => -mean(flow.logProb(tensor(test.data, test.shape))).dataSync()[0]!);
    expect(Math.abs(loss - entropy)).toBeLessThan(0.1);
    expect(Math.abs(best!.loss - entropy)).toBeLessThan(0.3);
    const losses = history.map((h) => h.validationLoss!);
    expect(best).toEqual({
      epoch: losses.indexOf(Math.min(...losses)) + 1,
      loss: Math.min(...losses),
    });
    const moments = flow.sample({ shape: [2000, 2], seed: 1 }).dataSync();
    const second = moments.filter((_, i) => i % 2 === 1);
    expect(second.reduce((s, v) => s + v, 0) / 2000).toBeCloseTo(-1000, 2);
  });

  it('standardizes contexts, and gives a model that comes back from its file', async () => {
    const rows = conditionalRows(500);
    const { flow, best } = await fit(conditionalFlow(), rows, {
      epochs: 20,
      batchSize: 50,
      schedule: constant(1e-2),
    }).result();
    const test = conditionalRows(500, 9);
    const [x, context] = [tensor(test.x.data, [500, 2]), tensor(test.context!.data, [500, 2])];
    const density = [...flow.logProb(x, context).dataSync()];
    const expected = Math.log(2 * Math.PI * Math.E) + Math.log(25);
    expect(Math.abs(-meanOf(density) - expected)).toBeLessThan(0.2);
    // What was reported is what the flow says of the rows as they are.
    const { validation } = splitRows(rows, { validation: 0.1, seed: 0 });
    const [vx, vc] = [validation.x, validation.context!].map((a) => tensor(a.data, a.shape));
    expect(-meanOf([...flow.logProb(vx!, vc).dataSync()])).toBeCloseTo(best!.loss, 4);
    const again = modelFromBytes(await modelBytes(flow), { modules: flowCatalogue, as: Flow });
    expect([...again.logProb(x, context).dataSync()]).toEqual(density);
  });

  it('gives equal bits for equal seeds', async () => {
    const run = async () =>
      await bits((await fit(smallFlow(), correlatedRows(100), quick).result()).flow);
    expect(await run()).toEqual(await run());
  });

  it('leaves live bytes as they were, but for the standardization', async () => {
    const [flow, rows] = [smallFlow(), correlatedRows(100)];
    const before = memory();
    const { flow: fitted } = await fit(flow, rows, quick).result();
    // A mean and a deviation of two columns.
    expect(memory().liveBytes).toBe(before.liveBytes + 2 * 2 * bytes);
    expect(fitted.parameters.length).toBe(flow.parameters.length);
    const failing = fit(flow, rows, {
      ...quick,
      loss: () => {
        throw new Error('mine');
      },
    });
    const again = memory();
    await expect(failing.result()).rejects.toThrow('mine');
    await expect(failing.result()).rejects.toThrow('mine');
    expect(memory().liveBytes).toBe(again.liveBytes);
  });

  it('stops when patience runs out, when told to, and when left, with the best weights', async () => {
    const rows = correlatedRows(60);
    const options = { ...quick, epochs: 100, schedule: constant(0.05) };
    const patient = await fit(smallFlow(), rows, { ...options, patience: 2 }).result();
    expect(patient.stopped).toBe('patience');
    expect(patient.history.length).toBe(patient.best!.epoch + 2);
    const short = await fit(smallFlow(), rows, {
      ...options,
      epochs: patient.best!.epoch,
    }).result();
    expect(await bits(patient.flow)).toEqual(await bits(short.flow));

    const controller = new AbortController();
    const aborted = fit(smallFlow(), rows, { ...options, report: 1, signal: controller.signal });
    for await (const { step } of aborted) if (step === 5) controller.abort();
    expect(await aborted.result()).toMatchObject({ stopped: 'aborted', best: { epoch: 2 } });
    const left = fit(smallFlow(), rows, options);
    for await (const { epoch } of left) if (epoch === 2) break;
    expect(await bits((await left.result()).flow)).toEqual(
      await bits((await aborted.result()).flow),
    );
    expect((await left.result()).stopped).toBe('left');
  });
});
