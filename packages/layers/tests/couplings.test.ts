/** What couplings leave behind, and what they expect. */
import {
  add,
  concat,
  log,
  memory,
  mul,
  neg,
  RandomStream,
  setBackend,
  sigmoid,
  split,
  sub,
  sumPerSample,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  CustomBlock,
  exp,
  GlowCoupling,
  named,
  ResidualBlock,
  relu,
  reverse,
  softplus,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('a coupling', () => {
  it('leaves nothing behind but what it returns', () => {
    const coupling = new GlowCoupling({ channels: 4, hidden: 3 });
    const x = new RandomStream(1).normal([2, 4, 3, 3]);
    const before = memory().tensors;
    const { y, logdet } = coupling.forward(x);
    expect(memory().tensors - before).toBe(2);
    y.dispose();
    logdet.dispose();
  });

  it('says what it expected', () => {
    expect(() => new GlowCoupling({ channels: 1 })).toThrow(/channels is 1.*at least 2/);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: relu() })).toThrow(ValueError);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: softplus() })).toThrow(/positive/);
    const parted = (...sizes: number[]) =>
      new GlowCoupling({ channels: 4, split: sizes as unknown as [number, number] });
    expect(() => parted(2, 3)).toThrow(/split is \[2, 3\]; .* add up to 4/);
    expect(() => parted(4, 0)).toThrow(/split is 0/);
    expect(() => parted(4)).toThrow(/expected two numbers/);
    const split = 0.5 as unknown as [number, number];
    expect(() => new GlowCoupling({ channels: 4, split })).toThrow(/0.5; expected two numbers of/);
    const moves = { channels: 4, moves: 'third' as 'first' };
    expect(() => new GlowCoupling(moves)).toThrow(/'third'; expected one of 'first', 'second'/);
    const short = new ResidualBlock({ inChannels: 2, hidden: 2, outChannels: 3 });
    const coupling = new GlowCoupling({ channels: 4, conditioner: short });
    expect(() => coupling.forward(zeros([1, 4, 2, 2]))).toThrow(/3.*expected 4/);
  });

  it.each(['reference', 'wasm'] as const)('moves the part that it is told, on %s', async (name) => {
    await setBackend(name);
    const x = new RandomStream(1).normal([2, 5, 3]);
    const parts = { channels: 5, hidden: 3, ndims: 1, split: [3, 2] as const };
    for (const moves of ['first', 'second'] as const) {
      const { y } = new GlowCoupling({ ...parts, moves }).forward(x);
      const still = y.dataSync().map((v: number, i: number) => Number(v === x.dataSync()[i]));
      const channels = Array.from({ length: 10 }, (_, c) => still[3 * c]);
      const [a, b] = moves === 'first' ? [0, 1] : [1, 0];
      expect(channels).toEqual([a, a, a, b, b, a, a, a, b, b]);
    }
  });

  it('is described with the parts that it was given', () => {
    const options = (given: object) =>
      Object.keys(new GlowCoupling({ channels: 5, hidden: 3, ...given }).options);
    const [channels, ...others] = ['channels', 'conditioner', 'scaleFunction'];
    expect(options({})).toEqual([channels, ...others]);
    const given = { split: [2, 3], moves: 'second' };
    expect(options(given)).toEqual([channels, 'split', 'moves', ...others]);
  });

  it('is (x + t)⊙σ(r) in reverse, by the reciprocal of the scale and a shift of −t', () => {
    const [r, t] = [new RandomStream(1).normal([2, 2]), new RandomStream(2).normal([2, 2])];
    const negative = named('negative', {
      forward: () => ({ y: neg(concat([r, t], 1)), saved: {} }),
      backward: (dy: Tensor) => ({ dx: dy }),
    });
    const conditioner = new CustomBlock(negative);
    const coupling = new GlowCoupling({ channels: 4, conditioner, scaleFunction: exp({ low: 1 }) });
    const x = new RandomStream(3).normal([2, 4]);
    const { y, logdet } = reverse(coupling).forward(x);
    const [, moved] = split(y, 1, [2, 2]);
    const [, x2] = split(x, 1, [2, 2]);
    const gap = (a: Tensor, b: Tensor) => Math.max(...sub(a, b).dataSync().map(Math.abs));
    expect(gap(moved!, mul(add(x2!, t), sigmoid(r)))).toBeLessThan(1e-14);
    expect(gap(logdet, sumPerSample(log(sigmoid(r))))).toBeLessThan(1e-14);
  });
});
