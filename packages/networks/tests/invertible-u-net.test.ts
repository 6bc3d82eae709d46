import { ResidualBlock } from '@invnet/layers';
import {
  memory,
  mul,
  RandomStream,
  resetPeakMemory,
  ShapeError,
  setBackend,
  sub,
  sum,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { InvertibleUNet, LearnedSqueeze, reverse } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('LearnedSqueeze', () => {
  it('begins as a squeeze and stays orthogonal as it is trained', () => {
    const random = new RandomStream(1);
    const squeeze = new LearnedSqueeze({ channels: 2 });
    const x = random.normal([1, 2, 4, 6]);
    const { y } = squeeze.forward(x);
    expect([...y.dataSync()].sort()).toEqual([...x.dataSync()].sort());
    squeeze.parameters[0]!.assign(random.normal([8, 8]));
    const [a, b] = [random.normal([1, 2, 4, 6]), random.normal([1, 8, 2, 3])];
    const [forward, back] = [squeeze.forward(a).y, reverse(squeeze).forward(b).y];
    const [left, right] = [sum(mul(forward, b)), sum(mul(a, back))];
    expect(Math.abs(left.dataSync()[0]! - right.dataSync()[0]!)).toBeLessThan(1e-12);
    expect(forward.dataSync()).not.toEqual(
      new LearnedSqueeze({ channels: 2 }).forward(a).y.dataSync(),
    );
  });
});

describe('InvertibleUNet', () => {
  it.each([
    [1, [2, 3, 8]],
    [2, [1, 2, 4, 8]],
    [3, [1, 2, 4, 4, 8]],
  ])('maps data in %iD to their own shape and back, and keeps volumes', (ndims, shape) => {
    const net = new InvertibleUNet({ channels: shape[1]!, levels: 3, steps: 1, hidden: 3, ndims });
    const x = new RandomStream(1).normal(shape);
    const { y, logdet } = net.forward(x);
    expect(y.shape).toEqual(shape);
    expect([...logdet.dataSync()]).toEqual(shape.slice(0, 1).flatMap((n) => Array(n).fill(0)));
    const error = sub(net.inverse(y).x, x).dataSync();
    expect(Math.max(...error.map(Math.abs))).toBeLessThan(1e-12);
  });

  it('sees further with each level', () => {
    // How far from a corner a change of it reaches, along one axis.
    const reach = (levels: number) => {
      const net = new InvertibleUNet({ channels: 2, levels, steps: 1, hidden: 4, ndims: 1 });
      for (const p of net.parameters) p.assign(new RandomStream(2).normal(p.shape));
      const corner = new Float64Array(2 * 64);
      corner[0] = 1;
      const { dy } = net.jvp(zeros([1, 2, 64]), { x: tensor(corner, [1, 2, 64]) });
      return [...dy.dataSync().subarray(64)].findLastIndex((v) => v !== 0);
    };
    const [one, two, three] = [1, 2, 3].map(reach);
    expect(two!).toBeGreaterThan(one! + 4);
    expect(three!).toBeGreaterThan(two! + 4);
  });

  it('takes the memory of one coupling, whatever the depth', () => {
    const peakAt = (steps: number) => {
      const net = new InvertibleUNet({ channels: 2, levels: 2, steps, hidden: 8 });
      const random = new RandomStream(1);
      const [x, dy] = [random.normal([2, 2, 8, 8]), random.normal([2, 2, 8, 8])];
      // The first pass makes the gradients.
      for (let pass = 0; pass < 2; pass++) {
        const before = memory().liveBytes;
        resetPeakMemory();
        const { y, logdet } = net.forward(x);
        const back = net.backward(y, dy);
        const peak = memory().peakBytes - before;
        for (const t of [y, logdet, back.x, back.dx]) t.dispose();
        if (pass === 1) {
          expect(memory().liveBytes).toBe(before);
          return peak;
        }
      }
      throw new Error('no pass');
    };
    expect(peakAt(64)).toBeLessThanOrEqual(1.1 * peakAt(4));
  });

  it('takes conditioners of the caller, level by level', () => {
    const seen: number[] = [];
    const net = new InvertibleUNet({
      ...{ channels: 4, levels: 2, steps: 1 },
      conditioner: ({ inChannels, outChannels, ndims }) => {
        seen.push(inChannels);
        return new ResidualBlock({ inChannels, outChannels, ndims, hidden: 2, kernel1: 5 });
      },
    });
    // Two for each coupling, on the way down and up, at 4 channels and at 8.
    expect(seen).toEqual([2, 2, 2, 2, 4, 4]);
    expect(net.parameters.some(({ name }) => name === 'levels.0.up.0.second.conditioner.w1')).toBe(
      true,
    );
  });

  it('says what it expected', () => {
    const net = new InvertibleUNet({ channels: 2, levels: 3, steps: 1, hidden: 2 });
    for (const shape of [
      [1, 2, 6, 8],
      [1, 3, 8, 8],
      [1, 2, 8],
    ]) {
      expect(() => net.forward(zeros(shape))).toThrow(ShapeError);
    }
    expect(() => net.forward(zeros([1, 2, 6, 8]))).toThrow(/\[N, 2, H, W\].* divisible by 4/);
    for (const wrong of [
      { channels: 1 },
      { levels: 0 },
      { levels: 17 },
      { steps: 0 },
      { ndims: 0 },
    ]) {
      expect(() => new InvertibleUNet({ channels: 2, ...wrong })).toThrow(ValueError);
    }
    expect(() => new LearnedSqueeze({ channels: 0 })).toThrow(ValueError);
    expect(() => new LearnedSqueeze({ channels: 1, ndims: 4 })).toThrow(ValueError);
  });
});
