import { dotTest, operatorOf } from '@invnet/jvp';
import { sigmoid } from '@invnet/layers';
import { UnrolledLoop } from '@invnet/networks';
import {
  add,
  affine,
  concat,
  full,
  matmul,
  memory,
  mul,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { AcousticWave, type AcousticWaveOptions, ricker } from '../src/index.ts';
import { adjointError } from './dot.ts';
import { itAgreesWith } from './python.ts';

/** 12 × 15 cells of 10 by 12 m, from 1.5 to 2.5 km/s, one wavelength of which is six cells. */
const timing = { timeStep: 2, steps: 60 };
const size = [12, 15] as const;

function small(random: RandomStream, options: Partial<AcousticWaveOptions> = {}): AcousticWave {
  return tidy(
    () =>
      new AcousticWave({
        ...{ size, spacing: [10, 12], border: 6, ...timing, every: 3 },
        sources: [
          [10, 24],
          [13, 100],
        ],
        receivers: Array.from({ length: 7 }, (_, i) => [20, 5 + 25 * i] as const),
        wavelet: ricker({ ...timing, peakFrequency: 0.03 }),
        background: medium(random, 1),
        ...options,
      }),
  );
}

/** Squared slownesses of 1.5 to 2.5 km/s. */
function medium(random: RandomStream, samples: number): Tensor {
  return affine(random.uniform([samples, 1, ...size]), 1 / 1.5 ** 2 - 1 / 2.5 ** 2, 1 / 2.5 ** 2);
}

const number = (x: Tensor) => x.dataSync<'float64'>()[0]!;
const norm = (x: Tensor) => Math.sqrt(number(sumSquares(x)));
const innerProduct = (a: Tensor, b: Tensor) => number(sum(mul(a, b)));
/** ‖a − b‖/‖b‖ */
const distance = (a: Tensor, b: Tensor) => norm(sub(a, b)) / norm(b);

describe('in double precision', () => {
  beforeEach(() => setBackend('reference', { dtype: 'float64' }));

  it('has adjoints of J to rounding: at the background, and at any medium', async () => {
    const random = new RandomStream(1);
    using wave = small(random);
    expect(await adjointError(wave.born)).toBeLessThan(1e-13);
    const perSample = { background: medium(random, 2), weights: random.normal([2, 1, 2]) };
    using simultaneous = small(random, perSample);
    expect(simultaneous.range).toEqual([1, 20, 7]);
    expect(await adjointError(simultaneous.born)).toBeLessThan(1e-13);
    const m = medium(random, 2);
    const J = {
      ...{ domain: wave.domain, range: wave.range },
      forward: (dm: Tensor) => wave.jvp(m, dm),
      adjoint: (r: Tensor) => wave.vjp(m, r),
    };
    expect((await dotTest(operatorOf(J, 2))).error).toBeLessThan(1e-13);
  });

  it('has the derivatives of F and of J(m)ᵀ r, by central differences', () => {
    const random = new RandomStream(2);
    using wave = small(random);
    const [m, dm] = [medium(random, 2), random.normal([2, ...wave.domain])];
    const r = random.normal([2, ...wave.range]);
    const along = (f: (m: Tensor) => Tensor) => {
      const h = 1e-5;
      return affine(sub(f(add(m, affine(dm, h))), f(add(m, affine(dm, -h)))), 1 / (2 * h));
    };
    const jvp = wave.jvp(m, dm);
    expect(distance(jvp, along(wave.forward.bind(wave)))).toBeLessThan(1e-7);
    const hvp = wave.hvp(m, r, dm);
    expect(
      distance(
        hvp,
        along((at) => wave.vjp(at, r)),
      ),
    ).toBeLessThan(1e-6);
    // The Hessian is symmetric.
    const other = random.normal(dm.shape);
    const [a, b] = [innerProduct(hvp, other), innerProduct(wave.hvp(m, r, other), dm)];
    expect(Math.abs(a - b)).toBeLessThan(1e-12 * norm(hvp) * norm(other));
  });

  it('linearizes at its background, for each sample its own, and with the weights that were set last', () => {
    const random = new RandomStream(3);
    using wave = small(random);
    const dm = random.normal([2, ...wave.domain]);
    const one = medium(random, 1);
    wave.set({ background: one });
    const both = wave.born.forward(dm);
    expect(distance(both, wave.jvp(concat([one, one], 0), dm))).toBeLessThan(1e-14);
    // Shots add up: what is recorded is linear in the weights.
    const weights = random.normal([2, 2, 2]);
    const background = medium(random, 2);
    wave.set({ background, weights });
    const [each, whole] = [wave.born.forward(dm), wave.jvp(background, dm)];
    expect(distance(each, whole)).toBeLessThan(1e-14);
    wave.set({
      weights: tensor([
        [1, 0],
        [0, 1],
      ]),
    });
    const mixed = matmul(weights, wave.born.forward(dm).reshape([2, 2, 20 * 7]));
    expect(distance(mixed.reshape(each.shape), each)).toBeLessThan(1e-13);
  });

  it('is the operator of an unrolled loop, whose gradient bends with the medium', () => {
    const random = new RandomStream(6);
    using wave = small(random, { weights: tensor([[1, 1]]) });
    const loop = new UnrolledLoop({
      ...{ memoryChannels: 2, iterations: 2, hidden: 3, actnorm: false, operator: wave, random },
      // From 1.5 to 2.5 km/s, whatever the estimate.
      link: sigmoid({ low: 1 / 2.5 ** 2, high: 1 / 1.5 ** 2 }),
    });
    const m = random.normal([1, 1, ...size]);
    const [memory, direction] = [zeros([1, 2, ...size]), random.normal(m.shape)];
    const data = wave.forward(medium(random, 1));
    const weights = [random.normal(m.shape), random.normal(memory.shape)] as const;
    const loss = (eta: Tensor) => {
      const [a, b] = loop.forward([eta, memory], data).y;
      return innerProduct(a, weights[0]) + innerProduct(b, weights[1]);
    };
    const { y } = loop.forward([m, memory], data);
    const [dm] = loop.backward(y, weights, { context: data }).dx;
    const h = 1e-6;
    const slope =
      (loss(add(m, affine(direction, h))) - loss(add(m, affine(direction, -h)))) / (2 * h);
    expect(innerProduct(dm, direction) / slope).toBeCloseTo(1, 5);
  });

  it('refuses media, positions and time steps that are none, and says what would do', () => {
    const random = new RandomStream(4);
    using wave = small(random);
    const m = medium(random, 1);
    const fast = affine(m, 1 / 16);
    expect(() => wave.forward(fast)).toThrow(
      /^AcousticWave: timeStep is 2, and with a fastest wave of 9\.\d+ in m the scheme is stable up to 0\.\d+; /,
    );
    const longest = (dt: number) => small(random, { background: m, timeStep: dt });
    let limit = 0;
    try {
      longest(5);
    } catch (error) {
      limit = Number(/up to ([\d.]+)/.exec(String(error))?.[1]);
    }
    longest(limit).dispose();
    expect(() => longest(1.01 * limit)).toThrow(ValueError);
    for (const wrong of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const values = m.dataSync().slice();
      values[7] = wrong;
      const message = `AcousticWave: background has ${wrong}; expected squared slownesses`;
      expect(() => wave.set({ background: tensor(values, m.shape) })).toThrow(message);
    }
    expect(() => wave.set({ background: zeros([1, 1, 15, 12]) })).toThrow(
      'AcousticWave: background is [1, 1, 15, 12]; expected [N, 1, 12, 15].',
    );
    expect(() => small(random, { sources: [[10, 169]], weights: ones([1, 1]) })).toThrow(
      'AcousticWave: sources has [10, 169]; expected [down, across] from 0 to 110 and from 0 to 168, inside of the image.',
    );
    expect(() => small(random, { receivers: [[10, Number.NaN]] })).toThrow(
      /receivers has \[10, NaN\]/,
    );
    // The last column, though (15 − 1) · 12.7 is a little less than 177.8.
    const last = (across: number) =>
      small(random, { background: m, spacing: [10, 12.7], receivers: [[20, across]] }).forward(m);
    expect(last(177.8).dataSync()).toEqual(last(14 * 12.7).dataSync());
    expect(() => small(random, { every: 2 ** 32 })).toThrow(/every is 4294967296; expected/);
    expect(() => small(random, { receivers: [] })).toThrow('AcousticWave: receivers are empty');
    expect(() => small(random, { wavelet: [1, 2] })).toThrow(/has 2 numbers; expected 60/);
    expect(() => wave.set({ weights: ones([3, 2]) })).toThrow(ShapeError);
    expect(() => wave.forward(ones([12, 15]))).toThrow(ShapeError);
    expect(() => wave.vjp(m, ones([1, 2, 60, 7]))).toThrow(ShapeError);
    wave.set({ background: medium(random, 2) });
    expect(() => wave.born.forward(ones([3, ...wave.domain]))).toThrow(ShapeError);
    expect(() => wave.set({ weights: ones([3, 2, 2]) })).toThrow(ShapeError);
    // What was refused has changed nothing.
    expect(wave.born.forward(ones([2, ...wave.domain])).shape).toEqual([2, ...wave.range]);
  });
});

/** 24 × 32 cells of 10 m, two sources in one shot; a receiver between cells. */
const survey = {
  ...{ height: 24, width: 32, spacing: 10, border: 12, timeStep: 1.5, steps: 160 },
  sources: [
    [4, 6],
    [5, 25],
  ],
  weights: [1, -0.5],
  receivers: [...Array.from({ length: 10 }, (_, i) => [3, 3 * i + 1]), [10.25, 12.5]],
};

/** F, J and JᵀJ of that, with the last time left out, which Devito does not compute. */
function modelled() {
  const { height, width, border, spacing, timeStep, steps } = survey;
  const image = (f: (z: number, x: number) => number) =>
    tensor(
      Float64Array.from({ length: height * width }, (_, k) => f(Math.floor(k / width), k % width)),
      [1, 1, height, width],
    );
  const background = image(
    (z, x) => 1 / (1.8 + 0.02 * z + 0.2 * Math.sin(x / 5) * Math.cos(z / 4)) ** 2,
  );
  const dm = image((z, x) => 0.02 * Math.exp(-((z - 14) ** 2 + (x - 17) ** 2) / 12));
  const wavelet = ricker({ peakFrequency: 0.02, timeStep, steps });
  wavelet[0] = 0;
  const place = ([z = 0, x = 0]: readonly number[]) => [z * spacing, x * spacing] as const;
  using wave = new AcousticWave({
    ...{ size: [height, width], spacing, border, timeStep, steps, wavelet, background },
    sources: survey.sources.map(place),
    receivers: survey.receivers.map(place),
    weights: tensor([survey.weights]),
  });
  const linear = wave.born.forward(dm).dataSync<'float64'>();
  linear.fill(0, (steps - 1) * survey.receivers.length);
  const migrated = wave.born.adjoint(tensor(linear, [1, ...wave.range]));
  return {
    data: wave.forward(background).dataSync<'float64'>(),
    linear,
    migrated: migrated.dataSync<'float64'>(),
    given: {
      ...survey,
      ...{ wavelet: [...wavelet], m: [...background.dataSync()], dm: [...dm.dataSync()] },
    },
  };
}

describe('beside Devito', () => {
  beforeEach(() => setBackend('reference', { dtype: 'float64' }));

  it('gives its traces and its image: recorded numbers of version 4.8.23', () => {
    const { data, linear, migrated } = modelled();
    const at = (values: Float64Array, time: number) => values.subarray(11 * time, 11 * time + 11);
    const close = (found: Float64Array, expected: readonly number[]) => {
      expected.forEach((v, i) => {
        expect(Math.abs(found[i]! - v)).toBeLessThan(1e-6 * Math.max(...expected.map(Math.abs)));
      });
    };
    close(at(data, 80), [
      ...[-0.55529855, -0.18427088, 0.54200124, 0.77787238, -4.68753603, 0.4293018, 6.46943383],
      ...[-3.3703374, -0.38304138, 0.16757629, -3.47007563],
    ]);
    close(at(linear, 100), [
      ...[-0.00048466, -0.00850051, 0.00947036, 0.02062467, 0.00732664, -0.00523992, -0.0086489],
      ...[0.0023208, 0.02703676, 0.01939644, -0.05011252],
    ]);
    // Every sixth row, every eighth column.
    close(
      migrated.filter((_, k) => Math.floor(k / 32) % 6 === 0 && k % 8 === 0),
      [
        ...[-0.0083387, -2.61313452, 0.41821334, -0.20686779, 0.54222909, -1.20078995],
        ...[-0.48953854, -1.64947966, 0.14108474, 0.3371365, 0.01697253, 1.11456039],
        ...[-0.19849759, 0.2599036, -1.40974806, -0.13121127],
      ],
    );
  });

  itAgreesWith(['devito', 'numpy'], 'F, J and Jᵀ by its equations', (run) => {
    const { data, linear, migrated, given } = modelled();
    const program = `
import os
os.environ['DEVITO_LOGGING'] = 'ERROR'
import numpy as np
from devito import Eq, Function, Grid, Inc, Operator, SparseTimeFunction, TimeFunction, solve
nz, nx, h, border, dt, nt = (given[k] for k in ('height', 'width', 'spacing', 'border', 'timeStep', 'steps'))
m0, dm0 = (np.array(given[k]).reshape(nz, nx) for k in ('m', 'dm'))
size = [n + 2 * border for n in (nz, nx)]
def profile(n):
    i = np.minimum(np.arange(n), n - 1 - np.arange(n))
    return np.where(i < border, 1.5 * np.log(1000) / (border * h) * (1 - i / border)**2, 0)
grid = Grid(shape=size, extent=[(n - 1) * h for n in size], dtype=np.float64)
def function(name, values):
    f = Function(name=name, grid=grid, space_order=8)
    f.data[:] = values
    return f
m = function('m', np.pad(m0, border, mode='edge'))
eta = function('eta', np.sqrt(m0.mean()) * (profile(size[0])[:, None] + profile(size[1])[None, :]))
dm = function('dm', np.pad(dm0, border))
image = function('image', 0)
s = grid.stepping_dim.spacing
def points(name, positions):
    p = SparseTimeFunction(name=name, grid=grid, npoint=len(positions), nt=nt)
    p.coordinates.data[:] = (np.array(positions) + border) * h
    return p
src = points('src', given['sources'])
src.data[:] = np.array(given['wavelet'])[:, None] * np.array(given['weights'])
rec, born, back = (points(name, given['receivers']) for name in ('rec', 'born', 'back'))
u, du, v = (TimeFunction(name=n, grid=grid, time_order=2, space_order=8, save=nt) for n in ('u', 'du', 'v'))
def step(f, to, since, q=0):
    return Eq(to, solve(m * f.dt2 - f.laplace + eta * (to - since) / (2 * s) - q, to))
run = dict(dt=dt, time_m=1, time_M=nt - 2)
Operator([step(u, u.forward, u.backward)] + src.inject(field=u.forward, expr=src * s**2 / m)
         + [step(du, du.forward, du.backward, -dm * u.dt2)]
         + rec.interpolate(expr=u) + born.interpolate(expr=du))(**run)
born.data[-1] = 0
back.data[:] = born.data
Operator([step(v, v.backward, v.forward)] + back.inject(field=v.backward, expr=back * s**2 / m)
         + [Inc(image, -u.dt2 * v)])(**run)
inner = np.array(image.data)[border:-border, border:-border]
json.dump([np.array(x).ravel().tolist() for x in (rec.data[:-1], born.data, inner)], sys.stdout)
`;
    const found = run(program, given) as number[][];
    [data.subarray(0, 159 * 11), linear, migrated].forEach((ours, k) => {
      const difference = found[k]!.map((v, i) => v - ours[i]!);
      expect(Math.hypot(...difference) / Math.hypot(...found[k]!)).toBeLessThan(1e-6);
    });
  });
});

describe('in single precision', () => {
  it('has adjoints to its rounding, leaves nothing behind, and keeps one field', async () => {
    await setBackend('wasm');
    const before = memory().liveBytes;
    const random = new RandomStream(5);
    const wave = small(random);
    expect(await adjointError(wave.born)).toBeLessThan(1e-5);
    const held = memory().liveBytes;
    const run = () => {
      const [m, dm] = [medium(random, 2), random.normal([2, ...wave.domain])];
      const r = wave.forward(m);
      const [a, b] = [wave.hvp(m, r, dm), wave.vjp(m, r)];
      for (const x of [m, dm, r, a, b, wave.jvp(m, dm)]) x.dispose();
    };
    tidy(run);
    expect(memory().liveBytes).toBe(held);
    using background = tidy(() => medium(random, 1));
    wave.set({ background });
    expect(held - memory().liveBytes).toBe(4 * (2 * 59 - 1) * 180);
    wave.dispose();
    expect(memory().liveBytes).toBe(before + 4 * 180);
  });

  it('agrees with the wave of a point in a homogeneous medium, and little comes back from the border', async () => {
    await setBackend('wasm');
    const [velocity, peakFrequency] = [2, 0.015];
    const time = { timeStep: 1, steps: 500 };
    const background = full([1, 1, 41, 61], 1 / velocity ** 2);
    const pulse = (t: number) => {
      const a = (Math.PI * (peakFrequency * t - 1)) ** 2;
      return t < 0 ? 0 : (1 - 2 * a) * Math.exp(-a);
    };
    /** ∫ q(t − τ)/(2π √(τ² − r²/c²)) dτ, with τ = r/c · cosh s. */
    const exact = (distance: number) => (t: number) => {
      const arrival = distance / velocity;
      const end = t > arrival ? Math.acosh(t / arrival) : 0;
      const at = Array.from({ length: 1000 }, (_, i) => ((i + 0.5) / 1000) * end);
      const sum = at.reduce((all, s) => all + pulse(t - arrival * Math.cosh(s)), 0);
      return (sum * end) / 1000 / (2 * Math.PI);
    };
    const errors = (border: number) => {
      using wave = new AcousticWave({
        ...{ size: [41, 61], spacing: 10, border, ...time, background },
        sources: [[200, 200]],
        receivers: [
          [200, 400],
          [100, 300],
        ],
        wavelet: ricker({ ...time, peakFrequency }),
      });
      using data = wave.forward(background);
      const traces = data.dataSync();
      return [200, Math.hypot(100, 100)].map((distance, receiver) => {
        // δ is 1 in a cell of 100 m².
        const expected = Array.from({ length: 500 }, (_, t) => 100 * exact(distance)(t));
        const difference = expected.map((u, t) => traces[2 * t + receiver]! - u);
        return Math.hypot(...difference) / Math.hypot(...expected);
      });
    };
    // The scheme itself, then reflections of waves of 13 cells by borders of 40 and 20 cells.
    for (const error of errors(120)) expect(error).toBeLessThan(0.006);
    for (const error of errors(40)) expect(error).toBeLessThan(0.015);
    for (const error of errors(20)) expect(error).toBeLessThan(0.06);
    background.dispose();
  });
});

describe('ricker', () => {
  it('is the second derivative of a Gaussian, which peaks after one period', () => {
    const wavelet = ricker({ peakFrequency: 0.01, timeStep: 1, steps: 400 });
    expect(wavelet.indexOf(Math.max(...wavelet))).toBe(100);
    expect(wavelet[100]).toBe(1);
    expect(Math.abs(wavelet.reduce((a, b) => a + b))).toBeLessThan(0.01);
    const strength = (f: number) =>
      Math.hypot(
        wavelet.reduce((all, q, t) => all + q * Math.cos(2 * Math.PI * f * t), 0),
        wavelet.reduce((all, q, t) => all + q * Math.sin(2 * Math.PI * f * t), 0),
      );
    for (const f of [0.009, 0.011]) expect(strength(0.01)).toBeGreaterThan(strength(f));
  });
});
