import { ActNorm, initialize, zeroGrad } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { memory, RandomStream, ShapeError, setBackend, tensor, ValueError } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { bitsPerDim, dequantize, Flow, negativeLogLikelihood } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const smallFlow = async () => {
  const network = new Glow({ channels: 1, hidden: 3, scales: 1, steps: 2, ndims: 1 });
  await initialize(network, new RandomStream(1).normal([8, 1, 2]));
  return new Flow({ network });
};

describe('Flow', () => {
  it('has a density that integrates to one', async () => {
    const flow = await smallFlow();
    const [n, reach] = [200, 8];
    const step = (2 * reach) / n;
    const grid: number[] = [];
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) grid.push(-reach + step * (i + 0.5), -reach + step * (j + 0.5));
    }
    const logProb = flow.logProb(tensor(grid, [n * n, 1, 2])).dataSync();
    const mass = Array.from(logProb).reduce((sum, l) => sum + Math.exp(l) * step * step, 0);
    expect(mass).toBeCloseTo(1, 3);
  });

  it('knows the density of an affine map of a normal distribution', () => {
    const norm = new ActNorm({ channels: 1 });
    norm.scale.assign(tensor([0.5]));
    norm.shift.assign(tensor([1]));
    const flow = new Flow({ network: norm });
    const x = 3;
    const z = 0.5 * x + 1;
    const expected = -0.5 * z * z - 0.5 * Math.log(2 * Math.PI) + Math.log(0.5);
    expect(flow.logProb(tensor([x], [1, 1, 1])).dataSync()[0]).toBeCloseTo(expected, 12);
  });

  it('samples by seed, and closer to the mode at a lower temperature', async () => {
    const flow = await smallFlow();
    const draw = (seed: number, temperature = 1) =>
      flow.sample({ shape: [50, 1, 2], seed, temperature }).dataSync();
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    const spread = (v: ArrayLike<number>) => {
      const values = Array.from(v);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return values.reduce((a, b) => a + (b - mean) ** 2, 0);
    };
    expect(spread(draw(1, 0.1))).toBeLessThan(spread(draw(1)));
    expect(() => draw(1, -1)).toThrow(ValueError);
  });

  it('has a loss whose gradient is that of central differences', async () => {
    const flow = await smallFlow();
    const x = new RandomStream(2).normal([4, 1, 2]);
    const loss = () => {
      using logProb = flow.logProb(x);
      return -Array.from(logProb.dataSync()).reduce((a, b) => a + b, 0) / 4;
    };
    zeroGrad(flow.parameters);
    const before = memory().tensors - flow.parameters.filter((p) => p.grad).length;
    using value = negativeLogLikelihood(flow, x);
    expect(value.dataSync()[0]).toBeCloseTo(loss(), 12);
    expect(memory().tensors - flow.parameters.filter((p) => p.grad).length - before).toBe(1);
    for (const p of flow.parameters) {
      const values = Array.from(p.data.dataSync());
      const at = (delta: number) => {
        p.assign(tensor([values[0]! + delta, ...values.slice(1)], p.shape));
        return loss();
      };
      const h = 1e-5;
      const expected = (at(h) - at(-h)) / (2 * h);
      at(0);
      expect(p.grad!.dataSync()[0]).toBeCloseTo(expected, 7);
    }
  });
});

describe('quantized data', () => {
  it('is dequantized within its level', () => {
    const bytes = Uint8Array.from([0, 1, 128, 255]);
    const x = dequantize(bytes, [4], new RandomStream(3)).dataSync();
    expect(Array.from(x, (v) => Math.floor(v * 256))).toEqual([0, 1, 128, 255]);
    expect(() => dequantize(bytes, [5], new RandomStream(3))).toThrow(ShapeError);
  });

  it('costs 8 bits per dimension under the uniform density', () => {
    expect(bitsPerDim(0, 784)).toBe(8);
    expect(bitsPerDim(784 * Math.LN2, 784)).toBe(9);
  });
});
