import {
  add,
  affine,
  full,
  memory,
  ones,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { arctangent, tangent } from '../src/elementwise/arctangent.ts';
import {
  type Activation,
  activationTypes,
  atanClamp,
  build,
  ConfigurationError,
  describe as describeModule,
  Elementwise,
  elu,
  exp,
  expClamp,
  GlowCoupling,
  gelu,
  type InvertibleActivation,
  Logit,
  leakyRelu,
  relu,
  shiftedSigmoid,
  sigmoid,
  sigmoid2,
  silu,
  softplus,
  softplusScale,
  softsignClamp,
  tanh,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const gap = (a: Tensor, b: Tensor) => largest(numbers(sub(a, b)));

const invertible: readonly InvertibleActivation[] = [
  leakyRelu({ slope: 0.2 }),
  tanh(),
  softplus(),
  softplus({ low: 0.1 }),
  sigmoid({ low: -1, high: 3 }),
  sigmoid2(),
  exp({ low: 0.3 }),
  expClamp({ clamp: 1.5 }),
  expClamp({ clamp: 1.5, rate: 0.4 }),
  atanClamp(),
  atanClamp({ clamp: 1.5, rate: 3 }),
  softsignClamp({ clamp: 1.5 }),
  shiftedSigmoid({ low: 0.5, high: 3 }),
  softplusScale({ factor: 0.1, rate: 0.5 }),
];
const activations: readonly Activation[] = [relu(), ...invertible];

const precisions = [
  { backend: 'reference', dtype: 'float64', digits: 1e-15 },
  { backend: 'reference', dtype: 'float32', digits: 5e-7 },
  { backend: 'wasm', dtype: 'float32', digits: 5e-7 },
] as const;

/** From −200 to 200, numbers of float32. */
const farPoints = Array.from({ length: 401 }, (_, i) => Math.fround((i - 200) * 0.9973)).concat(
  [50, 90, 120, -120, 200, -200].map(Math.fround),
);

function fullLike(value: number, like: Tensor): Tensor {
  return full(like.shape, value, like);
}

describe('activations', () => {
  it.each(activations)('$name stays in its range, and its slope is its derivative', (f) => {
    const points = [-30, -3, -1.1, -0.2, 0.3, 1, 2.5, 30];
    const x = tensor(points);
    const y = f.apply(x);
    const [low, high] = f.range;
    for (const v of numbers(y)) {
      expect(v).toBeGreaterThanOrEqual(low);
      expect(v).toBeLessThanOrEqual(high);
    }
    const h = 1e-5;
    const [after, before] = [h, -h].map((s) => numbers(f.apply(affine(tensor(points), 1, s))));
    numbers(f.grad(y, ones([points.length]), x)).forEach((slope, i) => {
      const off = slope - (after![i]! - before![i]!) / (2 * h);
      expect(Math.abs(off)).toBeLessThan(5e-8 * Math.max(1, slope));
    });
  });

  it('stay in their range as scales of couplings, however large the numbers', () => {
    const x = tensor([-50, -1, 0, 1, 50]);
    for (const f of [sigmoid({ low: 0.5, high: 1.5 }), expClamp({ clamp: 2 })]) {
      for (const v of numbers(f.apply(x))) {
        expect(v).toBeGreaterThanOrEqual(f.range[0]);
        expect(v).toBeLessThanOrEqual(f.range[1]);
      }
    }
  });

  it('scale couplings from a positive bound on', () => {
    const x = new RandomStream(1).normal([2, 4, 3, 3]);
    const coupling = new GlowCoupling({
      channels: 4,
      hidden: 3,
      scaleFunction: softplus({ low: 0.1 }),
    });
    const { y, logdet } = coupling.forward(x);
    const back = coupling.inverse(y);
    expect(gap(back.x, x)).toBeLessThan(1e-12);
    expect(largest(numbers(add(back.logdet, logdet)))).toBeLessThan(1e-12);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: softplus() })).toThrow(/positive/);
  });

  it.each(precisions)('know the logarithm of a scale: $backend, $dtype', async (settings) => {
    const { backend, dtype, digits } = settings;
    await setBackend(backend, { dtype });
    const softplusOf = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    const logistic = (x: number) => 1 / (1 + Math.exp(-x));
    const logSoftplus = (x: number) => (x < -40 ? x : Math.log(softplusOf(x)));
    const cases: readonly [Activation, (x: number) => number, (x: number) => number][] = [
      [exp(), (x) => x, () => 1],
      [exp({ low: 1 }), softplusOf, logistic],
      [
        exp({ low: 0.2 }),
        (x) => Math.log(0.2) + softplusOf(x - Math.log(0.2)),
        (x) => logistic(x - Math.log(0.2)),
      ],
      [sigmoid({ high: 3 }), (x) => Math.log(3) - softplusOf(-x), (x) => logistic(-x)],
      [shiftedSigmoid(), (x) => -softplusOf(-x - 2), (x) => logistic(-x - 2)],
      [
        softplusScale({ factor: 0.1, rate: 0.5 }),
        (x) => Math.log(0.2) + logSoftplus(x / 2),
        (x) => (0.5 * logistic(x / 2)) / softplusOf(x / 2),
      ],
    ];
    const x = tensor(farPoints);
    for (const [f, logOf, slopeOf] of cases) {
      numbers(f.log!.apply(x)).forEach((v, i) => {
        const expected = logOf(farPoints[i]!);
        expect(Math.abs(v - expected)).toBeLessThan(digits * Math.max(4, Math.abs(expected)));
      });
      numbers(f.log!.grad(f.apply(x), fullLike(1, x), x)).forEach((v, i) => {
        const expected = slopeOf(farPoints[i]!);
        // A product of x and its digits stands in the exponent.
        const off = digits * Math.max(4, Math.abs(farPoints[i]!));
        if (expected > 1.2e-38) expect(Math.abs(v / expected - 1)).toBeLessThan(off);
      });
    }
  });

  it.each(precisions)(
    'know the arctangent of every number, and its inverse: $backend, $dtype',
    async (settings) => {
      await setBackend(settings.backend, { dtype: settings.dtype });
      const sizes = Array.from({ length: 700 }, (_, i) => 10 ** ((i - 340) / 10));
      const points = [...sizes, ...sizes.map((v) => -v)].map(Math.fround);
      const before = memory().tensors;
      const x = tensor(points);
      numbers(arctangent(x)).forEach((v, i) => {
        expect(Math.abs(v / Math.atan(points[i]!) - 1)).toBeLessThan(2 * settings.digits);
      });
      expect(numbers(arctangent(tensor([0])))).toEqual([0]);
      expect(memory().tensors - before).toBe(4);
      const angles = Array.from({ length: 29 }, (_, i) => Math.fround((i - 14) / 10 + 0.05));
      numbers(tangent(tensor(angles))).forEach((v, i) => {
        expect(Math.abs(v / Math.tan(angles[i]!) - 1)).toBeLessThan(10 * settings.digits);
      });
    },
  );

  it('clamp as FrEIA does', () => {
    const points = [-40, -3, -0.1, 0, 0.2, 1, 7, 1e6];
    const x = tensor(points);
    const alpha = 1.7;
    const close = (f: Activation, log: (a: number) => number) =>
      numbers(f.apply(x)).forEach((v, i) => {
        expect(v / Math.exp(log(points[i]!)) - 1).toBeCloseTo(0, 13);
      });
    const arctan = atanClamp({ clamp: 0.318 * Math.PI * alpha, rate: 1 });
    close(arctan, (a) => alpha * 0.636 * Math.atan(a));
    close(expClamp({ clamp: alpha, rate: 1 }), (a) => alpha * Math.tanh(a));
    close(expClamp({ clamp: alpha, rate: 0.1 }), (a) => alpha * Math.tanh(0.1 * a));
    const sigmoidal = (a: number) => 2 / (1 + Math.exp(-a)) - 1;
    close(expClamp({ clamp: alpha, rate: 0.5 }), (a) => alpha * sigmoidal(a));
  });

  it('name options out of range', () => {
    expect(() => exp({ low: -0.1 })).toThrow(/exp: low is -0.1; expected .* at least 0/);
    expect(() => atanClamp({ rate: 0 })).toThrow(/atanClamp: rate is 0/);
    expect(() => expClamp({ rate: -1 })).toThrow(/expClamp: rate is -1/);
    expect(() => softplus({ low: Number.NaN })).toThrow(/softplus: low is NaN/);
    expect(() => expClamp({ clamp: 0 })).toThrow(ValueError);
    expect(() => softsignClamp({ clamp: 0 })).toThrow(/softsignClamp: clamp is 0/);
    expect(() => leakyRelu({ slope: 0 })).toThrow(ValueError);
    expect(() => leakyRelu({ slope: -1 })).toThrow(ValueError);
    expect(() => sigmoid({ low: 2, high: 1 })).toThrow(ValueError);
    expect(() => sigmoid({ low: 1, high: 1 })).toThrow(/low 1, high 1/);
  });

  it('take numbers only, as configurations may hold anything', () => {
    const wrong = ['0.5', [0.5], null, Number.NaN, Number.POSITIVE_INFINITY] as number[];
    for (const v of wrong) {
      expect(() => leakyRelu({ slope: v })).toThrow(ValueError);
      expect(() => softplus({ low: v })).toThrow(ValueError);
      expect(() => sigmoid({ low: v })).toThrow(ValueError);
      expect(() => sigmoid({ high: v })).toThrow(ValueError);
      expect(() => exp({ low: v })).toThrow(ValueError);
      for (const option of ['clamp', 'rate']) {
        expect(() => expClamp({ [option]: v })).toThrow(ValueError);
        expect(() => atanClamp({ [option]: v })).toThrow(ValueError);
      }
      expect(() => new Logit({ lambda: v })).toThrow(ValueError);
    }
    expect(() => softplus({ low: '1' as unknown as number })).toThrow(/low is '1'; .* number/);
    expect(() => new Logit({ lambda: 0.5 })).toThrow(/above 0 and below 0.5/);
  });

  it('say what makes them again', () => {
    const smooth = [softplus(), sigmoid(), sigmoid2(), exp(), expClamp(), atanClamp({ clamp: 1 })];
    const last = [softsignClamp(), shiftedSigmoid(), softplusScale()];
    const options = Object.fromEntries(
      [relu(), leakyRelu(), tanh(), ...smooth, ...last, elu(), gelu(), silu()].map((f) => [
        f.name,
        f.options,
      ]),
    );
    expect(options).toEqual({
      relu: {},
      leakyRelu: { slope: 0.01 },
      tanh: {},
      softplus: { low: 0 },
      sigmoid: { low: 0, high: 1 },
      sigmoid2: {},
      exp: { low: 0 },
      expClamp: { clamp: 2 },
      atanClamp: { clamp: 1, rate: Math.PI / 2 },
      softsignClamp: { clamp: 2 },
      shiftedSigmoid: { low: 0, high: 1, shift: 2 },
      softplusScale: { factor: 1, rate: 1 },
      elu: { alpha: 1 },
      gelu: {},
      silu: {},
    });
    expect(expClamp({ rate: 1 }).options).toEqual({ clamp: 2, rate: 1 });
    expect(activationTypes.map((t) => t.type)).toEqual(Object.keys(options));
  });
});

describe('Elementwise', () => {
  it.each(invertible)('$name has log-slopes and their derivatives', (f) => {
    const points = [-2.2, -0.7, 0.4, 1.9];
    const x = tensor(points);
    const y = f.apply(x);
    const slopes = numbers(f.grad(y, ones([points.length]), x));
    numbers(f.logSlope(x, y)).forEach((v, i) => {
      expect(v).toBeCloseTo(Math.log(slopes[i]!), 11);
    });
    const h = 1e-5;
    const [after, before] = [h, -h].map((s) => {
      const moved = affine(x, 1, s);
      return numbers(f.logSlope(moved, f.apply(moved)));
    });
    numbers(f.logSlopeDerivative(x, y)).forEach((v, i) => {
      expect(v).toBeCloseTo((after![i]! - before![i]!) / (2 * h), 8);
    });
  });

  it.each(invertible)('$name has finite log-determinants where it is flat', (f) => {
    const layer = new Elementwise(f);
    const { logdet } = layer.forward(tensor([[-300, 40, 300]]));
    expect(numbers(logdet).every(Number.isFinite)).toBe(true);
  });

  // Independent of the code: what the slopes are, in double precision.
  const softplusOf = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const logistic = (x: number) => -softplusOf(x) - softplusOf(-x);
  const clamped = (x: number) => Math.log(4) + logistic((2 * x) / 1.5);
  const logSlopes: readonly [InvertibleActivation, (x: number) => number][] = [
    [leakyRelu({ slope: 0.2 }), (x) => (x > 0 ? 0 : Math.log(0.2))],
    [tanh(), (x) => Math.log(4) + logistic(2 * x)],
    [softplus(), (x) => -softplusOf(-x)],
    [sigmoid({ low: -1, high: 3 }), (x) => Math.log(4) + logistic(x)],
    [sigmoid2(), (x) => Math.log(2) + logistic(x)],
    [expClamp({ clamp: 1.5 }), (x) => 1.5 * Math.tanh(x / 1.5) + clamped(x)],
    [
      expClamp({ clamp: 1.5, rate: 0.4 }),
      (x) => 1.5 * Math.tanh(0.4 * x) + Math.log(4 * 0.6) + logistic(0.8 * x),
    ],
    [
      atanClamp({ clamp: Math.PI / 2, rate: 3 }),
      (x) => Math.atan(3 * x) + Math.log(3) - Math.log1p(9 * x * x),
    ],
    [
      softsignClamp({ clamp: 1.5 }),
      (x) => x / (1 + Math.abs(x) / 1.5) - 2 * Math.log1p(Math.abs(x) / 1.5),
    ],
  ];

  it.each(precisions)('knows every slope from −200 to 200: $backend, $dtype', async (settings) => {
    const { backend, dtype, digits } = settings;
    await setBackend(backend, { dtype });
    const x = farPoints.map((v) => [v]);
    for (const [f, logSlope] of logSlopes) {
      const layer = new Elementwise(f);
      const expected = farPoints.map(logSlope);
      const close = (t: Tensor) =>
        numbers(t).forEach((v, i) => {
          expect(Math.abs(v - expected[i]!)).toBeLessThan(digits * Math.max(1, -expected[i]!));
        });
      const dx = fullLike(1e9, tensor(x));
      const tangent = layer.jvp(tensor(x), { x: dx });
      close(layer.forward(tensor(x)).logdet);
      close(tangent.logdet);
      numbers(tangent.dy).forEach((dy, i) => {
        const size = 1e9 * Math.exp(expected[i]!);
        const off = digits * Math.max(1, -expected[i]!);
        if (size > 1.2e-38) expect(Math.abs(dy / size - 1)).toBeLessThan(2 * off);
        else expect(dy).toBeLessThanOrEqual(1.2e-38);
      });
      // Zeros over a slope stay zeros, also where the slope itself rounds to zero.
      const flat = tensor(x.filter((_, i) => expected[i]! > -170));
      const { dy } = layer.backwardInverse(flat, fullLike(0, flat));
      expect(largest(numbers(dy))).toBe(0);
    }
  });

  it.each([
    { backend: 'reference', dtype: 'float64', bound: 1e-12 },
    { backend: 'reference', dtype: 'float32', bound: 1e-4 },
    { backend: 'wasm', dtype: 'float32', bound: 1e-4 },
  ] as const)('inverts softplus close to zero: $backend, $dtype', async (settings) => {
    await setBackend(settings.backend, { dtype: settings.dtype });
    const layer = new Elementwise(softplus());
    const x = tensor([[-80, -40, -20, -16, -8, -1, 0, 1, 20, 80]]);
    expect(gap(layer.inverse(layer.forward(x).y).x, x)).toBeLessThan(settings.bound);
  });

  it('gives NaN outside the range', () => {
    const { x } = new Elementwise(sigmoid()).inverse(tensor([[-0.1, 0.5, 1.1]]));
    expect(numbers(x).map(Number.isNaN)).toEqual([true, false, true]);
  });

  it.each(invertible)('$name is described and built again', (f) => {
    const layer = new Elementwise(f);
    const config = describeModule(layer);
    expect(config).toEqual({ $type: 'Elementwise', activation: { $type: f.name, ...f.options } });
    const again = build(config, { modules: [Elementwise, ...activationTypes] });
    const x = new RandomStream(4).normal([2, 5]);
    expect(numbers((again as Elementwise).forward(x).y)).toEqual(numbers(layer.forward(x).y));
  });

  it('refuses what has no inverse', () => {
    const without = relu() as InvertibleActivation;
    expect(() => new Elementwise(without)).toThrow(/relu.*expected an invertible activation/);
    const config = { $type: 'Elementwise', activation: { $type: 'relu' } };
    const modules = [Elementwise, ...activationTypes];
    expect(() => build(config, { modules })).toThrow(ConfigurationError);
    const endless: unknown[] = [];
    endless.push(endless);
    for (const value of [endless, { '': endless }]) {
      expect(() => build(value as never, { modules })).toThrow(/nested too deeply/);
    }
  });
});

describe('Logit', () => {
  const lambda = 1e-4;
  const pq = (y: number) => Math.exp(-Math.abs(y)) / (1 + Math.exp(-Math.abs(y))) ** 2;
  const logSlope = (y: number) =>
    Math.log1p(-2 * lambda) + Math.abs(y) + 2 * Math.log1p(Math.exp(-Math.abs(y)));
  const relative = (a: number, b: number) => Math.abs(a - b) / Math.abs(b);

  it.each(precisions)('knows its slope from −200 to 200: $backend, $dtype', async (settings) => {
    const { backend, dtype, digits } = settings;
    await setBackend(backend, { dtype });
    const layer = new Logit({ lambda });
    const y = tensor(farPoints.map((v) => [v]));
    const size = 1e25;
    const back = layer.jvpInverse(y, { x: fullLike(size, y) });
    for (const logdet of [layer.inverse(y).logdet, back.logdet]) {
      numbers(logdet).forEach((l, i) => {
        expect(relative(l, -logSlope(farPoints[i]!))).toBeLessThan(2 * digits);
      });
    }
    numbers(back.dx).forEach((dx, i) => {
      const expected = (size * pq(farPoints[i]!)) / (1 - 2 * lambda);
      if (expected > 1.2e-38) expect(relative(dx, expected)).toBeLessThan(4 * digits);
      else expect(dx).toBeLessThanOrEqual(1.2e-38);
    });
    const { dx } = layer.backward(y, fullLike(1e-30, y));
    numbers(dx).forEach((v, i) => {
      const expected = (1e-30 / pq(farPoints[i]!)) * (1 - 2 * lambda);
      if (dtype === 'float64' || expected < 3e38) {
        expect(relative(v, expected)).toBeLessThan(4 * digits);
      } else expect(v).toBe(Number.POSITIVE_INFINITY);
    });
    expect(largest(numbers(layer.backward(y, fullLike(0, y)).dx))).toBe(0);
  });

  it.each(precisions)('keeps its digits near one: $backend, $dtype', async (settings) => {
    const { backend, dtype, digits } = settings;
    await setBackend(backend, { dtype });
    const points = [0, 1e-6, 0.25, 0.5, 0.75, 1 - 2 ** -12, 1 - 2 ** -24, 1].map(Math.fround);
    const { y, logdet } = new Logit({ lambda }).forward(tensor(points.map((v) => [v])));
    points.forEach((x, i) => {
      const [p, q] = [lambda + (1 - 2 * lambda) * x, lambda + (1 - 2 * lambda) * (1 - x)];
      const expected = Math.log(p) - Math.log(q);
      expect(Math.abs(numbers(y)[i]! - expected)).toBeLessThan(digits * 4);
      const slope = Math.log1p(-2 * lambda) - Math.log(p) - Math.log(q);
      expect(Math.abs(numbers(logdet)[i]! - slope)).toBeLessThan(digits * 8);
    });
  });
});
