import { splitRows } from '@invnet/datasets';
import { ClassConditional, Flow, flowCatalogue } from '@invnet/flows';
import { ActNorm } from '@invnet/layers';
import { mean, memory, RandomStream, setBackend, tensor, tidy } from '@invnet/tensor';
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

  it('standardizes images by channel, and leaves the context of a base as it is', async () => {
    const count = 60;
    const noise = new RandomStream(2).normalArray(count * 2 * 9);
    // Two channels in units of their own; the mean of the first follows the class.
    const data = noise.map((e, i) => {
      const first = Math.floor(i / 9) % 2 === 0;
      const one = Math.floor(i / 18) % 2;
      return first ? 0.01 * (e + 20 * one) : 1e4 + 100 * e;
    });
    const classes = Float64Array.from({ length: 2 * count }, (_, i) =>
      Math.floor(i / 2) % 2 === i % 2 ? 1 : 0,
    );
    const rows = {
      x: { shape: [count, 2, 3, 3], data },
      context: { shape: [count, 2], data: classes },
    };
    const base = new ClassConditional({ channels: 2, classes: 2 });
    const options = { epochs: 60, batchSize: 25, schedule: constant(0.05) };
    const fitting = fit(new Flow({ network: new ActNorm({ channels: 2 }), base }), rows, options);
    const { flow, best } = await fitting.result();
    // 18 numbers a row, each normal: 9 of deviation 0.01 and 9 of 100.
    const nats = 9 * (Math.log(2 * Math.PI * Math.E) + Math.log(0.01) + Math.log(100));
    expect(Math.abs(best!.loss - nats)).toBeLessThan(1.5);
    const { validation } = splitRows(rows, { validation: 0.1, seed: 0 });
    const [x, context] = [validation.x, validation.context!].map((a) => tensor(a.data, a.shape));
    expect(-meanOf([...flow.logProb(x!, context).dataSync()])).toBeCloseTo(best!.loss, 2);
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
