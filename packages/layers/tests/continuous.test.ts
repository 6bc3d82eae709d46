import {
  BackendError,
  getBackend,
  memory,
  RandomStream,
  resetPeakMemory,
  setBackend,
  sub,
  type Tensor,
  tensor,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Bijection,
  ConditionerField,
  ContinuousFlow,
  MidpointFlow,
  SmoothField,
  TrainingStep,
  withoutLogdet,
  zeroGrad,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const random = () => new RandomStream(3);
const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const gap = (a: Tensor, b: Tensor) => Math.max(...numbers(sub(a, b)).map(Math.abs));

/** A field that bends samples well away from where they start. */
function bent(options: object = {}): SmoothField {
  const field = new SmoothField({ channels: 2, hidden: [6], frequencies: 1, ...options });
  const stream = random();
  for (const p of field.parameters) p.assign(stream.normal(p.shape, 0.7));
  return field;
}

/** v = A x, whose flow is an exponential. */
function linear(): SmoothField {
  const field = new SmoothField({ channels: 2, hidden: [], frequencies: 1 });
  const [{ w, u }] = field.layers as [SmoothField['layers'][number]];
  w.assign(tensor([0.3, -1, 1, -0.1], [2, 2]));
  u.assign(zeros(u.shape));
  return field;
}

const exact = { relativeTolerance: 1e-10, absoluteTolerance: 1e-10 };
/** Each kind of flow, as exact as so many equal steps make it, and the order of its error. */
const kinds: [string, number, (field: SmoothField, steps: number) => Bijection][] = [
  ['rungeKutta4', 4, (field, n) => new ContinuousFlow({ field, solver: 'rungeKutta4', steps: n })],
  ['MidpointFlow', 2, (field, steps) => new MidpointFlow({ field, steps })],
];

describe('the solution', () => {
  /** e^(−A) x by its series, and −tr A. */
  const x = () => tensor([1, 0.5], [1, 2]);
  const solution = () => {
    let [sum, term] = [
      [1, 0.5],
      [1, 0.5],
    ];
    for (let k = 1; k < 30; k++) {
      const [p, q] = term as [number, number];
      term = [-(0.3 * p - q) / k, -(p - 0.1 * q) / k];
      sum = sum.map((s, i) => s + term[i]!);
    }
    return tensor(sum, [1, 2]);
  };

  it('of a linear field is the exponential', () => {
    const f = new ContinuousFlow({ field: linear(), ...exact });
    const { y, logdet } = f.forward(x());
    expect(gap(y, solution())).toBeLessThan(1e-9);
    expect(numbers(logdet)[0]).toBeCloseTo(-0.2, 9);
    const back = f.inverse(y);
    expect(gap(back.x, x())).toBeLessThan(1e-9);
    expect(numbers(back.logdet)[0]).toBeCloseTo(0.2, 9);
  });

  it.each(kinds)('is approached by %s with order %i', (_, order, make) => {
    const error = (steps: number) => gap(make(linear(), steps).forward(x()).y, solution());
    expect(Math.log2(error(8) / error(16))).toBeCloseTo(order, 1);
    const field = bent();
    const points = random().normal([20, 2]);
    const { logdet } = new ContinuousFlow({ field, ...exact }).forward(points);
    const off = (steps: number) => gap(make(field, steps).forward(points).logdet, logdet);
    expect(Math.log2(off(32) / off(64))).toBeCloseTo(order, 0);
  });

  it('is that of a conditioner as well, and of images', () => {
    const sizes = { channels: 1, contextChannels: 1, ndims: 1, hidden: 2, frequencies: 1 };
    const field = new ConditionerField({ ...sizes, random: random() });
    const stream = random();
    for (const p of field.parameters) p.assign(stream.normal(p.shape, 0.5));
    const [points, context] = [stream.normal([2, 1, 4]), stream.normal([1, 1, 4])];
    const solved = new ContinuousFlow({ field, relativeTolerance: 1e-8, absoluteTolerance: 1e-8 });
    const at = (x: Tensor) => solved.forward(x, context);
    const { y, logdet } = at(points);
    // The determinant of the Jacobian by central differences.
    const values = numbers(points);
    const h = 1e-3;
    const moved = (k: number, delta: number) =>
      numbers(
        at(
          tensor(
            values.map((v, i) => (i % 4 === k ? v + delta : v)),
            [2, 1, 4],
          ),
        ).y,
      );
    const columns = [0, 1, 2, 3].map((k) => {
      const [after, before] = [moved(k, h), moved(k, -h)];
      return after.map((v, i) => (v - before[i]!) / (2 * h));
    });
    for (const n of [0, 1]) {
      const matrix = columns.map((column) => column.slice(4 * n, 4 * n + 4));
      expect(numbers(logdet)[n]).toBeCloseTo(Math.log(determinant(matrix)), 5);
    }
    expect(gap(solved.inverse(y, context).x, points)).toBeLessThan(1e-6);
  });
});

function determinant(matrix: readonly (readonly number[])[]): number {
  if (matrix.length === 0) return 1;
  return matrix[0]!.reduce((sum, value, j) => {
    const minor = matrix.slice(1).map((row) => row.filter((_, k) => k !== j));
    return sum + (j % 2 === 0 ? 1 : -1) * value * determinant(minor);
  }, 0);
}

describe('a density', () => {
  it.each([
    ['MidpointFlow of 4 steps', () => new MidpointFlow({ field: bent(), steps: 4 })],
    ['ContinuousFlow', () => new ContinuousFlow({ field: bent() })],
  ] as const)('integrates to one: %s', (_, make) => {
    const [n, reach] = [100, 9];
    const step = (2 * reach) / n;
    const place = (i: number) => -reach + step * (i + 0.5);
    const grid = Array.from({ length: n * n }, (_, i) => [place(i % n), place(Math.floor(i / n))]);
    const { y, logdet } = make().forward(tensor(grid));
    const [z, l] = [numbers(y), numbers(logdet)];
    const density = l.map((v, i) => {
      const square = z[2 * i]! ** 2 + z[2 * i + 1]! ** 2;
      return Math.exp(v - square / 2) / (2 * Math.PI);
    });
    expect(density.reduce((a, b) => a + b, 0) * step * step).toBeCloseTo(1, 3);
  });
});

describe('memory', () => {
  const x = () => random().normal([50, 2]);
  /** The peak of a call above what was live, and that nothing stays. */
  const peak = (call: (x: Tensor) => object): number => {
    using input = x();
    const before = memory();
    resetPeakMemory();
    for (const t of Object.values(call(input))) t.dispose();
    const { peakBytes, liveBytes, tensors } = memory();
    expect({ liveBytes, tensors }).toEqual({
      liveBytes: before.liveBytes,
      tensors: before.tensors,
    });
    return peakBytes - before.liveBytes;
  };

  it.each(kinds)('does not grow with the number of steps: %s', (_, __, make) => {
    const [few, many] = [4, 64].map((steps) => {
      const f = make(bent(), steps);
      return peak((y) => f.forward(y));
    });
    expect(many).toBe(few);
  });

  it('nor does that of a backward, or of steps by tolerance', () => {
    const backward = (steps: number) => {
      const f = new MidpointFlow({ field: bent(), steps });
      return peak((y) => {
        const made = f.backward(y, y);
        zeroGrad(f.parameters);
        return made;
      });
    };
    expect(backward(64)).toBe(backward(4));
    const solved = (tolerance: number) => {
      const tolerances = { relativeTolerance: tolerance, absoluteTolerance: tolerance };
      const f = new ContinuousFlow({ field: bent(), ...tolerances });
      return peak((y) => f.forward(y));
    };
    expect(solved(1e-9)).toBe(solved(1e-2));
  });
});

describe('what nobody reads', () => {
  it('is not computed, and the states are the same', () => {
    const z = random().normal([5, 2]);
    const field = bent();
    for (const f of [
      new MidpointFlow({ field, steps: 3 }),
      new ContinuousFlow({ field, solver: 'rungeKutta4' }),
    ]) {
      const spare = vi.spyOn(field, 'rate');
      const { x, logdet } = withoutLogdet(() => f.inverse(z));
      expect(spare).not.toHaveBeenCalled();
      expect(numbers(logdet)).toEqual([0, 0, 0, 0, 0]);
      const read = f.inverse(z);
      expect(numbers(x)).toEqual(numbers(read.x));
      expect(numbers(read.logdet).every((l) => l !== 0)).toBe(true);
    }
  });
});

describe("Hutchinson's estimator", () => {
  const divergence = 'hutchinson';
  const x = () => tensor([[0.4, -0.7]]);

  it('is right in the mean', () => {
    const field = bent();
    const deviation = (values: readonly number[], truth: number) => {
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
      return Math.abs(mean - truth) / Math.sqrt(variance / values.length);
    };
    // Of two numbers there are but two pairs of signs, so the draws of many seeds meet both.
    const draws = (make: (seed: number) => Bijection) =>
      Array.from({ length: 40 }, (_, seed) => numbers(make(seed).forward(x()).logdet)[0]!);
    const solver = { solver: 'rungeKutta4', steps: 8 } as const;
    const [known] = numbers(new ContinuousFlow({ field, ...solver }).forward(x()).logdet);
    const solved = draws((seed) => new ContinuousFlow({ field, ...solver, divergence, seed }));
    expect(new Set(solved).size).toBe(2);
    expect(deviation(solved, known!)).toBeLessThan(3);
    // The first term of a series in the length of a step.
    const [close] = numbers(new MidpointFlow({ field, steps: 32 }).forward(x()).logdet);
    const midpoint = draws((seed) => new MidpointFlow({ field, steps: 32, divergence, seed }));
    expect(deviation(midpoint, close!)).toBeLessThan(3);
  });

  it('is one function outside of training steps, and another one after each', () => {
    const f = new MidpointFlow({ field: bent(), steps: 3, divergence, seed: 5 });
    const points = random().normal([8, 2]);
    const { y, logdet } = f.forward(points);
    expect(numbers(f.inverse(y).logdet).map((l) => -l)).toEqual(
      numbers(logdet).map((l) => expect.closeTo(l, 10)),
    );
    const step = new TrainingStep();
    step.run(() => f.forward(points));
    expect(numbers(f.forward(points).logdet)).toEqual(numbers(logdet));
    step.commit();
    expect(numbers(f.forward(points).logdet)).not.toEqual(numbers(logdet));
    expect(f.draws?.value).toBe(1);
  });

  it('has the gradient of the estimate', () => {
    const f = new MidpointFlow({ field: bent(), steps: 2, divergence, seed: 5 });
    const total = () => numbers(f.forward(x()).logdet).reduce((a, b) => a + b, 0);
    const { y } = f.forward(x());
    f.backward(y, zeros(y.shape), { dlogdet: tensor([1]) });
    for (const p of f.parameters) {
      const values = numbers(p.data);
      const at = (delta: number) => {
        p.assign(tensor([values[0]! + delta, ...values.slice(1)], p.shape));
        return total();
      };
      const h = 1e-5;
      const expected = (at(h) - at(-h)) / (2 * h);
      at(0);
      expect(numbers(p.grad ?? zeros(p.shape))[0], p.name).toBeCloseTo(expected, 8);
    }
  });
});

describe('what cannot be', () => {
  const x = () => random().normal([2, 2]);

  it('is refused with what to do instead', () => {
    const field = bent();
    const kinked = new ConditionerField({ channels: 2 });
    const f = new ContinuousFlow({ field: kinked });
    const options: [() => unknown, RegExp][] = [
      [() => new MidpointFlow({ field: kinked as never }), /expected a SmoothField/],
      [() => new MidpointFlow({ field, seed: 3 }), /seed is given, and divergence 'exact'/],
      [
        () => new ContinuousFlow({ field, solver: 'rungeKutta4', relativeTolerance: 1e-3 }),
        /solver 'rungeKutta4' has none/,
      ],
      [() => f.backward(x(), x()), /backward: a ConditionerField is differentiated once/],
      [() => f.backwardInverse(x(), x()), /backwardInverse: a ConditionerField .* flowMatching/],
      [() => f.jvp(x(), { x: x() }), /jvp: a ConditionerField .* flowMatching/],
      [() => f.jvpInverse(x(), { x: x() }), /jvpInverse: a ConditionerField .* flowMatching/],
      [() => field.velocity(x(), 1.5), /t is 1.5; expected a time from 0 to 1/],
      [() => bent({ contextChannels: 1 }).velocity(x(), 0.5), /expected a context, got none/],
      [() => f.forward(x(), x()), /nothing here uses one/],
    ];
    for (const [call, message] of options) expect(call).toThrow(message);
  });

  it('ends in an error where steps do not converge or do not end', () => {
    const wild = bent();
    const [{ w }] = wild.layers as [SmoothField['layers'][number]];
    w.assign(random().normal(w.shape, 40));
    expect(() => new MidpointFlow({ field: wild, steps: 1 }).forward(x())).toThrow(
      /MidpointFlow: after 1000 iterations .* More steps make each shorter/,
    );
    const before = memory();
    expect(() => new ContinuousFlow({ field: wild, ...exact, steps: 5 }).forward(x())).toThrow(
      /after 5 steps .* expected a velocity that is finite/,
    );
    expect(memory().tensors - before.tensors).toBe(1);
  });

  it('has a reach, beyond which velocities no longer grow', async () => {
    await setBackend('reference', { dtype: 'float32' });
    const away = (options: object) => {
      const field = new SmoothField({ channels: 2, hidden: [], frequencies: 1, ...options });
      const [{ w, u }] = field.layers as [SmoothField['layers'][number]];
      w.assign(tensor([150, 0, 0, 150], [2, 2]));
      u.assign(zeros(u.shape));
      return field;
    };
    const start = tensor([3, -0.01], [1, 2]);
    const far = new ContinuousFlow({ field: away({}) });
    expect(() => far.inverse(start)).toThrow(/expected a velocity that is finite/);
    const near = new ContinuousFlow({ field: away({ reach: 2 }) });
    const { x: end } = near.inverse(start);
    // From −0.01 to −2 in the time log(200)/150, and on from there by 300 a unit of time.
    const rest = 1 - Math.log(200) / 150;
    expect(gap(end, tensor([303, -2 - 300 * rest], [1, 2]))).toBeLessThan(0.02);
    expect(() => away({ reach: 0 })).toThrow(/SmoothField: reach is 0/);
  });

  it('is no rounding within a field', async () => {
    await setBackend('reference', { dtype: 'float32' });
    const field = bent({ hidden: [2] });
    const [first, last] = field.layers as [
      SmoothField['layers'][number],
      (typeof field.layers)[number],
    ];
    // Two large numbers that nearly cancel, of which a step of the iteration sees other digits.
    first.w.assign(tensor([2, 1, 2, 1], [2, 2]));
    first.u.assign(zeros(first.u.shape));
    first.b.assign(tensor([0, 1e-4]));
    last.w.assign(tensor([2000, -2000, -2000, 2000], [2, 2]));
    const f = new MidpointFlow({ field, steps: 8 });
    const points = random().normal([200, 2]);
    expect(gap(f.inverse(f.forward(points).y).x, points)).toBeLessThan(1e-3);
  });

  it('needs equal steps where numbers are not read at once', () => {
    const read = vi.spyOn(getBackend(), 'readSync').mockImplementation(() => {
      throw new BackendError('later');
    });
    expect(() => new ContinuousFlow({ field: bent() }).forward(x())).toThrow(/rungeKutta4/);
    const { y } = new ContinuousFlow({ field: bent(), solver: 'rungeKutta4' }).forward(x());
    const { y: other } = new MidpointFlow({ field: bent(), steps: 40 }).forward(x());
    read.mockRestore();
    expect(gap(y, other)).toBeLessThan(0.02);
  });
});
