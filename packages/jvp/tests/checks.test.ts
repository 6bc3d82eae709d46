/** The checks themselves: each breaks a layer in one way, and sees the check that names it fail. */
import {
  ActNorm,
  type BackwardOptions,
  Bijection,
  CustomBijection,
  type CustomBijectionParts,
  GlowCoupling,
  initialize,
  ResidualBlock,
  type Tangent,
  zeroGrad,
} from '@invnet/layers';
import { affine, keep, ones, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { logAbsDeterminant } from '../src/determinant.ts';
import { assertBijection, CheckError, checkBijection, vjp } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const input = () => new RandomStream(1).normal([2, 3, 4]);

/** A layer of a user's own, which leaves its maps to an ActNorm; public, so that tests replace them. */
class Layer extends Bijection {
  readonly inner: ActNorm;

  constructor(inner: ActNorm) {
    super();
    this.inner = inner;
  }

  get options() {
    return { inner: this.inner };
  }

  override apply(x: Tensor) {
    return this.inner.forward(x);
  }

  override invert(y: Tensor) {
    return this.inner.inverse(y);
  }

  override applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions) {
    return this.inner.backward(y, dy, options);
  }

  override invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions) {
    return this.inner.backwardInverse(x, dx, options);
  }

  override applyTangent(x: Tensor, tangent: Tangent) {
    return this.inner.jvp(x, tangent);
  }

  override invertTangent(y: Tensor, tangent: Tangent) {
    return this.inner.jvpInverse(y, tangent);
  }
}

type Hooks = Pick<
  Layer,
  'apply' | 'invert' | 'applyBackward' | 'invertBackward' | 'applyTangent' | 'invertTangent'
>;

/** A working layer with some of its maps replaced. */
async function broken(change: (good: ActNorm) => Partial<Hooks>): Promise<Bijection> {
  const good = new ActNorm({ channels: 3 });
  await initialize(good, affine(input(), 2, 1));
  return Object.assign(new Layer(good), change(good));
}

const double = (t: Tensor) => affine(t, 2);

describe('the checks', () => {
  it('pass a working layer', async () => {
    await assertBijection(await broken(() => ({})), { x: input() });
  });

  it.each<[string, (good: ActNorm) => Partial<Hooks>]>([
    ['round trip', (good) => ({ invert: (y) => ({ ...good.inverse(y), x: double(y) }) })],
    [
      'log-determinant of the full Jacobian',
      (good) => ({
        applyTangent: (x, tangent) => {
          const result = good.jvp(x, tangent);
          return { ...result, logdet: double(result.logdet) };
        },
      }),
    ],
    [
      'gradient of the input',
      (good) => ({
        applyBackward: (y, dy, options) => {
          const { x, dx } = good.backward(y, dy, options);
          return { x, dx: double(dx) };
        },
      }),
    ],
    ['gradient of scale', (good) => ({ applyBackward: (y, dy) => good.backward(y, dy) })],
    [
      'gradients accumulate',
      (good) => ({
        applyBackward: (y, dy, options) => {
          zeroGrad(good.parameters);
          return good.backward(y, dy, options);
        },
      }),
    ],
    [
      'tangent of the log-determinant',
      (good) => ({
        applyTangent: (x, tangent) => {
          const result = good.jvp(x, tangent);
          return { ...result, dlogdet: affine(result.dlogdet, 1, 0.1) };
        },
      }),
    ],
    [
      '⟨Jv, w⟩',
      (good) => ({ invertBackward: (x, dx, o) => good.backwardInverse(x, double(dx), o) }),
    ],
    [
      'frozen parameters',
      (good) => ({
        applyBackward: (y, dy, options) => {
          good.shift.attachGrad(ones([3]));
          return good.backward(y, dy, options);
        },
      }),
    ],
    [
      'memory left by apply',
      (good) => ({
        apply: (x) => {
          // What is not kept on purpose, the base class frees.
          keep(ones([7]));
          return good.forward(x);
        },
      }),
    ],
    [
      'memory left by backward',
      (good) => ({
        applyBackward: (y, dy, options) => {
          const result = good.backward(y, dy, options);
          options.dlogdet?.dispose();
          return result;
        },
      }),
    ],
  ])('see a broken %s', async (name, change) => {
    // A layer that disposes its argument makes later checks throw, which is a failure as well.
    const f = await broken(change);
    const results = await checkBijection(f, { x: input() }).catch(() => undefined);
    if (results) expect(results.some((r) => r.name.includes(name) && !r.passed)).toBe(true);
    else expect(name).toBe('memory left by backward');
  });

  it('say all that they found', async () => {
    const f = await broken((good) => ({ invert: (y) => ({ ...good.inverse(y), x: double(y) }) }));
    const failure = assertBijection(f, { x: input() });
    await expect(failure).rejects.toThrow(CheckError);
    await expect(failure).rejects.toThrow(/FAILED forward: round trip/);
  });

  it('check what there is of a function without its other derivatives', async () => {
    const double = {
      forward: (x: Tensor) => affine(x, 2),
      inverse: (y: Tensor) => affine(y, 0.5),
      backward: (_: Tensor, dy: Tensor) => ({ dx: affine(dy, 2) }),
    };
    const logdet = (x: Tensor) => affine(ones([x.shape[0]!]), 12 * Math.log(2));
    const failed = async (parts: CustomBijectionParts) =>
      (await checkBijection(new CustomBijection(parts), { x: input() }))
        .filter(({ passed }) => !passed)
        .map(({ name }) => name);
    expect(await failed({ ...double, logdet })).toEqual([]);
    const ofBoth = (name: string) => [`forward: ${name}`, `inverse: ${name}`];
    expect(await failed(double)).toEqual(ofBoth('log-determinant of the full Jacobian'));
    const inverse = (y: Tensor) => affine(y, 0.4);
    expect(await failed({ ...double, logdet, inverse })).toEqual(
      expect.arrayContaining(ofBoth('round trip')),
    );
    const backward = (_: Tensor, dy: Tensor) => ({ dx: affine(dy, 3) });
    expect(await failed({ ...double, logdet, backward })).toEqual([
      'forward: gradient of the input against central differences',
    ]);
  });

  it('rest on a determinant that is right', () => {
    expect(logAbsDeterminant([0, 2, 3, 1], 2)).toBeCloseTo(Math.log(6), 14);
    expect(logAbsDeterminant([1, 2, 2, 4], 2)).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe('conditioners', () => {
  it.each(['backward', 'backwardInverse'] as const)('are evaluated once in %s', (method) => {
    const conditioner = new ResidualBlock({ inChannels: 2, hidden: 3, outChannels: 4, ndims: 1 });
    const evaluations = vi.spyOn(conditioner, 'forward');
    const coupling = new GlowCoupling({ channels: 4, conditioner });
    const y = new RandomStream(2).normal([2, 4, 5]);
    coupling[method](y, y, { dlogdet: ones([2]) });
    expect(evaluations).toHaveBeenCalledTimes(1);
  });
});

describe('vjp', () => {
  it('returns gradients and leaves those that were there', async () => {
    const norm = new ActNorm({ channels: 3 });
    await initialize(norm, input());
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
