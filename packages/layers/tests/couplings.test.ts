/** What couplings leave behind, and what they expect. */
import { memory, RandomStream, setBackend, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { GlowCoupling, ResidualBlock, relu, softplus } from '../src/index.ts';

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
    const short = new ResidualBlock({ inChannels: 2, hidden: 2, outChannels: 3 });
    const coupling = new GlowCoupling({ channels: 4, conditioner: short });
    expect(() => coupling.forward(zeros([1, 4, 2, 2]))).toThrow(/3.*expected 4/);
  });
});
