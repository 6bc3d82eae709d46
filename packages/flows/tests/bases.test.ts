/** All base distributions: gradients, mass, samples, shapes and memory; and flows of them. */
import {
  ActNorm,
  AffineLayer,
  Conv,
  freeze,
  GlowCoupling,
  Identity,
  initialize,
  keeping,
  type Parameter,
  Sequential,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow } from '@invnet/networks';
import {
  add,
  affine,
  full,
  memory,
  mul,
  RandomStream,
  resetPeakMemory,
  type Shape,
  ShapeError,
  setBackend,
  sum,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type BaseDistribution,
  ClassConditional,
  ConditionalNormal,
  Flow,
  MixtureFlow,
  MultivariateNormal,
  Normal,
  NormalMixture,
  negativeLogLikelihood,
  oneHot,
  StandardNormal,
  StudentT,
  Uniform,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

interface Sizes {
  readonly channels: number;
  readonly size?: Shape;
}

interface Row {
  make(sizes: Sizes, random: RandomStream): BaseDistribution;
  context?(samples: number, random: RandomStream): Tensor;
  /** Have samples a gradient? With these frozen, where not for all parameters. */
  readonly pathwise: boolean | string;
  /** Does it take images with parameters per channel? */
  readonly images: boolean;
}

const affineFlow = (channels: number) =>
  new Flow({
    network: new Sequential([new ActNorm({ channels }), new AffineLayer({ channels })]),
    base: new StudentT({ channels, degrees: 4 }),
  });
const labels = (samples: number, random: RandomStream) =>
  oneHot(random.uniformArray(samples, 0, 3).map(Math.floor), 3);

const rows: Record<string, Row> = {
  StandardNormal: { make: () => new StandardNormal(), pathwise: true, images: true },
  Normal: { make: (sizes) => new Normal(sizes), pathwise: true, images: true },
  'Normal, frozen': {
    make: (sizes) => new Normal({ ...sizes, mean: 0.5, deviation: 0.7, frozen: true }),
    pathwise: true,
    images: true,
  },
  MultivariateNormal: {
    make: (sizes) => new MultivariateNormal(sizes),
    pathwise: true,
    images: true,
  },
  Uniform: { make: () => new Uniform({ low: -4, high: 5 }), pathwise: true, images: true },
  NormalMixture: {
    make: (sizes, random) => new NormalMixture({ ...sizes, components: 3, spread: 2, random }),
    pathwise: false,
    images: false,
  },
  StudentT: {
    make: (sizes) => new StudentT({ ...sizes, degrees: 3, scale: 0.8 }),
    pathwise: 'logDegrees',
    images: true,
  },
  ClassConditional: {
    make: (sizes, random) => new ClassConditional({ ...sizes, classes: 3, spread: 1, random }),
    context: labels,
    pathwise: true,
    images: true,
  },
  ConditionalNormal: {
    make: ({ channels }, random) =>
      new ConditionalNormal({ channels, contextChannels: 3, ndims: 0, hidden: 4, random }),
    context: (samples, random) => random.normal([samples, 3]),
    pathwise: true,
    images: true,
  },
  MixtureFlow: {
    make: ({ channels }, random) =>
      new MixtureFlow({
        components: [
          new Normal({ channels }),
          affineFlow(channels),
          new ConditionalNormal({ channels, contextChannels: 3, ndims: 0, hidden: 4, random }),
        ],
      }),
    context: (samples, random) => random.normal([samples, 3]),
    pathwise: false,
    images: false,
  },
};

/** A base off its start. */
function made(row: Row, sizes: Sizes, random: RandomStream): BaseDistribution {
  const base = row.make(sizes, random);
  for (const p of base.parameters) {
    // Weights of mixtures far apart, so that one drawn wrongly shows.
    const spread = p.name === 'logits' ? 1.5 : 0.3;
    if (!p.frozen) p.assign(add(p.data, random.normal(p.shape, spread)));
  }
  return base;
}

/** Shapes that the row takes, and z of them. */
const shapes = (row: Row) =>
  fc
    .record({
      channels: fc.integer({ min: 1, max: 3 }),
      samples: fc.integer({ min: 1, max: 4 }),
      space: row.images
        ? fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 })
        : fc.constant([]),
      each: fc.boolean(),
      seed: fc.nat(1000),
    })
    .map(({ channels, samples, space, each, seed }) => ({
      // Conditioners that give vectors have no entries for positions.
      sizes: each ? { channels, size: space } : { channels },
      shape: [samples, channels, ...space],
      seed,
    }));

/** The derivative of f along a direction of a tensor that `assign` moves. */
function along(start: Tensor, direction: Tensor, assign: (t: Tensor) => void, f: () => number) {
  const h = 1e-5;
  const at = (step: number) => {
    assign(add(start, affine(direction, step)));
    return f();
  };
  const [above, below] = [at(h), at(-h)];
  assign(start);
  return (above - below) / (2 * h);
}

const number = (t: Tensor) => t.dataSync()[0]!;
const dot = (a: Tensor, b: Tensor) => tidy(() => number(sum(mul(a, b))));
const close = (found: number, expected: number, what: string) =>
  expect(Math.abs(found - expected) / (1 + Math.abs(expected)), what).toBeLessThan(1e-6);

/** Compares gradients of f with differences, for tensors that are moved and those of parameters. */
function compare(
  f: () => number,
  moved: readonly { name: string; at: Tensor; grad: Tensor; assign: (t: Tensor) => void }[],
  parameters: readonly Parameter[],
  random: RandomStream,
): void {
  const ofParameters = parameters.map((p) => ({
    name: p.name,
    at: add(p.data, zerosLike(p.data)),
    grad: p.grad ?? zerosLike(p.data),
    assign: (t: Tensor) => p.assign(t),
  }));
  for (const { name, at, grad, assign } of [...moved, ...ofParameters]) {
    const direction = random.normal(at.shape);
    close(dot(grad, direction), along(at, direction, assign, f), name);
  }
}

describe.each(Object.entries(rows))('%s', (_, row) => {
  it('has the gradients of its density, for z, the context and its parameters', () => {
    fc.assert(
      fc.property(shapes(row), ({ sizes, shape, seed }) => {
        const random = new RandomStream(seed);
        const base = made(row, sizes, random);
        const before = memory().tensors;
        tidy(() => {
          let [z, weights] = [random.normal(shape, 0.8), random.normal([shape[0]!])];
          let context = row.context?.(shape[0]!, random);
          const { logProb } = base.backward(z, weights, context);
          expect(logProb.dataSync()).toEqual(base.logProb(z, context).dataSync());
          // Gradients accumulate.
          const { dz, dcontext } = base.backward(z, weights, context);
          for (const p of base.parameters) if (p.grad) p.attachGrad(affine(p.grad, 0.5));
          const f = () => dot(base.logProb(z, context), weights);
          const moved = [{ name: 'z', at: z, grad: dz, assign: (t: Tensor) => (z = t) }];
          if (context) {
            moved.push({
              name: 'context',
              at: context,
              grad: dcontext!,
              assign: (t: Tensor) => (context = t),
            });
          } else expect(dcontext).toBeUndefined();
          const trained = base.parameters.filter((p) => !p.frozen);
          compare(f, moved, trained, random);
        });
        zeroGrad(base.parameters);
        expect(memory().tensors).toBe(before);
        base.dispose();
      }),
      { numRuns: 12, seed: 3 },
    );
  });

  it('has samples that move with its parameters and context, or says that it has none', () => {
    fc.assert(
      fc.property(shapes(row), ({ sizes, shape, seed }) => {
        const random = new RandomStream(seed);
        const base = made(row, sizes, random);
        tidy(() => {
          const weights = random.normal(shape);
          let context = row.context?.(shape[0]!, random);
          const draw = () =>
            base.sample(shape, { random: new RandomStream(seed), temperature: 0.8, context });
          const z = draw();
          const back = () => base.backwardSample(z, weights, context);
          if (row.pathwise !== true) {
            expect(back).toThrow(/gradient/);
            if (typeof row.pathwise !== 'string') return;
            freeze(base, row.pathwise);
          }
          const { dcontext } = back();
          const moved = context
            ? [
                {
                  name: 'context',
                  at: context,
                  grad: dcontext!,
                  assign: (t: Tensor) => (context = t),
                },
              ]
            : [];
          const trained = base.parameters.filter((p) => !p.frozen);
          compare(() => dot(draw(), weights), moved, trained, random);
        });
        base.dispose();
      }),
      { numRuns: 8, seed: 4 },
    );
  });

  it('integrates to one, and is what it samples from', () => {
    const random = new RandomStream(5);
    const base = made(row, { channels: 2 }, random);
    const context = row.context?.(1, random);
    // z = 2 tan(πu/2) for u of a grid, so that tails are in it.
    const n = 160;
    const u = Float64Array.from({ length: n }, (_, i) => (2 * i + 1) / n - 1);
    const at = u.map((v) => 2 * Math.tan((Math.PI / 2) * v));
    const cell = u.map((v) => (2 * Math.PI) / (n * Math.cos((Math.PI / 2) * v) ** 2));
    const grid = Float64Array.from({ length: 2 * n * n }, (_, k) =>
      k % 2 === 0 ? at[Math.floor(k / (2 * n))]! : at[(k >> 1) % n]!,
    );
    const density = tidy(() => base.logProb(tensor(grid, [n * n, 2]), context).dataSync());
    const mass = Float64Array.from(
      density,
      (l, k) => Math.exp(l) * cell[Math.floor(k / n)]! * cell[k % n]!,
    );
    // What has a jump is integrated less well.
    const digits = base instanceof Uniform ? 1 : 3;
    expect(mass.reduce((a, b) => a + b)).toBeCloseTo(1, digits);
    const count = 4000;
    const drawn = tidy(() =>
      base.sample([count, 2], { random: new RandomStream(6), context }).dataSync(),
    );
    const bounded: ((a: number, b: number) => number)[] = [
      (a) => Math.tanh(a),
      (_, b) => Math.tanh(b),
      (a) => Math.tanh(a) ** 2,
      (_, b) => Math.tanh(b) ** 2,
      (a, b) => Math.tanh(a) * Math.tanh(b),
    ];
    for (const g of bounded) {
      const expected = mass.reduce(
        (total, m, k) => total + m * g(grid[2 * k]!, grid[2 * k + 1]!),
        0,
      );
      let found = 0;
      for (let i = 0; i < count; i++) found += g(drawn[2 * i]!, drawn[2 * i + 1]!) / count;
      expect(Math.abs(found - expected), String(g)).toBeLessThan(
        base instanceof Uniform ? 0.06 : 0.04,
      );
    }
    base.dispose();
  });

  it('is the same on wasm, and refuses what does not fit', async () => {
    const results = async (name: 'wasm' | 'reference') => {
      await setBackend(name);
      const random = new RandomStream(7);
      const base = made(row, { channels: 2 }, random);
      const [z, w] = [random.normal([5, 2]), random.normal([5])];
      const context = row.context?.(1, random);
      const { dz, logProb } = base.backward(z, w, context);
      const drawn = base.sample([5, 2], { random, context });
      return [dz, logProb, drawn, ...base.parameters.flatMap((p) => p.grad ?? [])].map((t) =>
        Array.from(t.dataSync()),
      );
    };
    const [wasm, reference] = [await results('wasm'), await results('reference')];
    for (const [i, values] of wasm.entries()) {
      for (const [j, v] of values.entries()) {
        expect(Math.abs(v - reference[i]![j]!) / (1 + Math.abs(v))).toBeLessThan(2e-5);
      }
    }
    const random = new RandomStream(8);
    const base = made(row, { channels: 2 }, random);
    const context = row.context?.(3, random);
    const z = random.normal([3, 2]);
    if (base.parameters.length > 0) {
      expect(() => base.logProb(random.normal([3, 4]), context)).toThrow(ShapeError);
      expect(() => base.sample([3, 4], { random, context })).toThrow(ShapeError);
    }
    expect(() => base.backward(z, random.normal([2]), context)).toThrow(/dlogProb is \[2\]/);
    expect(() => base.sample([3, 2], { random, context, temperature: -1 })).toThrow(ValueError);
    if (context) {
      expect(() => base.logProb(z)).toThrow(/no context/);
      expect(() => base.logProb(z, random.normal([2, 3]))).toThrow(ShapeError);
      expect(() => base.logProb(z, random.normal([3, 9]))).toThrow(ShapeError);
    } else expect(() => base.logProb(z, random.normal([3, 3]))).toThrow(/uses none/);
  });
});

describe('a base', () => {
  it('of a full covariance has the density of the matrix, for channels at each position', () => {
    const base = new MultivariateNormal({
      channels: 2,
      mean: [1, 2],
      factor: [
        [2, 0],
        [1, 0.5],
      ],
    });
    // Σ = [[4, 2], [2, 1.25]], det 1
    const z = tensor([2, 0, 1, 3], [1, 2, 2]);
    const quadratic = (a: number, b: number) => 1.25 * a * a - 4 * a * b + 4 * b * b;
    const expected = [
      [1, -1],
      [-1, 1],
    ].reduce((s, [a, b]) => s - 0.5 * quadratic(a!, b!) - Math.log(2 * Math.PI), 0);
    expect(number(base.logProb(z))).toBeCloseTo(expected, 10);
    for (const factor of [
      [[1, 0]],
      [
        [1, 2],
        [0, 1],
      ],
      [
        [0, 0],
        [0, 1],
      ],
    ]) {
      expect(() => new MultivariateNormal({ channels: 2, factor })).toThrow(ValueError);
    }
  });

  it('of a box has no density outside, of the channels bounds of their own', () => {
    const box = new Uniform({ low: [0, -1], high: [2, 1] });
    const z = tensor([0, -1, 1, 0, 2.1, 0, 1, -2], [4, 2]);
    const inside = -Math.log(4);
    expect(Array.from(box.logProb(z).dataSync())).toEqual([inside, inside, -Infinity, -Infinity]);
    expect(() => box.logProb(zerosLike(full([2, 3], 0)))).toThrow(/2 channels/);
    expect(() => box.sample([2, 2], { random: new RandomStream(1), temperature: 2 })).toThrow(
      /at most 1/,
    );
    expect(() => new Uniform({ low: [0, 0], high: [1, 1, 1] })).toThrow(/as many/);
    expect(() => new Uniform({ low: 1, high: 1 })).toThrow(/below high/);
  });

  it('of tails has the density of Student, whose logarithm of Γ is right to rounding', () => {
    for (const degrees of [0.2, 1, 2.5, 40, 1e4]) {
      const base = new StudentT({ channels: 1, degrees });
      const at = (z: number) => number(base.logProb(tensor([z], [1, 1])));
      // Γ by its recursion far out; ν = 1 is Cauchy's.
      const logGamma = (x: number): number =>
        x > 50
          ? (x - 0.5) * Math.log(x) -
            x +
            0.5 * Math.log(2 * Math.PI) +
            1 / (12 * x) -
            1 / (360 * x ** 3)
          : logGamma(x + 1) - Math.log(x);
      const constant =
        logGamma((degrees + 1) / 2) - logGamma(degrees / 2) - 0.5 * Math.log(Math.PI * degrees);
      expect(at(0)).toBeCloseTo(constant, 10);
      expect(at(3)).toBeCloseTo(constant - ((degrees + 1) / 2) * Math.log1p(9 / degrees), 10);
    }
  });

  it('of tails has the density and the slope of its degrees to rounding in float32, however many', async () => {
    const at = (degrees: number) => {
      const base = new StudentT({ channels: 1, degrees });
      const z = tensor([0.5, -3, 0], [3, 1]);
      const logProb = Array.from(base.logProb(z).dataSync());
      base.backward(z, tensor([1, 1, 1], [3]));
      return [...logProb, base.logDegrees.grad!.dataSync()[0]!];
    };
    const all = [0.5, 4, 30, 1e4, 1e6, 1e9];
    const exact = all.map(at);
    try {
      await setBackend('wasm');
      all.map(at).forEach((numbers, k) => {
        numbers.forEach((found, i) => {
          const expected = exact[k]![i]!;
          expect(Math.abs(found - expected)).toBeLessThan(1e-5 * (1 + Math.abs(expected)));
        });
      });
    } finally {
      await setBackend('reference', { dtype: 'float64' });
    }
    // Of so many degrees it is the normal distribution.
    expect(exact.at(-1)![0]).toBeCloseTo(-0.125 - 0.5 * Math.log(2 * Math.PI), 8);
  });

  it('takes what an image of a context says, position by position', () => {
    const random = new RandomStream(2);
    const base = new ConditionalNormal({
      channels: 1,
      conditioner: new Conv({ inChannels: 2, outChannels: 2, random }),
    });
    const [z, context] = [random.normal([2, 1, 3, 3]), random.normal([2, 2, 3, 3])];
    let moved = z;
    const { dz, dcontext } = base.backward(z, full([2], 1), context);
    expect(dcontext!.shape).toEqual(context.shape);
    const f = () => number(sum(base.logProb(moved, context)));
    compare(
      f,
      [{ name: 'z', at: z, grad: dz, assign: (t) => (moved = t) }],
      base.parameters,
      random,
    );
    expect(() => base.logProb(random.normal([2, 1, 4, 4]), context)).toThrow(ShapeError);
  });

  it('of classes takes labels', () => {
    expect(Array.from(oneHot(Uint8Array.of(2, 0), 3).dataSync())).toEqual([0, 0, 1, 1, 0, 0]);
    for (const bad of [[3], [-1], [0.5], [], [Number.NaN]]) {
      expect(() => oneHot(bad, 3)).toThrow(ValueError);
    }
  });
});

describe('a flow', () => {
  const random = new RandomStream(9);

  it('passes its context to the network, the base or both, and adds up their gradients', async () => {
    const sizes = { channels: 2, contextChannels: 3, ndims: 0, hidden: 4 };
    const conditional = () => new ConditionalGlow({ ...sizes, scales: 1, steps: 1 });
    const plain = () => new Sequential([new ActNorm({ channels: 2 })]);
    const base = () => new ConditionalNormal(sizes);
    for (const flow of [
      new Flow({ network: conditional(), base: base() }),
      new Flow({ network: plain(), base: base() }),
      new Flow({ network: conditional() }),
    ]) {
      const x = random.normal([4, 2]);
      let context = random.normal([1, 3]);
      await initialize(flow, x, { context });
      const before = memory().tensors;
      tidy(() => {
        let moved = x;
        const { z } = flow.forward(x, context);
        const weights = random.normal([4]);
        const { x: again, dx, dcontext } = flow.backward(z, weights, context);
        again.dataSync().forEach((v, i) => {
          expect(v).toBeCloseTo(x.dataSync()[i]!, 10);
        });
        const f = () => dot(flow.logProb(moved, context), weights);
        const ends = [
          { name: 'x', at: x, grad: dx, assign: (t: Tensor) => (moved = t) },
          { name: 'context', at: context, grad: dcontext!, assign: (t: Tensor) => (context = t) },
        ];
        compare(f, ends, flow.parameters, random);
        const gradients = flow.parameters.map((p) => p.grad && affine(p.grad, 1));
        zeroGrad(flow.parameters);
        flow.backward(z, full([4], -1 / 4), context);
        const expected = flow.parameters.map((p) => p.grad?.dataSync());
        zeroGrad(flow.parameters);
        negativeLogLikelihood(flow, x, context);
        expect(flow.parameters.map((p) => p.grad?.dataSync())).toEqual(expected);
        expect(gradients).toHaveLength(flow.parameters.length);
        expect(flow.sample({ shape: [4, 2], seed: 1, context }).shape).toEqual([4, 2]);
      });
      zeroGrad(flow.parameters);
      expect(memory().tensors).toBe(before);
      flow.dispose();
    }
  });

  const component = (seed: number, hidden = 8) => {
    const random = new RandomStream(seed);
    const step = () =>
      new Sequential([
        new ActNorm({ channels: 2 }),
        new GlowCoupling({ channels: 2, hidden, ndims: 0, random }),
      ]);
    return new Flow({ network: new Sequential([step(), step()]) });
  };
  const mixture = (count: number, hidden?: number) => {
    const components = Array.from({ length: count }, (_, seed) => component(seed, hidden));
    return new Flow({ network: new Identity(), base: new MixtureFlow({ components }) });
  };

  it('of a mixture is initialized, keeps, and is the mean of its components', async () => {
    const flow = mixture(3);
    const x = random.normal([16, 2], 3);
    await initialize(flow, x);
    const base = flow.base as MixtureFlow;
    const densities = base.components.map((c) => c.logProb(x).dataSync());
    flow
      .logProb(x)
      .dataSync()
      .forEach((found, n) => {
        const mean = densities.reduce((s, d) => s + Math.exp(d[n]!) / 3, 0);
        expect(found).toBeCloseTo(Math.log(mean), 10);
      });
    // Set by the data: the first components' outputs have deviation 1.
    const norm = base.components[0]!.parameters[0]!;
    expect(Math.abs(norm.data.dataSync()[0]!)).toBeLessThan(0.6);
    const gradients = (run: () => Tensor) => {
      zeroGrad(flow.parameters);
      run().dispose();
      return flow.parameters.map((p) => p.grad?.dataSync());
    };
    const plain = gradients(() => negativeLogLikelihood(flow, x));
    const kept = gradients(() => keeping('inputs', () => negativeLogLikelihood(flow, x)));
    plain.forEach((g, i) => {
      g?.forEach((v, j) => {
        expect(kept[i]![j]).toBeCloseTo(v, 10);
      });
    });
  });

  it('of a mixture has no density, and no share, where no component has one', () => {
    const low = new Uniform({ low: 0, high: 1 });
    const base = new MixtureFlow({ components: [low, new Uniform({ low: 0.5, high: 2 })] });
    const z = tensor([0.7, 0.2, 5], [3, 1]);
    const expected = [0.5 + 0.5 / 1.5, 0.5, 0].map(Math.log);
    base
      .logProb(z)
      .dataSync()
      .forEach((found, n) => {
        expect(found).toBeCloseTo(expected[n]!, 12);
      });
    base.backward(z, tensor([1, 1, 0], [3]));
    // Each share less ½: the one of the third, whose weight is 0, is none.
    const shares = [0.5 / (0.5 + 0.5 / 1.5), 1];
    const slope = shares.reduce((sum, share) => sum + share - 0.5, 0);
    expect(base.logits.grad!.dataSync()[0]).toBeCloseTo(slope, 12);
  });

  it('of a mixture is trained with the memory of one component, and a latent of each', () => {
    const peakOf = (count: number) => {
      const flow = mixture(count, 64);
      const x = random.normal([64, 2]);
      negativeLogLikelihood(flow, x).dispose();
      const { liveBytes } = memory();
      resetPeakMemory();
      negativeLogLikelihood(flow, x).dispose();
      expect(memory().liveBytes).toBe(liveBytes);
      const peak = memory().peakBytes - liveBytes;
      x.dispose();
      flow.dispose();
      zeroGrad(flow.parameters);
      return peak;
    };
    // Of each a latent of 2 numbers a sample, beside log-densities and responsibilities; a hidden state has 64.
    const each = 64 * (2 + 10) * 8;
    expect(peakOf(8)).toBeLessThan(peakOf(2) + 6 * each);
  });
});
