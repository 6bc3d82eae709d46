/** Optimizers and schedules against PyTorch's, and Langevin dynamics against NumPy: record-optimizers.py. */
import { readFileSync } from 'node:fs';
import { Parameter } from '@invnet/layers';
import { RandomStream, type Shape, setBackend, type Tensor, tensor } from '@invnet/tensor';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  Adam,
  Adamax,
  AdamW,
  cosine,
  exponential,
  type Optimizer,
  oneCycle,
  Psgld,
  plateau,
  Sgd,
} from '../src/index.ts';

const recorded = JSON.parse(readFileSync(new URL('optimizers.json', import.meta.url), 'utf8'));
const start = [-1.5, 2, 0.25];

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

/** Every tenth point of a hundred steps, with the state saved and loaded half-way. */
async function trajectory(make: () => Optimizer, learningRate: number): Promise<number[][]> {
  const p = new Parameter('p', tensor(start));
  let optimizer = make();
  const points: number[][] = [];
  for (let step = 0; step < 100; step++) {
    using gradient = tensor([...p.data.dataSync()].map((x) => x - 1 + x ** 3));
    p.accumulateGrad(gradient);
    optimizer.step([p], { learningRate });
    p.zeroGrad();
    if (step % 10 === 9) points.push([...p.data.dataSync()]);
    if (step !== 49) continue;
    const state = await optimizer.state([p]);
    optimizer.dispose();
    optimizer = make();
    optimizer.load(state, [p]);
  }
  return points;
}

function expectClose(found: readonly number[], expected: readonly number[], most: number): void {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(most);
  });
}

describe("PyTorch's steps", () => {
  const optimizers: Record<string, () => Optimizer> = {
    Adam: () => new Adam(),
    'Adam of other constants': () => new Adam({ beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }),
    AdamW: () => new AdamW(),
    'AdamW of a large decay': () => new AdamW({ weightDecay: 0.5 }),
    Adamax: () => new Adamax(),
    'Adamax of other constants': () => new Adamax({ beta1: 0.7, beta2: 0.9, epsilon: 1e-3 }),
    SGD: () => new Sgd({ momentum: 0 }),
    'SGD with momentum': () => new Sgd(),
    "SGD with Nesterov's": () => new Sgd({ nesterov: true, weightDecay: 0.01 }),
  };

  it.each(Object.entries(recorded.optimizers))('of %s', async (name, points) => {
    const found = await trajectory(optimizers[name]!, 0.05);
    expectClose(found.flat(), (points as number[][]).flat(), 1e-9);
  });

  it('of Langevin dynamics, with its noise', async () => {
    const { noise, points } = recorded.langevin as { noise: number[][]; points: number[][] };
    vi.spyOn(RandomStream.prototype, 'normal').mockImplementation(function (
      this: RandomStream,
      shape: Shape,
    ): Tensor {
      const step = this.state.block;
      this.skip(3);
      return tensor(noise[step]!, shape);
    });
    const make = () => new Psgld({ rows: 50, seed: 1, decay: 0.9, epsilon: 1e-3 });
    expectClose((await trajectory(make, 1e-3)).flat(), points.flat(), 1e-9);
    vi.restoreAllMocks();
  });
});

describe("PyTorch's rates", () => {
  const schedules = {
    cosine: cosine({ rate: 0.1, finalRate: 0.01, steps: 50 }),
    exponential: exponential({ rate: 0.1, decay: 0.9 }),
    oneCycle: oneCycle({ rate: 0.1, steps: 50 }),
    'oneCycle of other constants': oneCycle({
      rate: 0.3,
      steps: 50,
      rise: 0.5,
      startDivisor: 5,
      finalDivisor: 100,
    }),
  };

  it.each(Object.entries(schedules))('of %s', (name, schedule) => {
    const found = Array.from({ length: 50 }, (_, step) => schedule(step));
    expectClose(found, recorded.schedules[name], 1e-14);
  });

  it('of plateau, with its state saved and loaded', () => {
    const options = { rate: 0.1, factor: 0.5, patience: 2, cooldown: 1, threshold: 1e-2 };
    let schedule = plateau({ ...options, finalRate: 0.004 });
    const found = (recorded.schedules.losses as number[]).map((loss, step) => {
      const rate = schedule(step);
      schedule.observe(loss);
      const state = JSON.parse(JSON.stringify(schedule.state()));
      schedule = plateau({ ...options, finalRate: 0.004 });
      schedule.load(state);
      return rate;
    });
    expect(found).toEqual(recorded.schedules.plateau);
    expect(new Set(found).size).toBeGreaterThan(3);
    schedule.load();
    expect(schedule(0)).toBe(0.1);
  });

  it('within fit, over as many steps as there are', () => {
    expect(cosine({ rate: 1 })(50, 100)).toBeCloseTo(0.5);
    expect(oneCycle({ rate: 0.1 })(7, 50)).toBe(recorded.schedules.oneCycle[7]);
    expect(() => cosine({ rate: 1 })(0)).toThrow(/expected steps, or fit/);
  });
});

describe('Langevin dynamics', () => {
  it('draw from the posterior', async () => {
    // −log p of N rows is N x²/2 each: a posterior of variance 1/N.
    const rows = 4;
    const psgld = new Psgld({ rows, seed: 3, decay: 0, epsilon: 1e4 });
    const p = new Parameter('p', tensor(new Array<number>(200).fill(0)));
    let [sum, squares, count] = [0, 0, 0];
    for (let step = 0; step < 400; step++) {
      p.accumulateGrad(p.data);
      psgld.step([p], { learningRate: 1e3 });
      p.zeroGrad();
      if (step < 100) continue;
      for (const x of p.data.dataSync())
        [sum, squares, count] = [sum + x, squares + x * x, count + 1];
    }
    expect(Math.abs(sum / count)).toBeLessThan(0.02);
    expect(Math.abs((squares / count) * rows - 1)).toBeLessThan(0.1);
  });
});
