import { AffineLayer, compose, Identity, isInitialized, Logit, zeroGrad } from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  memory,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bitsPerDim,
  dequantize,
  Flow,
  negativeLogLikelihood,
  VariationalDequantization,
  variationalLoss,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const mean = (values: ArrayLike<number>) =>
  Array.from(values).reduce((a, b) => a + b) / values.length;

/** A model of images of 2 × 2 pixels, off its start. */
const small = () => {
  const random = new RandomStream(1);
  const sizes = { channels: 1, hidden: 3, scales: 1, steps: 1, actnorm: false };
  const flow = new Flow({ network: compose(new Logit(), new Glow(sizes)) });
  const noise = new Flow({ network: new ConditionalGlow({ ...sizes, contextChannels: 1 }) });
  const model = new VariationalDequantization({ flow, noise, levels: 5 });
  for (const p of model.parameters) p.assign(random.normal(p.shape, 0.3));
  return model;
};
const pixels = Uint8Array.of(0, 1, 2, 3, 4, 4, 1, 0, 2, 2, 3, 0);
const shape = [3, 1, 2, 2];

describe('variationalLoss', () => {
  it('is minus the mean of the bound, with the gradients of central differences', () => {
    const model = small();
    const value = () => {
      using bound = model.bound(pixels, { shape, seed: 7 });
      expect(bound.shape).toEqual([3]);
      return -mean(bound.dataSync());
    };
    const kept = () => memory().tensors - model.parameters.filter((p) => p.grad).length;
    zeroGrad(model.parameters);
    const before = kept();
    using loss = variationalLoss(model, pixels, { shape, seed: 7 });
    expect(kept() - before).toBe(1);
    expect(loss.dataSync()[0]).toBeCloseTo(value(), 12);
    for (const p of model.parameters) {
      const values = Array.from(p.data.dataSync());
      const at = (i: number, delta: number) => {
        p.assign(tensor(values.with(i, values[i]! + delta), p.shape));
        return value();
      };
      const gradient = p.grad!.dataSync();
      const h = 1e-5;
      for (const i of new Set([0, values.length - 1])) {
        expect(Math.abs(gradient[i]! - (at(i, h) - at(i, -h)) / (2 * h)), p.name).toBeLessThan(
          1e-7,
        );
        at(i, 0);
      }
    }
  });

  it('sets networks that await data, and trains both: tighter than uniform noise', () => {
    // Always the middle of three levels, which is no news: but a bell has no edges, as uniform noise asks for.
    const middle = new Uint8Array(128).fill(1);
    const shape = [64, 2];
    const make = () => {
      const network = compose(new Logit({ lambda: 0.05 }), new AffineLayer({ channels: 2 }));
      return new Flow({ network });
    };
    const sizes = { channels: 2, contextChannels: 2, ndims: 0, scales: 1, steps: 2, hidden: 8 };
    const noise = new Flow({ network: new ConditionalGlow(sizes) });
    const [flow, model] = [
      make(),
      new VariationalDequantization({ flow: make(), noise, levels: 3 }),
    ];
    const parameters = [...flow.parameters, ...model.parameters];
    const random = new RandomStream(2);
    const bits: { uniform: number[]; variational: number[] } = { uniform: [], variational: [] };
    for (let step = 0; step < 150; step++) {
      zeroGrad(parameters);
      using x = dequantize(middle, shape, random, 3);
      using uniform = negativeLogLikelihood(flow, x);
      using variational = variationalLoss(model, middle, { shape, seed: random });
      if (step >= 120) {
        bits.uniform.push(bitsPerDim(uniform.dataSync()[0]!, 2, 3));
        bits.variational.push(bitsPerDim(variational.dataSync()[0]!, 2, 3));
      }
      for (const p of parameters) {
        const gradient = p.grad!.dataSync();
        p.assign(
          tensor(
            p.data.dataSync().map((v, i) => v - 0.1 * gradient[i]!),
            p.shape,
          ),
        );
      }
    }
    expect(isInitialized(model)).toBe(true);
    expect(mean(bits.variational)).toBeLessThan(mean(bits.uniform) - 0.05);
    expect(mean(bits.variational)).toBeGreaterThan(0);
  });
});

describe('VariationalDequantization', () => {
  it("weighs draws so that they average to the pixels' probability, whatever the noise", () => {
    const affine = (scale: number, shift: number) => {
      const layer = new AffineLayer({ channels: 1 });
      for (const [i, p] of layer.parameters.entries())
        p.assign(tensor([i ? shift : scale], p.shape));
      return layer;
    };
    const flow = new Flow({ network: compose(new Logit(), affine(0.7, 0.4)) });
    const noise = new Flow({ network: affine(0.8, -0.3) });
    const model = new VariationalDequantization({ flow, noise, levels: 4 });
    const [draws, cells] = [20_000, 2000];
    for (const v of [0, 2]) {
      const shape = [draws, 1];
      using bound = model.bound(new Uint8Array(draws).fill(v), { shape, seed: 3 });
      const weights = Array.from(bound.dataSync(), Math.exp);
      const x = tensor(
        Float64Array.from({ length: cells }, (_, i) => (v + (i + 0.5) / cells) / 4),
        [cells, 1],
      );
      const exact = mean(Array.from(flow.logProb(x).dataSync(), Math.exp));
      const error = Math.sqrt(mean(weights.map((w) => (w - exact) ** 2)) / draws);
      expect(error).toBeLessThan(0.02 * exact);
      expect(Math.abs(mean(weights) - exact)).toBeLessThan(3 * error);
      expect(mean(bound.dataSync())).toBeLessThan(Math.log(exact));
    }
  });

  it.each(['float32', 'float64'] as const)('keeps pixels in their level in %s', async (dtype) => {
    await setBackend('reference', { dtype });
    const seen: number[] = [];
    /** Tells the x that it is asked about. */
    class Listening extends Identity {
      protected override apply(x: Tensor) {
        seen.push(...x.dataSync());
        return super.apply(x);
      }
    }
    for (const shift of [-30, 30]) {
      // Its samples are all near the shift: noise of nearly 0, or 1 by rounding.
      const network = new AffineLayer({ channels: 1 });
      network.parameters.at(-1)!.assign(tensor([-shift], network.parameters.at(-1)!.shape));
      const [flow, noise] = [new Flow({ network: new Listening() }), new Flow({ network })];
      const model = new VariationalDequantization({ flow, noise, levels: 49 });
      seen.length = 0;
      const every = Uint8Array.from({ length: 49 }, (_, v) => v);
      using _ = model.bound(every, { shape: [49, 1], seed: 1 });
      expect(seen.map((x) => Math.floor(49 * x))).toEqual(Array.from(every));
    }
  });

  it('refuses what are no flows, levels or pixels', () => {
    const model = small();
    const { flow, noise } = model;
    const make = (options: object) => () => new VariationalDequantization(options as never);
    expect(make({ flow, noise, levels: 1 })).toThrow(/levels is 1/);
    expect(make({ flow: flow.network, noise })).toThrow(ValueError);
    expect(make({ flow, noise, depth: 8 })).toThrow(/no option 'depth'/);
    expect(() => model.bound(Uint8Array.of(5), { shape: [1], seed: 1 })).toThrow(
      /bound: pixel 0 is 5; expected at most 4 for 5 levels/,
    );
    expect(() => variationalLoss(model, pixels, { shape: [5], seed: 1 })).toThrow(ShapeError);
    expect(() => variationalLoss(flow as never, pixels, { shape, seed: 1 })).toThrow(
      /got a Flow; expected a VariationalDequantization/,
    );
  });
});
