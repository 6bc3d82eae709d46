/** Objectives for energies: their means, their memory, what they set, and what they refuse. */
import { banana, eightGaussians } from '@invnet/datasets';
import {
  ActNorm,
  Identity,
  isInitialized,
  keeping,
  Sequential,
  TrainingStep,
  TransformerCoupling,
  zeroGrad,
} from '@invnet/layers';
import {
  affine,
  concat,
  full,
  memory,
  mul,
  RandomStream,
  resetPeakMemory,
  setBackend,
  square,
  sumPerSample,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  alphaDivergence,
  type Energy,
  energyOf,
  Flow,
  importanceSample,
  NonFiniteEnergyError,
  Normal,
  reverseKL,
  weightStatistics,
} from '../src/index.ts';
import { affineMap, energies, flows, numberOf } from './energy-flows.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** The mean of numbers, and its standard error. */
function meanOf(values: readonly number[]): { mean: number; error: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

describe('estimators', () => {
  /** A normal distribution of the plane as an energy, 3 times too large: log Z = log 3. */
  const deviation = 1.2;
  const target: Energy = {
    value: (x) =>
      affine(
        sumPerSample(square(x)),
        0.5 / deviation ** 2,
        Math.log((2 * Math.PI * deviation ** 2) / 3),
      ),
    withGradient: (x) => ({ value: target.value(x), gradient: affine(x, 1 / deviation ** 2) }),
  };

  it('of gradients agree: the path leaves out what has the mean 0, and little noise near the end', async () => {
    await setBackend('wasm');
    const flow = flows.couplings!();
    const direction = flow.parameters.map((p) => new RandomStream(5).normal(p.shape));
    const random = new RandomStream(10);
    const slopes = (gradient: 'path' | 'total') =>
      Array.from({ length: 300 }, () => {
        zeroGrad(flow.parameters);
        reverseKL(flow, target, { shape: [8, 2], seed: random, gradient }).dispose();
        return flow.parameters.reduce((sum, p, i) => sum + sumOf(mul(p.grad!, direction[i]!)), 0);
      });
    const [path, total] = [meanOf(slopes('path')), meanOf(slopes('total'))];
    expect(Math.abs(path.mean - total.mean)).toBeLessThan(3 * Math.hypot(path.error, total.error));
    expect(path.mean).not.toBeCloseTo(0, 1);
    // A flow that is the target: of the gradient along the path there is nothing left, sample by sample.
    const fitted = new Flow({ network: new ActNorm({ channels: 2 }) });
    fitted.parameters[0]!.assign(full([2], 1 / deviation));
    const noise = (gradient: 'path' | 'total') => {
      zeroGrad(fitted.parameters);
      reverseKL(fitted, target, { shape: [8, 2], seed: 1, gradient }).dispose();
      return Math.max(
        ...fitted.parameters.flatMap((p) => Array.from(p.grad!.dataSync(), Math.abs)),
      );
    };
    expect(noise('path')).toBeLessThan(1e-6);
    expect(noise('total')).toBeGreaterThan(1e-2);
  });

  it('of log Z, of ∫ pᵅ q¹⁻ᵅ and of means under the energy are right within their errors', () => {
    const flow = new Flow({ network: new Identity() });
    const runs = Array.from({ length: 200 }, (_, seed) => {
      const { x, logWeights } = importanceSample(flow, target, { shape: [200, 2], seed });
      const found = weightStatistics(logWeights.dataSync());
      const numbers = x.dataSync();
      const second = found.weights.reduce((sum, w, n) => sum + w * numbers[2 * n]! ** 2, 0);
      return { ...found, second };
    });
    const z = meanOf(runs.map(({ logZ }) => Math.exp(logZ)));
    expect(Math.abs(z.mean - 3)).toBeLessThan(3 * z.error);
    const scale = Math.sqrt(runs.length);
    const spread = meanOf(runs.map(({ logZ }) => logZ)).error * scale;
    const told = meanOf(runs.map(({ logZError }) => logZError));
    expect(told.mean / spread).toBeGreaterThan(0.85);
    expect(told.mean / spread).toBeLessThan(1.15);
    const second = meanOf(runs.map((run) => run.second));
    expect(Math.abs(second.mean - deviation ** 2)).toBeLessThan(0.02 + 3 * second.error);
    for (const alpha of [0.5, 1.5]) {
      // Of normal densities p of variance v and q of 1 in the plane: Z^α v^(1−α)/(α + (1 − α) v).
      const v = deviation ** 2;
      const exact = (3 ** alpha * v ** (1 - alpha)) / (alpha + (1 - alpha) * v);
      const found = meanOf(
        runs.map((_, seed) => {
          const loss = alphaDivergence(flow, target, { alpha, shape: [200, 2], seed });
          return Math.exp(alpha * (alpha - 1) * numberOf(loss));
        }),
      );
      expect(Math.abs(found.mean - exact)).toBeLessThan(3 * found.error);
    }
    zeroGrad(flow.parameters);
  });

  it('of effective sizes: all for equal weights, one where one has all, and whatever their size', () => {
    expect(weightStatistics([-800, -800, -800, -800])).toMatchObject({
      effectiveSampleSize: 4,
      logZ: -800,
      logZError: 0,
    });
    const one = weightStatistics([700, Number.NEGATIVE_INFINITY]);
    expect(one.effectiveSampleSize).toBe(1);
    expect(one.logZ).toBeCloseTo(700 - Math.log(2), 12);
    expect([...one.weights]).toEqual([1, 0]);
    expect(() => weightStatistics([1, Number.NaN])).toThrow(NonFiniteEnergyError);
    const none = Number.NEGATIVE_INFINITY;
    expect(() => weightStatistics([none, none])).toThrow(/all weights are 0/);
    expect(() => weightStatistics([1])).toThrow(/at least 2 numbers/);
  });
});

function sumOf(t: Tensor): number {
  const total = t.dataSync().reduce((a, b) => a + b, 0);
  t.dispose();
  return total;
}

describe('a loss of an energy', () => {
  const energy = energies.banana!;
  const options = { shape: [20, 2], seed: 1 };

  it('sets what awaits data on samples, and takes it back with the step', () => {
    const flow = () =>
      new Flow({
        network: new ActNorm({ channels: 2 }),
        base: new Normal({ channels: 2, deviation: 3 }),
      });
    const alone = flow();
    reverseKL(alone, energy, options).dispose();
    expect(isInitialized(alone)).toBe(true);
    const { x } = importanceSample(alone, energy, { shape: [2000, 2], seed: 2 });
    const spread = Math.sqrt(x.dataSync().reduce((sum, v) => sum + v * v, 0) / x.size);
    expect(Math.abs(spread - 1)).toBeLessThan(0.3);
    const stepped = flow();
    const step = new TrainingStep();
    step.run(() => reverseKL(stepped, energy, options)).dispose();
    expect(isInitialized(stepped)).toBe(true);
    step.rollback();
    expect(isInitialized(stepped)).toBe(false);
  });

  it('has the same gradients where more is kept', () => {
    const flow = flows['autoregressive layers']!();
    const gradients = (run: (fn: () => Tensor) => Tensor) => {
      zeroGrad(flow.parameters);
      run(() => reverseKL(flow, energy, options)).dispose();
      return flow.parameters.flatMap((p) => [...p.grad!.dataSync()]);
    };
    const plain = gradients((fn) => fn());
    gradients((fn) => keeping('inputs', fn)).forEach((v, i) => {
      expect(Math.abs(v - plain[i]!)).toBeLessThan(1e-10 * (1 + Math.abs(v)));
    });
  });
});

describe('memory', () => {
  const deep = (depth: number) => {
    const random = new RandomStream(1);
    const layers = Array.from({ length: depth }, (_, i) => {
      const moves = i % 2 === 0 ? 'first' : 'second';
      return new TransformerCoupling({
        channels: 2,
        hidden: 8,
        ndims: 0,
        random,
        moves,
        transformer: affineMap(),
      });
    });
    return new Flow({ network: new Sequential(layers) });
  };

  it.each(['path', 'total'] as const)(
    'of the %s gradient does not grow with depth',
    async (gradient) => {
      await setBackend('wasm');
      const energy = energyOf(eightGaussians());
      const peak = (depth: number) => {
        const flow = deep(depth);
        const run = () =>
          reverseKL(flow, energy, { shape: [4096, 2], seed: 1, gradient }).dispose();
        run();
        const { liveBytes } = memory();
        resetPeakMemory();
        run();
        expect(memory().liveBytes).toBe(liveBytes);
        const { peakBytes } = memory();
        flow.dispose();
        return peakBytes - liveBytes;
      };
      expect(peak(24)).toBe(peak(4));
    },
  );
});

describe('an energy', () => {
  const flow = () => new Flow({ network: new ActNorm({ channels: 2 }) });
  const bad = (value: (x: Tensor) => Tensor, gradient = (x: Tensor) => x): Energy => ({
    value,
    withGradient: (x) => ({ value: value(x), gradient: gradient(x) }),
  });
  const options = { shape: [5, 2], seed: 1 };
  const zero = (x: Tensor) => full([x.shape[0]!], 0, x);

  it.each(['reference', 'wasm'] as const)(
    'that is not finite is an error that counts, on %s',
    async (name) => {
      await setBackend(name);
      const some = [0, Number.NaN, 1, Number.POSITIVE_INFINITY, 2];
      const before = memory();
      const one = flow();
      const at = memory();
      const call = () =>
        reverseKL(
          one,
          bad(() => tensor(some)),
          options,
        );
      expect(call).toThrow(/not finite for 2 of 5 samples/);
      const sloped = bad(zero, (x) => concat([full([4, 2], 0, x), tensor([[Number.NaN, 1]])], 0));
      expect(() => reverseKL(one, sloped, options)).toThrow(
        expect.objectContaining({ name: 'NonFiniteEnergyError', count: 1, samples: 5 }),
      );
      expect(memory().tensors).toBe(at.tensors);
      expect(one.parameters.every((p) => !p.grad)).toBe(true);
      one.dispose();
      expect(memory().liveBytes).toBe(before.liveBytes);
    },
  );

  it('of wrong shapes, or none, is refused', () => {
    const calls: [() => unknown, RegExp][] = [
      [
        () =>
          reverseKL(
            flow(),
            bad((x) => full([1], 0, x)),
            options,
          ),
        /the energy is \[1\]; expected \[5\]/,
      ],
      [
        () => reverseKL(flow(), bad(zero, zero), options),
        /gradient of the energy is \[5\]; expected \[5, 2\]/,
      ],
      [() => reverseKL(flow(), banana() as never, options), /energy's value is undefined/],
      [() => energyOf({ logDensity: 1 } as never), /logDensity is 1/],
      [
        () => reverseKL(flow(), energies.banana!, { ...options, gradient: 'x' as never }),
        /gradient is 'x'/,
      ],
      [
        () => reverseKL(flow(), energies.banana!, { ...options, inverseTemperature: 0 }),
        /inverseTemperature is 0/,
      ],
      [() => alphaDivergence(flow(), energies.banana!, { ...options, alpha: 1 }), /alpha is 1/],
      [
        () => reverseKL(flow(), energies.banana!, { ...options, shape: [] }),
        /expected samples along the first axis/,
      ],
    ];
    for (const [call, message] of calls) expect(call).toThrow(message);
  });
});
