/** The checks themselves: each breaks a layer in one way, and sees the check that names it fail. */
import {
  ActNorm,
  type Bijection,
  type Conditioner,
  GlowCoupling,
  ResidualBlock,
  zeroGrad,
} from '@invnet/layers';
import { affine, ones, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { logAbsDeterminant } from '../src/determinant.ts';
import { assertBijection, CheckError, checkBijection, vjp } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const input = () => new RandomStream(1).normal([2, 3, 4]);

/** A working layer with some methods replaced. */
function broken(change: (good: ActNorm) => Partial<Bijection>): Bijection {
  const good = new ActNorm({ channels: 3 });
  good.forward(affine(input(), 2, 1));
  const methods: Bijection = {
    parameters: good.parameters,
    forward: (x) => good.forward(x),
    inverse: (y) => good.inverse(y),
    backward: (y, dy, options) => good.backward(y, dy, options),
    backwardInverse: (x, dx, options) => good.backwardInverse(x, dx, options),
    jvp: (x, tangent) => good.jvp(x, tangent),
    jvpInverse: (y, tangent) => good.jvpInverse(y, tangent),
  };
  return { ...methods, ...change(good) };
}

const double = (t: Tensor) => affine(t, 2);

describe('the checks', () => {
  it('pass a working layer', async () => {
    await assertBijection(
      broken(() => ({})),
      { x: input() },
    );
  });

  it.each<[string, (good: ActNorm) => Partial<Bijection>]>([
    ['round trip', (good) => ({ inverse: (y) => ({ ...good.inverse(y), x: double(y) }) })],
    [
      'log-determinant of the full Jacobian',
      (good) => ({
        jvp: (x, tangent) => {
          const result = good.jvp(x, tangent);
          return { ...result, logdet: double(result.logdet) };
        },
      }),
    ],
    [
      'gradient of the input',
      (good) => ({
        backward: (y, dy, options) => {
          const { x, dx } = good.backward(y, dy, options);
          return { x, dx: double(dx) };
        },
      }),
    ],
    [
      'gradient of scale',
      (good) => ({
        backward: (y, dy) => good.backward(y, dy),
      }),
    ],
    [
      'gradients accumulate',
      (good) => ({
        backward: (y, dy, options) => {
          zeroGrad(good.parameters);
          return good.backward(y, dy, options);
        },
      }),
    ],
    [
      'tangent of the log-determinant',
      (good) => ({
        jvp: (x, tangent) => {
          const result = good.jvp(x, tangent);
          return { ...result, dlogdet: affine(result.dlogdet, 1, 0.1) };
        },
      }),
    ],
    [
      '⟨Jv, w⟩',
      (good) => ({ backwardInverse: (x, dx, o) => good.backwardInverse(x, double(dx), o) }),
    ],
    [
      'frozen parameters',
      (good) => ({
        backward: (y, dy, options) => {
          good.shift.attachGrad(ones([3]));
          return good.backward(y, dy, options);
        },
      }),
    ],
    [
      'memory left by apply',
      (good) => ({
        forward: (x) => {
          ones([7]);
          return good.forward(x);
        },
      }),
    ],
    [
      'memory left by backward',
      (good) => ({
        backward: (y, dy, options) => {
          const result = good.backward(y, dy, options);
          options?.dlogdet?.dispose();
          return result;
        },
      }),
    ],
  ])('see a broken %s', async (name, change) => {
    // A layer that disposes its argument makes later checks throw, which is a failure as well.
    const results = await checkBijection(broken(change), { x: input() }).catch(() => undefined);
    if (results) expect(results.some((r) => r.name.includes(name) && !r.passed)).toBe(true);
    else expect(name).toBe('memory left by backward');
  });

  it('say all that they found', async () => {
    const f = broken((good) => ({ inverse: (y) => ({ ...good.inverse(y), x: double(y) }) }));
    const failure = assertBijection(f, { x: input() });
    await expect(failure).rejects.toThrow(CheckError);
    await expect(failure).rejects.toThrow(/FAILED forward: round trip/);
  });

  it('rest on a determinant that is right', () => {
    expect(logAbsDeterminant([0, 2, 3, 1], 2)).toBeCloseTo(Math.log(6), 14);
    expect(logAbsDeterminant([1, 2, 2, 4], 2)).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe('conditioners', () => {
  /** Counts the evaluations of a conditioner. */
  function counted(inner: Conditioner): { conditioner: Conditioner; count: () => number } {
    let evaluations = 0;
    const conditioner: Conditioner = {
      parameters: inner.parameters,
      forward: (x) => {
        evaluations += 1;
        return inner.forward(x);
      },
      backward: (dy, saved) => inner.backward(dy, saved),
      jvp: (x, tangent) => inner.jvp(x, tangent),
    };
    return { conditioner, count: () => evaluations };
  }

  it.each(['backward', 'backwardInverse'] as const)('are evaluated once in %s', (method) => {
    const block = new ResidualBlock({ inChannels: 2, hidden: 3, outChannels: 4, ndims: 1 });
    const { conditioner, count } = counted(block);
    const coupling = new GlowCoupling({ channels: 4, conditioner });
    const y = new RandomStream(2).normal([2, 4, 5]);
    coupling[method](y, y, { dlogdet: ones([2]) });
    expect(count()).toBe(1);
  });
});

describe('vjp', () => {
  it('returns gradients and leaves those that were there', () => {
    const norm = new ActNorm({ channels: 3 });
    const { y } = norm.forward(input());
    const dlogdet = ones([2]);
    norm.backward(y, y, { dlogdet });
    const accumulated = norm.scale.grad!.dataSync();
    const { dx, gradients } = vjp(norm, y, y, { dlogdet });
    expect(norm.scale.grad!.dataSync()).toEqual(accumulated);
    expect(gradients.get(norm.scale)!.dataSync()).toEqual(accumulated);
    expect(dx.shape).toEqual([2, 3, 4]);
    norm.shift.frozen = true;
    expect(vjp(norm, y, y).gradients.has(norm.shift)).toBe(false);
  });
});
