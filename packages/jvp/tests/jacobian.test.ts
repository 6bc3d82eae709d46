/** The Jacobians of layers and networks, and what they leave as it was. */
import {
  ActNorm,
  type Bijection,
  Conv1x1,
  compose,
  HyperbolicLayer,
  initialize,
  reverse,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  clone,
  memory,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { addInPlace, dotTest, jacobian, vjp } from '../src/index.ts';
import { scatterParameters } from './rows.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor) => [...t.dataSync()];

describe('jacobian', () => {
  const makeGlow = async () => {
    const net = new Glow({
      channels: 1,
      hidden: 4,
      scales: 2,
      steps: 1,
      random: new RandomStream(3),
    });
    const x = new RandomStream(1).normal([2, 1, 4, 8]);
    await initialize(net, x);
    scatterParameters(net);
    return { net, x };
  };

  it.each(['input', 'parameters', 'both'] as const)(
    'of Glow with %s has its adjoint',
    async (moving) => {
      const { net, x } = await makeGlow();
      const before = memory().liveBytes;
      const J = jacobian(net, x, { with: moving, logdet: true });
      expect((await dotTest(J)).error).toBeLessThan(1e-11);
      J.dispose();
      expect(memory().liveBytes).toBe(before);
    },
  );

  it('is the derivative along a direction of input and parameters', async () => {
    const { net, x } = await makeGlow();
    const J = jacobian(net, x, { with: 'both' });
    const random = new RandomStream(8);
    const dx = random.normal(x.shape);
    const list = J.parameters.map((p) => random.normal(p.shape));
    const exact = numbers(J.apply([dx, list]));
    const h = 1e-6;
    const at = (step: number) => {
      const moved = tensor(
        Float64Array.from(x.dataSync(), (v, i) => v + step * dx.dataSync()[i]!),
        x.shape,
      );
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, step);
      });
      const { y } = net.forward(moved);
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, -step);
      });
      return numbers(y);
    };
    const [after, before] = [at(h), at(-h)];
    const size = Math.max(...exact.map(Math.abs));
    exact.forEach((v, i) => {
      expect(Math.abs((after[i]! - before[i]!) / (2 * h) - v) / size).toBeLessThan(1e-6);
    });
  });

  it('leaves gathered gradients alone, and frozen parameters out', async () => {
    const { net, x } = await makeGlow();
    const [first] = net.parameters;
    first!.attachGrad(ones(first!.shape));
    const J = jacobian(net, x, { with: 'parameters' });
    J.adjoint.apply(new RandomStream(2).normal(x.shape));
    expect(numbers(first!.grad!).every((v) => v === 1)).toBe(true);
    zeroGrad(net.parameters);
    first!.frozen = true;
    const rest = jacobian(net, x, { with: 'parameters' });
    expect(rest.parameters).toHaveLength(net.parameters.length - 1);
    expect(() => jacobian(net, x, { with: 'parameters', parameters: [first!] })).toThrow(
      /scales\.0\.steps\.0\.actnorm\.scale' is frozen/,
    );
    const { net: other } = await makeGlow();
    expect(() => jacobian(net, x, { with: 'both', parameters: other.parameters })).toThrow(
      /is not one of the network's/,
    );
    expect(() => J.apply([ones([1])])).toThrow(ShapeError);
  });

  it('works on pairs and with a context', async () => {
    const layer = new HyperbolicLayer({ channels: 1, ndims: 1, resolution: 'halve' });
    const random = new RandomStream(4);
    const pair = [random.normal([2, 1, 6]), random.normal([2, 1, 6])] as const;
    expect((await dotTest(jacobian(layer, pair, { with: 'both' }))).error).toBeLessThan(1e-11);
    const net = new ConditionalGlow({
      channels: 2,
      contextChannels: 1,
      scales: 1,
      ndims: 0,
      hidden: 3,
      steps: 1,
    });
    const x = random.normal([3, 2]);
    const context = random.normal([3, 1]);
    await initialize(net, x, { context });
    const J = jacobian(net, x, { with: 'both', context, logdet: true });
    expect((await dotTest(J)).error).toBeLessThan(1e-11);
  });

  const actNorm = () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, -3], [2]));
    return norm;
  };
  const glow = async () => (await makeGlow()).net;
  const shape = [2, 2, 4];
  it.each([
    ['ActNorm', actNorm, shape],
    ['a composition', () => compose(actNorm(), new Conv1x1({ channels: 2 })), shape],
    ['a reversed composition', () => reverse(compose(actNorm(), actNorm())), shape],
    ['a reversed Glow', async () => reverse(await glow()), [2, 1, 4, 8]],
  ] as const)('of %s fits central differences, log-determinant included', async (_, make, size) => {
    const net: Bijection = await make();
    const random = new RandomStream(2);
    const x = random.normal(size);
    const J = jacobian(net, x, { with: 'both', logdet: true });
    expect((await dotTest(J)).error).toBeLessThan(1e-11);
    const dx = random.normal(size);
    const list = J.parameters.map((p) => random.normal(p.shape, 0.1));
    const [dy, dlogdet] = J.apply([dx, list]);
    const exact = [...numbers(dy), ...numbers(dlogdet)];
    const h = 1e-6;
    const at = (step: number) => {
      const moved = clone(x);
      addInPlace(moved, dx, step);
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, step);
      });
      const { y, logdet } = net.forward(moved);
      J.parameters.forEach((p, i) => {
        addInPlace(p.data, list[i]!, -step);
      });
      return [...numbers(y), ...numbers(logdet)];
    };
    const [after, before] = [at(h), at(-h)];
    const largest = Math.max(...exact.map(Math.abs));
    exact.forEach((v, i) => {
      expect(Math.abs((after[i]! - before[i]!) / (2 * h) - v) / largest).toBeLessThan(1e-6);
    });
  });

  it('leaves nothing to a tidy that its results were made in', () => {
    const norm = actNorm();
    const J = jacobian(norm, ones([1, 2]), { with: 'both' });
    const before = memory();
    tidy(() => {
      J.adjoint.apply(ones([1, 2]));
    });
    const [dx, list] = tidy(() => J.adjoint.apply(ones([1, 2])));
    expect([numbers(dx), ...list.map(numbers)]).toEqual([
      [2, -3],
      [1, 1],
      [1, 1],
    ]);
    for (const t of [dx, ...list]) t.dispose();
    expect(memory().liveBytes).toBe(before.liveBytes);
  });

  it('keeps gathered gradients when backward throws', () => {
    const norm = actNorm();
    norm.scale.attachGrad(ones([2]));
    expect(() => vjp(norm, ones([1, 3]), ones([1, 3]))).toThrow();
    expect(numbers(norm.scale.grad!)).toEqual([1, 1]);
    expect(norm.shift.grad).toBeUndefined();
  });

  it('of ActNorm is its scale', () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, 3], [2]));
    const J = jacobian(norm, ones([1, 2]), { with: 'input' });
    expect(numbers(J.apply(ones([1, 2])))).toEqual([2, 3]);
  });
});
