/** Hamiltonian Monte Carlo, in the space of x and in that of a latent, and what chains are worth. */
import { banana } from '@invnet/datasets';
import { ActNorm, Identity } from '@invnet/layers';
import {
  add,
  affine,
  div,
  memory,
  mul,
  RandomStream,
  relu,
  setBackend,
  slice,
  square,
  sumPerSample,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  chainDiagnostics,
  type Energy,
  energyOf,
  Flow,
  type HamiltonianOptions,
  hamiltonianMonteCarlo,
  NonFiniteEnergyError,
  neuTra,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** Independent normal numbers of two deviations. */
function normal(deviations: readonly [number, number]): Energy {
  const precision = tensor(
    deviations.map((d) => d ** -2),
    [1, 2],
  );
  const energy: Energy = {
    value: (x) => affine(sumPerSample(mul(square(x), precision)), 0.5),
    withGradient: (x) => ({ value: energy.value(x), gradient: mul(x, precision) }),
  };
  return energy;
}

/** The mean of x² of each of two numbers. */
function secondMoments(x: Tensor): [number, number] {
  const values = x.dataSync();
  const sums: [number, number] = [0, 0];
  values.forEach((v, i) => {
    sums[i % 2]! += (2 * v * v) / values.length;
  });
  return sums;
}

describe('hamiltonianMonteCarlo', () => {
  const run = (energy: Energy, { start, ...more }: Partial<HamiltonianOptions> = {}) =>
    hamiltonianMonteCarlo(energy, {
      start: start ?? new RandomStream(1).normal([16, 2]),
      samples: 400,
      warmup: 200,
      seed: 2,
      ...more,
    });

  it('samples a density, of what is told of it, at the acceptance that was asked for', async () => {
    const deviations = [1, 3] as const;
    const energy = normal(deviations);
    const found = await run(energy);
    const moments = secondMoments(found.samples);
    deviations.forEach((d, i) => {
      expect(found.rHat[i]).toBeLessThan(1.02);
      const size = found.effectiveSampleSize[i]!;
      expect(size).toBeGreaterThan(1000);
      // x² of a normal number has the variance 2 d⁴, and is correlated more than x is: 4 errors.
      expect(Math.abs(moments[i]! - d * d)).toBeLessThan(4 * d * d * Math.sqrt(2 / (size / 2)));
    });
    expect(found.samples.shape).toEqual([400, 16, 2]);
    expect(found.divergences).toBe(0);
    expect(Math.abs(found.acceptance - 0.8)).toBeLessThan(0.1);
    const again = await run(energy);
    expect(again.samples.dataSync()).toEqual(found.samples.dataSync());
    const closer = await run(energy, { acceptance: 0.95 });
    expect(closer.stepSize).toBeLessThan(found.stepSize);
  });

  it('keeps the energy to second order in the step', async () => {
    const refused = async (stepSize: number) =>
      1 - (await run(normal([1, 1]), { stepSize, warmup: 0, steps: 1, samples: 2000 })).acceptance;
    // Of one step of size ε the energy rises by a number of order ε³ whose chance of refusal is.
    const [coarse, fine] = [await refused(0.8), await refused(0.4)];
    expect(coarse / fine).toBeGreaterThan(5);
    expect(coarse / fine).toBeLessThan(12);
  });

  it('refuses steps to where there is no energy, and counts them', async () => {
    const wall: Energy = {
      value: (x) => {
        const first = slice(x, 1, 0, 1);
        const inside = div(relu(first), relu(first)); // NaN on the other side
        return sumPerSample(affine(add(square(x), mul(inside, inside)), 0.5));
      },
      withGradient: (x) => ({ value: wall.value(x), gradient: x }),
    };
    const start = tensor([
      [1, 0],
      [2, 1],
    ]);
    const { samples, divergences } = await run(wall, { start, samples: 200 });
    expect(samples.dataSync().every((v, i) => i % 2 === 1 || v > 0)).toBe(true);
    expect(divergences).toBeGreaterThan(0);
    const outside = tensor([
      [1, 0],
      [-2, 1],
    ]);
    await expect(run(wall, { start: outside })).rejects.toThrow(NonFiniteEnergyError);
    await expect(run(wall, { start: outside })).rejects.toThrow(/not finite for 1 of 2/);
    for (const bad of [{ samples: 3 }, { steps: 0 }, { acceptance: 1 }, { start: tensor([1]) }]) {
      await expect(run(wall, bad)).rejects.toThrow(/expected/);
    }
  });

  it('leaves nothing but its samples', async () => {
    await setBackend('wasm');
    const energy = normal([1, 1]);
    const start = new RandomStream(1).normal([3, 2]);
    const before = memory();
    const { samples } = await run(energy, { start, samples: 5, warmup: 5 });
    expect(memory().liveBytes).toBe(before.liveBytes + 4 * samples.size);
    expect(memory().tensors).toBe(before.tensors + 1);
  });
});

describe('neuTra', () => {
  it('runs in the latent of a flow, where all scales are one', async () => {
    const deviations = [0.01, 10] as const;
    const energy = normal(deviations);
    const network = new ActNorm({ channels: 2 });
    // Not quite the density: the flow is off by a tenth.
    network.scale.assign(tensor(deviations.map((d) => 1.1 / d)));
    const flow = new Flow({ network });
    const options = { samples: 300, warmup: 100, seed: 3 };
    const before = memory().tensors;
    const found = await neuTra(flow, energy, { ...options, shape: [8, 2] });
    expect(memory().tensors).toBe(before + 1);
    const moments = secondMoments(found.samples);
    deviations.forEach((d, i) => {
      expect(found.rHat[i]).toBeLessThan(1.02);
      expect(found.effectiveSampleSize[i]).toBeGreaterThan(800);
      expect(Math.abs(moments[i]! / d ** 2 - 1)).toBeLessThan(0.15);
    });
    const start = flow.sample({ shape: [8, 2], seed: 3 });
    const plain = await hamiltonianMonteCarlo(energy, { ...options, start });
    expect(plain.effectiveSampleSize[1]).toBeLessThan(0.1 * found.effectiveSampleSize[1]!);
  });
});

it('chains find the moments of a banana within three of their errors', async () => {
  await setBackend('wasm');
  const bent = banana({ bend: 0.5, thickness: 1 });
  const network = new Identity();
  const flow = new Flow({ network });
  const options = { shape: [32, 2], samples: 500, warmup: 200, steps: 8, seed: 4 };
  const { samples } = await neuTra(flow, energyOf(bent), options);
  // Of x₁, x₁², x₂ and x₂²: each with the effective size of its own.
  const values = samples.dataSync();
  const numbers = Float32Array.from(
    { length: 2 * values.length },
    (_, i) => values[i >> 1]! ** (1 + (i % 2)),
  );
  const { effectiveSampleSize, rHat } = chainDiagnostics(numbers, { draws: 500, chains: 32 });
  const exact = [0, 1, 0, 1 + 2 * 0.5 ** 2];
  exact.forEach((mean, i) => {
    const own = numbers.filter((_, k) => k % 4 === i);
    const found = own.reduce((a, b) => a + b) / own.length;
    const variance = own.reduce((sum, v) => sum + (v - found) ** 2, 0) / own.length;
    expect(rHat[i]).toBeLessThan(1.05);
    expect(Math.abs(found - mean)).toBeLessThan(3 * Math.sqrt(variance / effectiveSampleSize[i]!));
  });
});

describe('chainDiagnostics', () => {
  /** Chains of xₜ = φ xₜ₋₁ + √(1 − φ²) zₜ, the second number of each state moved by where its chain is. */
  const numbers = (phi: number, draws: number, chains: number, apart = 0) => {
    const z = new RandomStream(4).normalArray(draws * chains);
    const values = new Float64Array(2 * draws * chains);
    for (let i = 0; i < z.length; i++) {
      const before = i < chains ? z[i]! : values[2 * (i - chains)]!;
      const x = i < chains ? z[i]! : phi * before + Math.sqrt(1 - phi ** 2) * z[i]!;
      values.set([x, x + apart * (i % chains)], 2 * i);
    }
    return chainDiagnostics(values, { draws, chains });
  };

  it.each([0, 0.5, 0.9, -0.5])('knows what chains of correlation %d are worth', (phi) => {
    const [draws, chains] = [20_000, 4];
    const { rHat, effectiveSampleSize } = numbers(phi, draws, chains);
    const share = effectiveSampleSize[0]! / (draws * chains);
    const exact = (1 - phi) / (1 + phi);
    expect(share / exact).toBeGreaterThan(0.85);
    expect(share / exact).toBeLessThan(1.15);
    expect(rHat[0]).toBeLessThan(1.01);
    expect(rHat[0]).toBeGreaterThan(0.999);
  });

  it('finds chains that are apart, or do not move', () => {
    const { rHat, effectiveSampleSize } = numbers(0, 1000, 2, 2);
    // Two chains 2 apart: variance 1 within, and 4/3 between their four halves.
    expect(rHat[1]).toBeCloseTo(Math.sqrt(1 + 4 / 3), 1);
    expect(effectiveSampleSize[1]).toBeLessThan(20);
    const still = chainDiagnostics(new Float32Array(12).fill(0.1), { draws: 6, chains: 2 });
    expect(still.rHat[0]).toBe(Number.POSITIVE_INFINITY);
    expect(still.effectiveSampleSize[0]).toBe(0);
  });

  it('refuses what is no chain', () => {
    expect(() => chainDiagnostics(new Float32Array(9), { draws: 5, chains: 2 })).toThrow(
      /got 9 numbers; expected .* of 10 states/,
    );
    expect(() => chainDiagnostics(new Float32Array(3), { draws: 3, chains: 1 })).toThrow(/draws/);
    const bad = Float64Array.of(1, 2, Number.NaN, 4);
    expect(() => chainDiagnostics(bad, { draws: 4, chains: 1 })).toThrow(/number 2 is NaN/);
  });
});
