import { Parameter } from '@invnet/layers';
import { memory, setBackend, tensor, ValueError } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  clipFactor,
  constant,
  gradientNorm,
  oneCycle,
  plateau,
  warmupCosine,
} from '../src/index.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

describe('schedules', () => {
  it('stay constant', () => {
    expect(constant(0.1)(0)).toBe(0.1);
    expect(constant(0.1)(1e6)).toBe(0.1);
  });

  it('warm up, then fall along a cosine', () => {
    const rate = warmupCosine({ rate: 1, warmup: 4, steps: 14, finalRate: 0.2 });
    expect([0, 1, 2, 3].map(rate)).toEqual([0.25, 0.5, 0.75, 1]);
    expect(rate(4)).toBe(1);
    expect(rate(9)).toBeCloseTo(0.6, 12);
    expect(rate(14)).toBeCloseTo(0.2, 12);
    expect(rate(1000)).toBeCloseTo(0.2, 12);
    expect(warmupCosine({ rate: 1, steps: 10 })(0)).toBe(1);
  });

  it('of one cycle have a rate for any number of updates', () => {
    for (const [rise, steps] of [
      [0.5, 2],
      [0.25, 4],
      [0.3, 1],
    ] as const) {
      const schedule = oneCycle({ rate: 1, rise });
      const rates = Array.from({ length: steps }, (_, step) => schedule(step, steps));
      expect(rates.every((rate) => rate > 0 && rate <= 1)).toBe(true);
    }
    expect(oneCycle({ rate: 1, rise: 0.5 })(0, 2)).toBe(1);
  });

  it('of a plateau take an infinite loss for one that is not better', () => {
    const schedule = plateau({ rate: 1, factor: 0.5, patience: 1 });
    const losses = [Number.POSITIVE_INFINITY, 3, Number.POSITIVE_INFINITY, 4];
    const rates = losses.map((loss) => {
      schedule.observe(loss);
      schedule.load(JSON.parse(JSON.stringify(schedule.state())));
      return schedule(0);
    });
    expect(rates).toEqual([1, 1, 1, 0.5]);
    expect(() => schedule.observe(Number.NaN)).toThrow('the loss is NaN');
  });

  it('refuse what makes no sense', () => {
    expect(() => constant(-1)).toThrow(ValueError);
    expect(() => constant(Number.NaN)).toThrow(/rate is NaN/);
    const whole = { rate: 1, steps: 10 };
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      for (const name of ['rate', 'steps', 'warmup', 'finalRate']) {
        expect(() => warmupCosine({ ...whole, [name]: bad })).toThrow(`${name} is `);
      }
    }
    expect(() => warmupCosine({ ...whole, warmUp: 2 } as never)).toThrow(/no option 'warmUp'/);
    expect(() => warmupCosine({ rate: 1, steps: 10, warmup: 10 })).toThrow(
      /warmup 10 and steps 10/,
    );
  });
});

describe('clipping', () => {
  it('takes all gradients as one vector', async () => {
    const a = new Parameter('a', tensor([0, 0]));
    const b = new Parameter('b', tensor([[0], [0]]));
    const c = new Parameter('c', tensor([0]));
    expect(await gradientNorm([a, b, c])).toBe(0);
    using ga = tensor([1, 2]);
    using gb = tensor([[2], [4]]);
    a.accumulateGrad(ga);
    b.accumulateGrad(gb);
    const before = memory();
    expect(await gradientNorm([a, b, c])).toBe(5);
    expect(memory().liveBytes).toBe(before.liveBytes);
    expect(memory().tensors).toBe(before.tensors);
  });

  it('finds the norm of all gradients that are finite', async () => {
    await setBackend('wasm');
    const p = new Parameter('p', tensor([0, 0]));
    for (const size of [5.7e22, 1e-25, 3e38]) {
      p.zeroGrad();
      using g = tensor([3 * (size / 5), 4 * (size / 5)]);
      p.accumulateGrad(g);
      const norm = await gradientNorm([p]);
      expect(norm / size).toBeCloseTo(1, 6);
      expect(clipFactor(norm, 1)).toBe(Math.min(1, 1 / norm));
    }
    await setBackend('reference', { dtype: 'float64' });
  });

  it('scales down, never up', () => {
    expect(clipFactor(5, 1)).toBe(0.2);
    expect(clipFactor(0.5, 1)).toBe(1);
    expect(clipFactor(0, 1)).toBe(1);
    for (const norm of [Number.NaN, Number.POSITIVE_INFINITY, -1, '2' as unknown as number]) {
      expect(() => clipFactor(norm, 1)).toThrow(/norm is .*at least 0/);
    }
    for (const maxNorm of [0, -1, Number.NaN, '2' as unknown as number]) {
      expect(() => clipFactor(1, maxNorm)).toThrow(ValueError);
    }
  });
});
