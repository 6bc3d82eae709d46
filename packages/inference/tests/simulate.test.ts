/** Simulations: the same pairs for a seed however they are made, and no failure that is lost. */
import { Worker } from 'node:worker_threads';
import { ValueError } from '@invnet/tensor';
import { expect, it } from 'vitest';
import { SimulationError, type Simulator, simulate, uniformPrior } from '../src/index.ts';
import { calls, type Outcome } from '../src/simulation/simulator.ts';

const prior = uniformPrior({ low: [0], high: [1] });
const options = { count: 250, seed: 7 };
const simulator: Simulator = ([a], { random }) => [a!, random.normalArray(1)[0]!];

it('is the same for a seed, for functions and promises, in batches of any size, and tells its progress', async () => {
  const run = simulate(simulator, prior, options);
  const seen: number[] = [];
  for await (const { done, count, failed } of run) {
    expect([count, failed]).toEqual([250, 0]);
    seen.push(done);
  }
  expect(seen).toEqual([100, 200, 250]);
  const pairs = await run.result();
  expect(pairs.x.data.filter((_, i) => i % 2 === 0)).toEqual(pairs.theta.data);
  const later: Simulator = async (theta, context) => simulator(theta, context);
  expect(await simulate(later, prior, { ...options, batchSize: 33 }).result()).toEqual(pairs);
  expect(await simulate(simulator, prior, { ...options, seed: 8 }).result()).not.toEqual(pairs);
  const batch: Simulator = { batch: ({ shape, data }) => ({ shape: [shape[0]!, 1, 1], data }) };
  const { x } = await simulate(batch, prior, options).result();
  expect(x).toEqual({ shape: [250, 1, 1], data: pairs.theta.data });
});

it('takes observations at once, so that a simulator may write all into one array', async () => {
  const [numbers, list] = [new Float32Array(1), [0]];
  const shared: Simulator[] = [
    ([a]) => {
      numbers[0] = a!;
      return numbers;
    },
    ([a]) => {
      numbers[0] = a!;
      return { shape: [1], data: numbers };
    },
    ([a]) => {
      list[0] = a!;
      return list;
    },
  ];
  for (const simulator of shared) {
    const { theta, x } = await simulate(simulator, prior, options).result();
    expect([...x.data].map(Math.fround)).toEqual([...theta.data].map(Math.fround));
  }
  const promised: Simulator = async ([a]) => {
    numbers[0] = a!;
    return numbers;
  };
  const run = simulate(promised, prior, options).result();
  await expect(run).rejects.toThrow('one array for two observations');
  await expect(run).rejects.toThrow(ValueError);
  // A worker waits for each before the next.
  const theta = { shape: [3, 1], data: Float64Array.of(0.25, 0.5, 0.75) };
  const found: Outcome[] = [];
  for (const call of calls(promised, { first: 0, theta, seed: 1 }, 1000, undefined)) {
    found.push(await call());
  }
  expect(found.map((outcome) => 'x' in outcome && outcome.x.data[0])).toEqual([0.25, 0.5, 0.75]);
});

it('runs in workers, of which one that hangs or ends is replaced, with the same pairs and failures', async () => {
  const worker = () => new Worker(new URL('./simulator-worker.ts', import.meta.url));
  const settings = { ...options, count: 60, batchSize: 8 };
  const { theta } = await simulate(simulator, prior, settings).result();
  const results = await Promise.all(
    [1, 2].map((workers) =>
      simulate({ worker }, prior, { ...settings, timeout: 1500, workers }).result(),
    ),
  );
  const reasons = results[0]!.failures.map(({ reason, index }) => [index, reason]);
  const expected = [...theta.data].flatMap((a, index) => {
    if (a > 0.95) return [[index, 'timeout']];
    return a < 0.05 || (a > 0.5 && a < 0.55) ? [[index, 'threw']] : [];
  });
  expect(new Set(expected.map(([, reason]) => reason)).size).toBe(2);
  expect(reasons).toEqual(expected);
  expect(results[0]!.x.shape).toEqual([60 - expected.length, 2]);
  expect(results[1]!.theta).toEqual(results[0]!.theta);
  expect(results[1]!.x).toEqual(results[0]!.x);
});

it('counts what throws, what never answers and what is not finite, and keeps their parameters', async () => {
  const bad: Simulator = ([a]) => {
    if (a! < 0.25) throw new RangeError('too small');
    if (a! < 0.3) return new Promise(() => {});
    return [a! < 0.5 ? Number.NaN : a!];
  };
  const run = simulate(bad, prior, { ...options, timeout: 20 });
  let last = 0;
  for await (const { failed } of run) last = failed;
  const { theta, x, failures } = await run.result();
  expect(x.data).toEqual(theta.data);
  expect(theta.shape[0]! + failures.length).toBe(250);
  expect(failures.length).toBe(last);
  for (const { theta, reason, message } of failures) {
    const [a] = theta;
    if (a! < 0.25) expect([reason, message]).toEqual(['threw', 'RangeError: too small']);
    else if (a! < 0.3) expect([reason, message]).toEqual(['timeout', 'gave nothing within 20 ms']);
    else expect([reason, message]).toEqual(['not finite', 'number 0 of the observation is NaN']);
  }
  expect(new Set(failures.map(({ reason }) => reason)).size).toBe(3);
});

it('says what is the simulator’s own mistake, and ends where it is told to', async () => {
  const result = (s: Simulator, more = {}) => simulate(s, prior, { ...options, ...more }).result();
  const broken = () => {
    throw new Error('no licence');
  };
  await expect(result(broken)).rejects.toThrow('all 250 simulations failed; the first, of ');
  await expect(result(broken)).rejects.toThrow(SimulationError);
  await expect(result(() => [])).rejects.toThrow(ValueError);
  await expect(result(([a]) => (a! < 0.5 ? [1] : [1, 2]))).rejects.toThrow('expected equal shapes');
  await expect(async () => result(simulator, { workers: 2 })).rejects.toThrow('workers is 2');
  const control = new AbortController();
  const run = simulate(simulator, prior, { ...options, signal: control.signal });
  for await (const { done } of run) if (done === 200) control.abort();
  expect((await run.result()).theta.shape).toEqual([200, 1]);
});
