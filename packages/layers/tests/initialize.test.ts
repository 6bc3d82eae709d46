/** Data-dependent initialization: on purpose, once, on data that are fit for it. */
import {
  add,
  affine,
  concat,
  full,
  memory,
  ones,
  RandomStream,
  setBackend,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ActNorm,
  BatchNorm,
  ConditionalGlowCoupling,
  Conv1x1,
  compose,
  GlowCoupling,
  Identity,
  initialize,
  initializeSync,
  isInitialized,
  namedBuffers,
  ResNet,
  resetInitialization,
  reverse,
  type TensorBuffer,
  TrainingStep,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const network = () =>
  compose(
    new ActNorm({ channels: 3 }),
    new Conv1x1({ channels: 3, random: new RandomStream(2) }),
    new ActNorm({ channels: 3 }),
  );
const data = (seed = 1) => tidy(() => affine(new RandomStream(seed).normal([5, 3, 4]), 30, 7));
const numbers = (net: { parameters: readonly { data: Tensor }[] }) =>
  net.parameters.map((p) => [...p.data.dataSync()]);

/** Mean and variance of each channel of [N, C, P]. */
function moments(x: Tensor): [number, number][] {
  const [n, c, p] = x.shape as [number, number, number];
  const values = x.dataSync();
  return Array.from({ length: c }, (_, k) => {
    const own = Array.from(
      { length: n * p },
      (_, i) => values[(Math.floor(i / p) * c + k) * p + (i % p)]!,
    );
    const average = own.reduce((a, b) => a + b, 0) / own.length;
    return [average, own.reduce((a, b) => a + (b - average) ** 2, 0) / own.length];
  });
}

function expectNormal(x: Tensor): void {
  for (const [average, variance] of moments(x)) {
    expect(average).toBeCloseTo(0, 9);
    expect(variance).toBeCloseTo(1, 9);
  }
}

describe('initialize', () => {
  it('normalizes what training sees, forwards or reversed, and once', async () => {
    const net = network();
    await initialize(net, data());
    expectNormal(net.forward(data()).y);
    const before = numbers(net);
    await initialize(net, data(2));
    initializeSync(net, data(3));
    expect(numbers(net)).toEqual(before);
    const reversed = reverse(network());
    await initialize(reversed, data());
    expectNormal(reversed.forward(data()).y);
  });

  it('does at once what it does later', async () => {
    const [a, b] = [network(), network()];
    await initialize(a, data());
    initializeSync(b, data());
    expect(numbers(a)).toEqual(numbers(b));
  });

  it('is the only thing that does it: looking at a network changes nothing', () => {
    const net = network();
    const before = numbers(net);
    const tensors = memory().tensors;
    const x = data();
    for (const probe of [
      () => net.forward(x),
      () => net.inverse(x),
      () => net.backward(x, x),
      () => net.backwardInverse(x, x),
      () => net.jvp(x, { x }),
      () => net.jvpInverse(x, { x }),
    ]) {
      for (const t of Object.values(probe())) (t as Tensor).dispose();
    }
    for (const p of net.parameters) p.zeroGrad();
    x.dispose();
    expect(numbers(net)).toEqual(before);
    expect(isInitialized(net)).toBe(false);
    expect(memory().tensors).toBe(tensors);
  });

  it('leaves alone what was assigned, trained or frozen before', async () => {
    const net = network();
    const [first, , last] = net.layers as [ActNorm, Conv1x1, ActNorm];
    first.scale.assign(tensor([2, 4, 8]));
    last.scale.frozen = true;
    expect(isInitialized(net)).toBe(true);
    last.scale.frozen = false;
    expect(isInitialized(net)).toBe(false);
    last.shift.frozen = true;
    await initialize(net, data());
    expect([...first.scale.data.dataSync()]).toEqual([2, 4, 8]);
    expect([...last.scale.data.dataSync()]).toEqual([1, 1, 1]);
    const trained = new ActNorm({ channels: 3 });
    trained.shift.changed();
    expect(isInitialized(trained)).toBe(true);
  });

  it('can be undone', async () => {
    const net = network();
    const before = numbers(net);
    await initialize(net, data());
    resetInitialization(net);
    expect(numbers(net)).toEqual(before);
    expect(isInitialized(net)).toBe(false);
    await initialize(net, data(4));
    expectNormal(net.forward(data(4)).y);
  });
});

describe('data that are not fit', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'with a %s are refused, and nothing changes',
    async (bad) => {
      const net = network();
      const before = numbers(net);
      const x = concat([data(), tensor(bad, [1, 3, 4])], 0);
      const tensors = memory().tensors;
      await expect(initialize(net, x)).rejects.toThrow(ValueError);
      await expect(initialize(net, x)).rejects.toThrow(
        /the data \[6, 3, 4\] holds .*Sequential is as it was/,
      );
      expect(() => initializeSync(net, x)).toThrow(/expected finite numbers/);
      expect(numbers(net)).toEqual(before);
      expect(isInitialized(net)).toBe(false);
      expect(memory().tensors).toBe(tensors);
      await initialize(net, data());
      expectNormal(net.forward(data()).y);
    },
  );

  it('for what lies behind, or of a wrong shape, leave all of it as it was', async () => {
    const overflowing = compose(
      new ActNorm({ channels: 2 }),
      new Overflow(),
      new ActNorm({ channels: 2 }),
    );
    const before = numbers(overflowing);
    await expect(initialize(overflowing, new RandomStream(1).normal([4, 2]))).rejects.toThrow(
      /what the data give for 'scale' of a ActNorm/,
    );
    expect(numbers(overflowing)).toEqual(before);
    expect(isInitialized(overflowing)).toBe(false);
    const late = compose(new ActNorm({ channels: 2 }), new Failing());
    await expect(initialize(late, ones([4, 2]))).rejects.toThrow(/no/);
    expect(isInitialized(late)).toBe(false);
    await expect(initialize(network(), ones([2, 2, 4]))).rejects.toThrow(/2 channels; expected 3/);
  });

  it('with a context that is not finite are refused as well', async () => {
    const net = compose(
      new ActNorm({ channels: 2 }),
      new ConditionalGlowCoupling({ channels: 2, contextChannels: 1, ndims: 0, hidden: 2 }),
    );
    const context = tensor(Number.NaN, [4, 1]);
    await expect(initialize(net, ones([4, 2]), { context })).rejects.toThrow(
      /the context holds NaN/,
    );
    expect(isInitialized(net)).toBe(false);
  });

  it.each<[string, () => Tensor, readonly number[]]>([
    ['a constant channel', () => full([6, 1, 3], 0.1), [1]],
    ['a large constant', () => full([1000, 1], 12345.678), [1]],
    ['zeros', () => full([6, 1], 0), [1]],
    ['one sample without positions', () => tensor([[5, -3]]), [1, 1]],
    [
      'one constant and one that varies',
      () =>
        tensor([
          [1, 0],
          [1, 2],
        ]),
      [1, 1],
    ],
  ])('keep the scale 1 for a channel without variance: %s', async (_, make, scale) => {
    for (const dtype of ['float64', 'float32'] as const) {
      await setBackend('reference', { dtype });
      const x = make();
      const norm = new ActNorm({ channels: x.shape[1]! });
      await initialize(norm, x);
      expect([...norm.scale.data.dataSync()]).toEqual(scale);
      const { y } = norm.forward(x);
      expect(Math.abs(y.dataSync()[0]!)).toBeLessThan(scale.length === 2 ? 1.1 : 1e-2);
    }
  });

  it('scale what is small as what is large', async () => {
    for (const factor of [1e-12, 1e-6, 1e6]) {
      const x = affine(data(), factor);
      const norm = new ActNorm({ channels: 3 });
      await initialize(norm, x);
      expectNormal(norm.forward(x).y);
    }
  });
});

describe('a training step', () => {
  it('initializes what it meets, and a step that is taken back did not', () => {
    const net = network();
    const before = numbers(net);
    const step = new TrainingStep();
    step.run(() => net.forward(data()));
    expect(isInitialized(net)).toBe(true);
    step.rollback();
    expect(numbers(net)).toEqual(before);
    expect(isInitialized(net)).toBe(false);
    const second = new TrainingStep();
    second.run(() => net.forward(data()));
    second.commit();
    expectNormal(net.forward(data()).y);
  });

  it('moves running statistics once, however often the block is evaluated, and without bias', () => {
    const norm = new BatchNorm({ channels: 1, momentum: 0.25 });
    const x = tensor([1, 2, 3, 6], [4, 1]);
    const tensors = memory().tensors;
    const step = new TrainingStep();
    step.run(() => {
      for (let i = 0; i < 3; i++) {
        const { y, saved } = norm.forward(x);
        norm.backward(y, saved).dx.dispose();
        saved.dispose();
        y.dispose();
      }
    });
    expect([...norm.runningMean.data.dataSync()]).toEqual([0]);
    step.commit();
    // Mean 3; Σ(x − 3)² = 14, over 3.
    expect(norm.runningMean.data.dataSync()[0]).toBeCloseTo(0.75, 12);
    expect(norm.runningVariance.data.dataSync()[0]).toBeCloseTo(0.75 + 0.25 * (14 / 3), 12);
    for (const p of norm.parameters) p.zeroGrad();
    expect(memory().tensors).toBe(tensors);
  });

  it('is the only thing that moves them', async () => {
    const block = new ResNet({ inChannels: 1, hidden: 2, outChannels: 2, ndims: 1, blocks: 1 });
    const net = new GlowCoupling({ channels: 2, conditioner: block });
    const statistics = () =>
      [...namedBuffers(block).values()].map((b) => [...(b as TensorBuffer).data.dataSync()]);
    const before = statistics();
    const x = new RandomStream(1).normal([4, 2, 5]);
    net.forward(x);
    net.backward(x, x);
    net.backwardInverse(x, x);
    net.jvp(x, { x });
    net.jvpInverse(x, { x });
    await initialize(net, x);
    const dropped = new TrainingStep();
    dropped.run(() => net.forward(x));
    dropped.rollback();
    net.training = false;
    const evaluated = new TrainingStep();
    evaluated.run(() => net.forward(x));
    evaluated.commit();
    expect(statistics()).toEqual(before);
    net.training = true;
    const step = new TrainingStep();
    step.run(() => net.jvp(x, { x }));
    step.commit();
    expect(statistics()).toEqual(before);
    const counted = new TrainingStep();
    counted.run(() => net.forward(x));
    counted.commit();
    expect(statistics()).not.toEqual(before);
  });
});

/** Makes numbers that are not finite of those that are. */
class Overflow extends Identity {
  static override readonly type: string = 'Overflow';
  protected override apply(x: Tensor) {
    return { y: add(affine(x, 1e200), affine(x, 1e308)) };
  }
}

class Failing extends Overflow {
  static override readonly type: string = 'Failing';
  protected override apply(): never {
    throw new ValueError('no');
  }
}
