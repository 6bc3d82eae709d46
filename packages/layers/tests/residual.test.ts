import {
  full,
  getBackend,
  memory,
  neg,
  RandomStream,
  resetPeakMemory,
  ShapeError,
  setBackend,
  sub,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Bijection,
  copyModule,
  InvertibleResidual,
  type InvertibleResidualOptions,
  type Keep,
  keeping,
  LipSwish,
  LipschitzActivation,
  LipschitzBlock,
  type LipschitzLayer,
  lipschitzBlock,
  Permutation,
  Planar,
  Radial,
  Sequential,
  SpectralConv,
  SpectralDense,
  Sylvester,
  TrainingStep,
  updateLipschitz,
  zeroGrad,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const gap = (a: Tensor, b: Tensor) => Math.max(...numbers(sub(a, b)).map(Math.abs));
const random = () => new RandomStream(3);
const dense = (options: object = {}) =>
  lipschitzBlock({ channels: 3, hidden: [8], random: random(), ...options });

/** Weights beyond their bound, so that the norm matters. */
function enlarge(layer: { readonly inner: readonly LipschitzLayer[] }, deviation: number): void {
  const stream = new RandomStream(5);
  for (const { parameters } of layer.inner) {
    for (const p of parameters) if (p.size > 1) p.assign(stream.normal(p.shape, deviation));
  }
}

describe('the inverse of InvertibleResidual', () => {
  it.each([
    ['float64', 1e-12],
    ['float32', 1e-6],
  ] as const)('is one in %s', async (dtype, tolerance) => {
    await setBackend('reference', { dtype });
    const block = lipschitzBlock({ channels: 2, hidden: [4], size: [4, 3], random: random() });
    enlarge(block, 1);
    updateLipschitz(block, { iterations: 50 });
    const f = new InvertibleResidual({ block });
    const x = random().normal([2, 2, 4, 3]);
    expect(gap(f.inverse(f.forward(x).y).x, x)).toBeLessThan(tolerance);
  });

  it('does not converge where the norms are not those of the weights, and says so', () => {
    const layer = new SpectralDense({ inChannels: 2, outChannels: 2 });
    const [a, b] = numbers(layer.direction.data) as [number, number];
    // Threefold along a direction that is nearly across the one that is known.
    const p = [b + 0.01 * a, -a + 0.01 * b] as const;
    layer.w.assign(
      tensor([3 * p[0] * p[0], 3 * p[0] * p[1], 3 * p[1] * p[0], 3 * p[1] * p[1]], [2, 2]),
    );
    const block = new LipschitzBlock({ layers: [layer] });
    const f = new InvertibleResidual({ block, maxIterations: 60 });
    const y = tensor([p[0], p[1]], [1, 2]);
    expect(() => f.inverse(y)).toThrow(/after 60 iterations .* to 3.00 of .* updateLipschitz/);
    updateLipschitz(f);
    const { x } = new InvertibleResidual({ block }).inverse(y);
    expect(gap(f.forward(x).y, y)).toBeLessThan(1e-12);
  });

  it('knows the norm of weights that were zero', () => {
    const layer = new SpectralDense({ inChannels: 2, outChannels: 2 });
    layer.w.assign(zeros([2, 2]));
    updateLipschitz(layer);
    layer.w.assign(tensor([3, 0, 0, 4], [2, 2]));
    updateLipschitz(layer, { iterations: 60 });
    expect(numbers(layer.norm())[0]!).toBeCloseTo(4, 10);
  });

  it('of numbers that are none is none', () => {
    const f = new InvertibleResidual({ block: dense() });
    const { x } = f.inverse(tensor([Number.NaN, 1, 2], [1, 3]));
    expect(numbers(x).every(Number.isNaN)).toBe(true);
  });
});

describe('estimates of the log-determinant', () => {
  const draws = 200;
  const x = () => tensor([[0.5, -0.3, 0.8]]);
  const estimators: [string, Partial<InvertibleResidualOptions>][] = [
    ['series', { logdet: 'series', terms: 12, samples: 2 }],
    ['roulette', { logdet: 'roulette', terms: 1 }],
    ['roulette, Poisson', { logdet: 'roulette', terms: 1, distribution: 'poisson', rate: 1.5 }],
  ];

  /** All terms of the series have one sign, so that none may be missing. */
  function shrinking(): LipschitzBlock {
    const layer = new SpectralDense({ inChannels: 3, outChannels: 3 });
    layer.w.assign(tensor([-0.5, 0.05, 0, 0.1, -0.5, 0.05, 0, -0.05, -0.45], [3, 3]));
    return new LipschitzBlock({ layers: [layer, new LipschitzActivation({ activation: 'elu' })] });
  }

  it.each(estimators)('by %s are kept for their gradients, where they are asked for', (_, how) => {
    const f = new InvertibleResidual({ block: shrinking(), seed: 3, ...how });
    const products = vi.spyOn(getBackend(), 'matmul');
    const step = (keep: Keep) => {
      zeroGrad(f.parameters);
      products.mockClear();
      const before = memory().liveBytes;
      const { logdet, dx } = tidy(() =>
        keeping(keep, () => {
          const { y, logdet } = f.forward(x());
          return { logdet, dx: f.backward(y, full([1, 3], 0.5), { dlogdet: full([1], 1) }).dx };
        }),
      );
      const found = [logdet, dx, ...f.parameters.map(({ grad }) => grad!)].flatMap(numbers);
      for (const t of [logdet, dx]) t.dispose();
      zeroGrad(f.parameters);
      expect(memory().liveBytes).toBe(before);
      return { found, products: products.mock.calls.length };
    };
    const [nothing, inputs] = [step('nothing'), step('inputs')];
    inputs.found.forEach((value, i) => {
      expect(Math.abs(value - nothing.found[i]!)).toBeLessThan(1e-11);
    });
    expect(inputs.products).toBeLessThan(0.7 * nothing.products);
  });

  it.each(estimators)('by %s have the right mean, and their gradients too', (_, options) => {
    const block = shrinking();
    const found = (how: Partial<InvertibleResidualOptions>) => {
      const f = new InvertibleResidual({ block, ...how });
      zeroGrad(f.parameters);
      const { y, logdet } = f.forward(x());
      const { dx } = f.backward(y, zeros([1, 3]), { dlogdet: full([1], 1) });
      return [...numbers(logdet), ...numbers(dx), ...numbers(f.parameters[0]!.grad!)];
    };
    const exact = found({});
    const estimates = Array.from({ length: draws }, (_, seed) => found({ ...options, seed }));
    exact.forEach((value, i) => {
      const values = estimates.map((e) => e[i]!);
      const mean = values.reduce((a, b) => a + b) / draws;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (draws - 1);
      expect(Math.abs(mean - value)).toBeLessThan(3 * Math.sqrt(variance / draws));
      expect(variance).toBeGreaterThan(0);
    });
  });

  it('are the same in equal calls, in both directions, and of a copy', () => {
    const f = new InvertibleResidual({ block: dense(), logdet: 'roulette' });
    const { y, logdet } = f.forward(x());
    expect(numbers(f.forward(x()).logdet)).toEqual(numbers(logdet));
    expect(gap(f.inverse(y).logdet, sub(zeros([1]), logdet))).toBeLessThan(1e-12);
    expect(numbers(copyModule(f).forward(x()).logdet)).toEqual(numbers(logdet));
  });

  it('have the tangent that their gradient says', () => {
    const f = new InvertibleResidual({ block: dense(), logdet: 'series', terms: 5 });
    const [u, v] = [x(), new RandomStream(8).normal([1, 3])];
    const { dx } = f.backward(f.forward(u).y, zeros([1, 3]), { dlogdet: full([1], 1) });
    const along = numbers(dx).reduce((sum, d, i) => sum + d * numbers(v)[i]!, 0);
    expect(numbers(f.jvp(u, { x: v }).dlogdet)[0]!).toBeCloseTo(along, 12);
  });
});

describe('a training step', () => {
  it('moves norms and noise once when it is committed, and nothing else does', () => {
    const block = dense();
    enlarge(block, 1);
    const f = new InvertibleResidual({ block, logdet: 'roulette' });
    const [layer] = block.inner as [SpectralDense];
    const state = () => [f.draws!.value, ...numbers(layer.direction.data)];
    const x = random().normal([2, 3]);
    const run = (step: TrainingStep) => step.run(() => f.backward(f.forward(x).y, x));
    const before = state();
    f.backward(f.forward(x).y, x, { dlogdet: full([2], 1) });
    const undone = new TrainingStep();
    run(undone);
    undone.rollback();
    expect(state()).toEqual(before);
    const norm = numbers(layer.norm())[0]!;
    const logdet = numbers(f.forward(x).logdet);
    const step = new TrainingStep();
    run(step);
    expect(state()).toEqual(before);
    step.commit();
    expect(f.draws!.value).toBe(1);
    expect(numbers(layer.norm())[0]!).toBeGreaterThan(norm);
    expect(numbers(f.forward(x).logdet)).not.toEqual(logdet);
    f.training = false;
    const evaluated = state();
    const looked = new TrainingStep();
    run(looked);
    looked.commit();
    expect(state()).toEqual(evaluated);
  });
});

describe('memory', () => {
  it('of a derivative does not grow with depth', async () => {
    await setBackend('wasm');
    const peak = (depth: number) => {
      const stream = random();
      const sizes = { channels: 2, hidden: [16], activation: 'elu', random: stream } as const;
      const layers = Array.from({ length: depth }, () => {
        const block = lipschitzBlock(sizes);
        return new InvertibleResidual({ block, logdet: 'roulette', random: stream });
      });
      const net = new Sequential(layers);
      const x = stream.normal([64, 2]);
      const { y } = net.forward(x);
      const back = () => net.backward(y, y, { dlogdet: full([64], -1) });
      back();
      const { liveBytes } = memory();
      resetPeakMemory();
      back();
      return memory().peakBytes - liveBytes;
    };
    expect(peak(64)).toBeLessThan(1.1 * peak(4));
  });
});

describe('Planar, Radial and Sylvester', () => {
  const sizes = () => ({ channels: 3, random: random() });

  it.each<[string, () => Bijection]>([
    ['Planar', () => new Planar(sizes())],
    ['Planar, leaky', () => new Planar({ ...sizes(), activation: 'leakyRelu' })],
    ['Radial', () => new Radial(sizes())],
    ['Sylvester', () => new Sylvester(sizes())],
  ])('%s is solved to rounding, whatever its parameters are', (_, make) => {
    const [layer, stream] = [make(), random()];
    const y = stream.normal([64, 3], 2);
    for (let trial = 0; trial < 10; trial++) {
      for (const p of layer.parameters) p.assign(stream.normal(p.shape, 1.5));
      const { x, logdet } = layer.inverse(y);
      const again = layer.forward(x);
      const size = Math.max(10, ...numbers(x).map(Math.abs));
      expect(gap(again.y, y)).toBeLessThan(1e-13 * size);
      expect(gap(again.logdet, neg(logdet))).toBeLessThan(1e-12);
    }
  });

  it('take one number as well', () => {
    const one = { channels: 1, random: random() };
    const block = lipschitzBlock({ ...one, hidden: [4] });
    const flows = [new Planar(one), new Radial(one), new Sylvester(one)];
    const x = random().normal([4, 1]);
    for (const flow of [...flows, new InvertibleResidual({ block })]) {
      expect(gap(flow.inverse(flow.forward(x).y).x, x)).toBeLessThan(1e-12);
    }
  });

  it('Radial has a derivative at its center', () => {
    const radial = new Radial({ channels: 2 });
    radial.center.assign(zeros([2]));
    const x = zeros([1, 2]);
    const { dx } = radial.backward(radial.forward(x).y, full([1, 2], 1), {
      dlogdet: full([1], 1),
    });
    expect(numbers(dx).every(Number.isFinite)).toBe(true);
  });

  it('Sylvester without reflections is triangular', () => {
    const rotation = new Permutation({ channels: 3, order: [0, 1, 2] });
    const { y } = new Sylvester({ channels: 3, rotation }).forward(tensor([[0, 0, 1]]));
    const { y: first } = new Sylvester({ channels: 3, rotation }).forward(tensor([[1, 0, 1]]));
    expect(numbers(y).slice(1)).toEqual(numbers(first).slice(1));
  });
});

describe('bad inputs', () => {
  const layer = { inChannels: 2, outChannels: 2 };
  const made = (options: object) => () => new InvertibleResidual({ block: dense(), ...options });

  it.each<[string, () => unknown]>([
    ['coefficient is 1', () => new SpectralDense({ ...layer, coefficient: 1 })],
    ['iterations is 0', () => new SpectralDense({ ...layer, iterations: 0 })],
    ['size is undefined; expected the spatial sizes', () => new SpectralConv(layer as never)],
    ['expected the spatial sizes', () => new SpectralConv({ ...layer, size: [] })],
    ['expected an odd size', () => new SpectralConv({ ...layer, size: [4], kernel: 2 })],
    ["'elu', 'tanh'", () => new LipschitzActivation({ activation: 'relu' as never })],
    ['expected less than 1', () => new LipschitzBlock({ layers: [new LipSwish()] })],
    [
      'layer 0 is 1; expected a Lipschitz layer',
      () => new LipschitzBlock({ layers: [1 as never] }),
    ],
    ['hidden[0] is 0', () => dense({ hidden: [0] })],
    ['expected a LipschitzBlock', made({ block: new LipSwish() })],
    ['tolerance in float64 is 1e-17', made({ tolerance: 1e-17 })],
    ['maxIterations is 0', made({ maxIterations: 0 })],
    ["terms is given, and logdet 'exact' has none", made({ terms: 3 })],
    ["rate is given, and logdet 'series' has none", made({ logdet: 'series', rate: 0.5 })],
    ['terms is 0', made({ logdet: 'series', terms: 0 })],
    ['rate is 1', made({ logdet: 'roulette', rate: 1 })],
    ['iterations is 0', () => updateLipschitz(dense(), { iterations: 0 })],
    ['channels is 0', () => new Planar({ channels: 0 })],
    ["'tanh', 'leakyRelu'", () => new Planar({ channels: 1, activation: 'relu' as never })],
    ['size is 0', () => new Radial({ channels: 2, size: [0] })],
    ['units is 3', () => new Sylvester({ channels: 2, units: 3 })],
    ['expected a bijection', () => new Sylvester({ channels: 2, rotation: 1 as never })],
  ])('%s', (said, make) => {
    expect(make).toThrow(ValueError);
    expect(make).toThrow(said);
  });

  it('refuses a tolerance that float32 cannot reach', async () => {
    await setBackend('reference');
    expect(made({ tolerance: 1e-9 })).toThrow(
      'tolerance in float32 is 1e-9; expected a finite number',
    );
  });

  it('refuses shapes that the block does not take, or keep', () => {
    const narrow = new SpectralDense({ inChannels: 3, outChannels: 2 });
    const f = new InvertibleResidual({ block: new LipschitzBlock({ layers: [narrow] }) });
    expect(() => f.forward(zeros([1, 3]))).toThrow('makes [1, 2] of [1, 3]');
    expect(() => made({})().forward(zeros([1, 4]))).toThrow(ShapeError);
    const conv = new SpectralConv({ ...layer, size: [4] });
    expect(() => conv.outputShape([1, 2, 5])).toThrow('got [1, 2, 5]; expected [N, 2, 4]');
  });
});
