import { ActNorm, Logit, Sequential } from '@invnet/layers';
import { memory, setBackend, sum, type Tensor, tensor, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  checkpointBytes,
  constant,
  NonFiniteLossError,
  restoreCheckpoint,
  type TrainingMetrics,
  type TrainOptions,
  train,
  warmupCosine,
} from '../src/index.ts';
import { problemOf, quadratic, targets, values } from './quadratic.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

function setUp(options: Partial<TrainOptions<readonly number[]>> = {}) {
  const model = quadratic();
  const optimizer = new Adam();
  const run = train({
    ...problemOf(model),
    optimizer,
    batches: targets(),
    schedule: constant(0.05),
    ...options,
  });
  return { model, optimizer, run };
}

async function take(
  run: AsyncIterable<TrainingMetrics>,
  count: number,
): Promise<TrainingMetrics[]> {
  const metrics: TrainingMetrics[] = [];
  if (count === 0) return metrics;
  for await (const m of run) if (metrics.push(m) === count) break;
  return metrics;
}

describe('train', () => {
  it('lowers the loss and reports every step', async () => {
    const { run } = setUp({ batches: new Array(200).fill([3, -1, 0]) });
    const metrics = await take(run, 200);
    expect(metrics.map((m) => m.step)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(metrics.at(-1)!.loss).toBeLessThan(0.01 * metrics[0]!.loss);
    expect(metrics[0]!.learningRate).toBe(0.05);
  });

  it('gives the same losses bit for bit from the same start', async () => {
    const losses = async () => (await take(setUp().run, 20)).map((m) => m.loss);
    expect(await losses()).toEqual(await losses());
  });

  it('leaves live bytes as they were, gradients included', async () => {
    const disposed: number[] = [];
    const model = quadratic();
    const before = memory();
    const run = train({
      parameters: model.parameters,
      loss: (batch) => model.loss([...batch.dataSync()]),
      optimizer: new Adam(),
      batches: (function* () {
        for (const target of targets()) yield tensor(target);
      })(),
      disposeBatch: (batch) => {
        disposed.push(batch.size);
        batch.dispose();
      },
      schedule: constant(0.01),
    });
    const metrics = await take(run, 5);
    // Two moments for 3 + 4 numbers of 8 bytes, and nothing else.
    expect(metrics[0]!.liveBytes).toBe(before.liveBytes + 2 * 7 * 8);
    for (const m of metrics) expect(m.liveBytes).toBe(metrics[0]!.liveBytes);
    expect(metrics[4]!.peakBytes).toBeGreaterThan(metrics[4]!.liveBytes);
    expect(memory().tensors).toBe(before.tensors + 4);
    expect(disposed).toEqual([3, 3, 3, 3, 3]);
  });

  it.each([0, 1, 7, 12])('resumes after step %i as if never stopped', async (stop) => {
    const schedule = warmupCosine({ rate: 0.1, warmup: 5, steps: 20 });
    const whole = await take(setUp({ schedule, clipNorm: 2 }).run, 20);

    const first = setUp({ schedule, clipNorm: 2 });
    await take(first.run, stop);
    const saved = await checkpointBytes({
      parameters: first.model.parameters,
      optimizer: first.optimizer,
      metadata: { step: String(stop) },
    });

    const model = quadratic();
    const optimizer = new Adam();
    const { step } = restoreCheckpoint(saved, { parameters: model.parameters, optimizer });
    const startStep = Number(step);
    const batches = targets(startStep);
    const rest = train({
      ...problemOf(model),
      optimizer,
      batches,
      schedule,
      clipNorm: 2,
      startStep,
    });
    const strip = ({ step, loss, gradientNorm, learningRate }: TrainingMetrics) => ({
      step,
      loss,
      gradientNorm,
      learningRate,
    });
    expect((await take(rest, 20 - stop)).map(strip)).toEqual(whole.slice(stop).map(strip));
  });

  it('clips by the global norm', async () => {
    const scales: (number | undefined)[] = [];
    class Recording extends Adam {
      override step(...args: Parameters<Adam['step']>): void {
        scales.push(args[1].gradientScale);
        super.step(...args);
      }
    }
    const { run } = setUp({ optimizer: new Recording(), clipNorm: 0.5 });
    const [m] = await take(run, 1);
    expect(m!.gradientNorm).toBeGreaterThan(0.5);
    expect(scales).toEqual([0.5 / m!.gradientNorm]);
  });

  it('stops between steps when told to', async () => {
    const controller = new AbortController();
    const { run } = setUp({ signal: controller.signal });
    let steps = 0;
    for await (const m of run) {
      steps = m.step;
      if (m.step === 3) controller.abort();
    }
    expect(steps).toBe(3);
    const aborted = setUp({ signal: AbortSignal.abort() });
    const before = values(aborted.model);
    expect(await take(aborted.run, 1)).toEqual([]);
    expect(values(aborted.model)).toEqual(before);
  });

  it('disposes a batch that was made before it was told to stop', async () => {
    const controller = new AbortController();
    const disposed: unknown[] = [];
    const batches = (async function* () {
      yield [1, 2, 3];
      controller.abort();
      yield [4, 5, 6];
    })();
    const { run } = setUp({
      batches,
      signal: controller.signal,
      disposeBatch: (b) => disposed.push(b),
    });
    expect(await take(run, 9)).toHaveLength(1);
    expect(disposed).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  it('lets the event loop run', async () => {
    const { run } = setUp();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    while (ticks < 3) await run.next();
    clearInterval(timer);
    await run.return();
  });

  it('stops at NaN in the data, names the step and parameter, and changes nothing', async () => {
    const batches = [
      [1, 2, 3],
      [1, Number.NaN, 3],
      [1, 2, 3],
    ];
    const { model, run } = setUp({ batches });
    await run.next();
    const before = values(model);
    const live = memory().liveBytes;
    const error = await run.next().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(error).toMatchObject({
      step: 2,
      loss: Number.NaN,
      location: { parameter: 'layer.w', where: 'gradient' },
    });
    expect(String(error)).toMatch(/in step 2 the loss is NaN; .*gradient of parameter 'layer\.w'/);
    expect(values(model)).toEqual(before);
    expect(memory().liveBytes).toBe(live);
    expect((await run.next()).done).toBe(true);
  });

  it('names the data when they are not finite', async () => {
    const model = quadratic();
    using data = tensor(Number.NaN, [2, 3]);
    const run = train({
      parameters: model.parameters,
      loss: ({ x }: { x: Tensor }) => sum(x),
      optimizer: new Adam(),
      batches: [{ x: data }],
      schedule: constant(0.05),
    });
    await expect(run.next()).rejects.toThrow(/batch's tensor of shape \[2, 3\] holds NaN/);
  });

  it('tells data that a layer does not take from what training has ruined', async () => {
    const network = new Sequential([new Logit(), new ActNorm({ channels: 2 })]);
    using pixels = tensor([[200, 7]]);
    const run = train({
      parameters: network.parameters,
      loss: (x: Tensor) => network.forward(x).logdet,
      optimizer: new Adam(),
      batches: [pixels],
      schedule: constant(0.05),
    });
    const error = await run.next().catch((e: unknown) => e);
    expect(error).toMatchObject({ step: 1, location: { where: 'initialization' } });
    expect(String(error)).toMatch(/, which this batch set\..* as Logit those between 0 and 1/);
    network.dispose();
  });

  it('names a parameter that is not finite before any gradient', async () => {
    const { model, run } = setUp();
    using bad = tensor(Number.POSITIVE_INFINITY, [2, 2]);
    model.parameters[1]!.assign(bad);
    await expect(run.next()).rejects.toMatchObject({
      step: 1,
      location: { parameter: 'layer.b', where: 'value' },
    });
  });

  it('stops at a gradient that is not finite though the loss is', async () => {
    const model = quadratic();
    const loss = () => {
      using g = tensor(Number.NaN, [3]);
      model.parameters[0]!.accumulateGrad(g);
      return zeros([]);
    };
    const run = setUp({ parameters: model.parameters, loss }).run;
    await expect(run.next()).rejects.toThrow(/the gradients are not finite \(loss 0\)/);
    const advice = async (clipNorm: number | undefined) =>
      String(
        await setUp({ parameters: model.parameters, loss, clipNorm }).run.next().catch(String),
      );
    expect(await advice(undefined)).toMatch(/a lower learning rate or a clipNorm\.$/);
    expect(await advice(1)).toMatch(/a lower learning rate\.$/);
    expect(await advice(1)).not.toMatch(/check the data/);
  });

  it('clips gradients whose squares are out of range, and refuses them where nothing clips', async () => {
    await setBackend('wasm');
    for (const size of [5.7e22, 3e38]) {
      const { model } = setUp();
      const [w] = model.parameters;
      const loss = () => {
        using g = tensor([size, -size, 0]);
        w!.accumulateGrad(g);
        return zeros([]);
      };
      const before = values(model);
      const error = await setUp({ ...problemOf(model), loss })
        .run.next()
        .catch((e: unknown) => e);
      expect(error).toMatchObject({ location: { where: 'squares' } });
      expect(String(error)).toMatch(/gradients are too large.*norm is .*clipNorm/);
      expect(values(model)).toEqual(before);

      const optimizer = new Adam();
      const { run } = setUp({ ...problemOf(model), loss, optimizer, clipNorm: 1 });
      const [m] = await take(run, 1);
      expect(m!.gradientNorm / size).toBeCloseTo(Math.SQRT2, 6);
      const state = await optimizer.state(model.parameters);
      const moments = state.get('v/layer.w')!.data;
      expect([...moments].map((v) => v / 0.001)).toEqual(
        [0.5, 0.5, 0].map((v) => expect.closeTo(v, 5)),
      );
      expect(values(model)[0]).toEqual([0.45, -0.95, 2].map((v) => expect.closeTo(v, 5)));
    }
  });

  it('refuses what makes no sense', async () => {
    await expect(setUp({ loss: () => zeros([2]) }).run.next()).rejects.toThrow(
      /expected one number/,
    );
    await expect(setUp({ clipNorm: -1 }).run.next()).rejects.toThrow(ValueError);
    await expect(setUp({ startStep: 0.5 }).run.next()).rejects.toThrow(/startStep is 0.5/);
    const { model, run } = setUp({ schedule: () => Number.NaN });
    const before = values(model);
    await expect(run.next()).rejects.toThrow(/schedule gave for step 1 is NaN/);
    expect(values(model)).toEqual(before);
  });
});
