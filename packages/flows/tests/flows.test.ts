import {
  ActNorm,
  asConditioner,
  Identity,
  initialize,
  initializeSync,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow, Glow, SummarizedNetwork } from '@invnet/networks';
import {
  add,
  memory,
  RandomStream,
  ShapeError,
  setBackend,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
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
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      expect(() => draw(1, bad)).toThrow(/temperature is .*at least 0/);
      expect(() => draw(-1 * Math.abs(bad))).toThrow(ValueError);
    }
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

describe('a context', () => {
  const random = new RandomStream(3);
  const observation = () => random.normal([1, 3]);

  it('of one observation stands for many samples', async () => {
    const sizes = { channels: 2, contextChannels: 3, ndims: 0, scales: 1, steps: 2, hidden: 4 };
    const network = new ConditionalGlow(sizes);
    const flow = new Flow({ network });
    const one = observation();
    const many = add(zeros([1000, 3]), one);
    await initialize(flow, random.normal([1000, 2]), { context: many });
    const draw = (context: typeof one) => flow.sample({ shape: [1000, 2], seed: 4, context });
    const samples = draw(one);
    expect(samples.dataSync()).toEqual(draw(many).dataSync());
    expect(flow.logProb(samples, one).dataSync()).toEqual(flow.logProb(samples, many).dataSync());
    const loss = (context: typeof one) => {
      zeroGrad(flow.parameters);
      const value = negativeLogLikelihood(flow, samples, context).dataSync();
      return [value, ...flow.parameters.map((p) => p.grad?.dataSync())];
    };
    expect(loss(one)).toEqual(loss(many));
    expect(() => flow.logProb(samples, random.normal([2, 3]))).toThrow(ShapeError);
  });

  it('that nothing uses is an error, wherever it is given', async () => {
    const network = new Glow({ channels: 2, ndims: 0, scales: 1, steps: 1, hidden: 2 });
    const flow = new Flow({ network });
    const [x, context] = [random.normal([4, 2]), observation()];
    const before = memory().tensors;
    await expect(initialize(flow, x, { context })).rejects.toThrow(/nothing here uses one/);
    const calls = [
      () => initializeSync(network, x, { context }),
      () => flow.logProb(x, context),
      () => flow.sample({ shape: [4, 2], seed: 1, context }),
      () => negativeLogLikelihood(flow, x, context),
      () => new Flow({ network: new Identity() }).logProb(x, context),
    ];
    for (const call of calls) expect(call).toThrow(/nothing here uses one/);
    expect(memory().tensors).toBe(before);
    const summary = asConditioner(new Identity());
    expect(() => new SummarizedNetwork({ network, summary })).toThrow(/uses no context/);
  });
});

describe('quantized data', () => {
  /** Noise of one size for every pixel: the largest there is, none, or some. */
  class Noise extends RandomStream {
    readonly #noise: number;

    constructor(noise: number) {
      super(0);
      this.#noise = noise;
    }

    override uniformArray(size: number): Float64Array<ArrayBuffer> {
      return new Float64Array(size).fill(this.#noise);
    }
  }

  it.each(['float32', 'float64'] as const)('stay within their level in %s', async (dtype) => {
    await setBackend('reference', { dtype });
    for (const levels of [2, 3, 10, 32, 49, 255, 256, 382, 1000, 4096, 2 ** 16]) {
      const pixels = Uint16Array.from({ length: levels }, (_, v) => v);
      for (const noise of [0, 1 - 2 ** -24, 0.5]) {
        const x = dequantize(pixels, [levels], new Noise(noise), levels).dataSync();
        expect(Uint16Array.from(x, (v) => Math.floor(levels * v))).toEqual(pixels);
        const product = x.map((v) => levels * v);
        expect(Uint16Array.from(product, Math.floor)).toEqual(pixels);
        expect(x.every((v) => v >= 0 && v < 1)).toBe(true);
      }
    }
  });

  it('are the noise of a seed, bytes by default', async () => {
    await setBackend('wasm');
    const bytes = Uint8ClampedArray.from({ length: 256 }, (_, v) => v);
    const x = dequantize(bytes, [16, 16], new RandomStream(3)).dataSync();
    const u = new RandomStream(3).uniformArray(256);
    x.forEach((v, i) => {
      expect(v).toBe(Math.fround((u[i]! + i) / 256));
    });
    expect(() => dequantize(bytes, [5], new RandomStream(3))).toThrow(ShapeError);
  });

  it('refuse what is no pixel of one of the levels', () => {
    const random = new RandomStream(1);
    const scan = Uint16Array.of(0, 17, 4095, 5000);
    expect(() => dequantize(scan, [4], random)).toThrow(/pixel 2 is 4095; expected at most 255/);
    expect(() => dequantize(scan, [4], random, 4096)).toThrow(/pixel 3 is 5000.*4096 levels/);
    expect(() => dequantize(Uint8Array.of(3, 32), [2], random, 32)).toThrow(/pixel 1 is 32/);
    for (const wrong of [new Float32Array(2), new Int16Array(2), [1, 2], null, 'ab']) {
      expect(() => dequantize(wrong as never, [2], random)).toThrow(/expected a Uint8Array/);
    }
    for (const levels of [1, 2.5, Number.NaN, 2 ** 16 + 1, '256' as unknown as number]) {
      expect(() => dequantize(Uint8Array.of(0), [1], random, levels)).toThrow(ValueError);
    }
    expect(() => dequantize(Uint8Array.of(0), [1], 7 as never)).toThrow(/RandomStream/);
    expect(random.state.block).toBe(0);
  });

  it('of 5 bits fill [0, 1), and cost 5 under the uniform density that made them', () => {
    const pixels = Uint8Array.from({ length: 4096 }, (_, i) => i % 32);
    const x = dequantize(pixels, [4096, 1], new RandomStream(1), 32).dataSync();
    expect(Math.max(...x)).toBeGreaterThan(0.999);
    expect(x.reduce((a, b) => a + b) / 4096).toBeCloseTo(0.5, 2);
    expect(bitsPerDim(-Math.log(1), 1, 32)).toBe(5);
  });

  it('cost 8 bits per dimension under the uniform density', () => {
    expect(bitsPerDim(0, 784)).toBe(8);
    expect(bitsPerDim(784 * Math.LN2, 784)).toBe(9);
    expect(bitsPerDim(0, 1, 32)).toBe(5);
    for (const bad of [Number.NaN, 0.5, -1, Number.POSITIVE_INFINITY, undefined] as number[]) {
      expect(() => bitsPerDim(0, bad)).toThrow(/dims is/);
      if (bad !== undefined) expect(() => bitsPerDim(0, 1, bad)).toThrow(/levels is/);
      if (!Number.isFinite(bad)) expect(() => bitsPerDim(bad, 1)).toThrow(/nats is/);
    }
  });
});
