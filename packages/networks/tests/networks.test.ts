import { ActNorm, Conv1x1, HaarSqueeze, initialize } from '@invnet/layers';
import { memory, RandomStream, setBackend, tensor, ValueError, zeros } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { compose, Glow, LearnedPrior, reverse, Sequential } from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('Glow', () => {
  it('names its parameters by stable paths', () => {
    const names = new Glow({ channels: 1, hidden: 4, scales: 2, steps: 4 }).parameters.map(
      (p) => p.name,
    );
    expect(names).toContain('scales.0.steps.3.coupling.conditioner.w1');
    expect(names).toContain('scales.1.steps.0.actnorm.scale');
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(2 * 4 * (2 + 3 + 6));
  });

  it.each([
    [1, [2, 2, 8]],
    [2, [2, 1, 4, 12]],
    [3, [1, 1, 4, 4, 8]],
  ])('maps data in %iD to latent variables of its shape', (ndims, shape) => {
    for (const splitScales of [true, false]) {
      const net = new Glow({
        channels: shape[1]!,
        hidden: 3,
        scales: 2,
        steps: 1,
        ndims,
        splitScales,
      });
      const { y, logdet } = net.forward(new RandomStream(1).normal(shape));
      expect(y.shape).toEqual(shape);
      expect(logdet.shape).toEqual([shape[0]]);
    }
  });

  it('has a learned prior, which starts as none and is of the scales that channels leave', () => {
    const sizes = { channels: 2, hidden: 3, scales: 2, steps: 1 };
    const [plain, learned] = [new Glow(sizes), new Glow({ ...sizes, prior: new LearnedPrior() })];
    const x = new RandomStream(1).normal([2, 2, 4, 4]);
    expect(learned.forward(x).y.dataSync()).toEqual(plain.forward(x).y.dataSync());
    const added = learned.parameters.map((p) => p.name).filter((name) => /prior/.test(name));
    const split = ['scales.0.prior.conditioner.w', 'scales.0.prior.conditioner.b'];
    expect(added).toEqual([...split, 'scales.1.prior.p']);
    const whole = new Glow({ ...sizes, splitScales: false, prior: new LearnedPrior() });
    expect(whole.parameters.filter(({ name }) => /prior/.test(name))).toHaveLength(1);
    // What leaves, x₂, is normal with a mean and a deviation that are functions of what goes on.
    const [w, b, top] = added.map((name) => learned.parameters.find((p) => p.name === name)!);
    const [logDeviation, mean] = [0.5, 3];
    b!.assign(
      tensor([0, 0, 0, 0, mean, mean, mean, mean].map((v, i) => (i < 4 ? logDeviation : v))),
    );
    expect(w!.shape).toEqual([8, 4, 3, 3]);
    expect(top!.shape).toEqual([2 * 16]);
    const [before, after] = [plain.forward(x), learned.forward(x)];
    const moved = Array.from(after.y.dataSync());
    const [left, expected] = [new Set<number>(), Array.from(before.y.dataSync())];
    expected.forEach((v, i) => {
      if (Math.abs((v - mean) / Math.exp(logDeviation) - moved[i]!) < 1e-12) left.add(i);
      else expect(moved[i]).toBeCloseTo(v, 12);
    });
    expect(left.size).toBe(expected.length / 2);
    const change = after.logdet.dataSync()[0]! - before.logdet.dataSync()[0]!;
    expect(change).toBeCloseTo((-logDeviation * expected.length) / 2 / 2, 10);
  });

  it('knows classes by its prior alone', () => {
    const sizes = { channels: 1, hidden: 3, scales: 1, steps: 1 };
    const glow = new Glow({ ...sizes, prior: new LearnedPrior({ classes: 2 }) });
    const x = new RandomStream(1).normal([2, 1, 2, 2]);
    expect(glow.usesContext).toBe(true);
    expect(() => glow.forward(x)).toThrow(/expected a context/);
    expect(() => new LearnedPrior({ classes: 0 })).toThrow(ValueError);
    const none = true as unknown as LearnedPrior;
    expect(() => new Glow({ ...sizes, prior: none })).toThrow(/new LearnedPrior/);
    const classes = tensor([1, 0, 0, 1], [2, 2]);
    expect(glow.forward(x, classes).y.shape).toEqual([2, 1, 2, 2]);
  });

  it('knows places by its prior, with classes or without', () => {
    const sizes = { channels: 1, hidden: 3, scales: 2, steps: 1 };
    const plain = new Glow(sizes);
    const places = new Glow({ ...sizes, prior: new LearnedPrior({ size: [2, 3] }) });
    const both = new Glow({ ...sizes, prior: new LearnedPrior({ size: [2, 3], classes: 2 }) });
    const x = new RandomStream(1).normal([2, 1, 8, 12]);
    const classes = tensor([1, 0, 0, 1], [2, 2]);
    const [before, after] = [plain.forward(x), places.forward(x)];
    expect(after.y.dataSync()).toEqual(before.y.dataSync());
    expect(both.forward(x, classes).y.dataSync()).toEqual(before.y.dataSync());
    // One mean moves one number of a sample.
    const p = places.parameters.find(({ name }) => name === 'scales.1.prior.p')!;
    expect(p.shape).toEqual([16, 2, 3]);
    p.assign(
      tensor(Array.from({ length: p.size }, (_, i) => Number(i === p.size - 1))).reshape(p.shape),
    );
    const [was, is] = [before.y.dataSync(), places.forward(x).y.dataSync()];
    expect(Array.from(is).filter((v, i) => v !== was[i])).toHaveLength(2);
    expect(() => new LearnedPrior({ size: [0, 3] })).toThrow(ValueError);
    const flat = { ...sizes, prior: new LearnedPrior({ size: [2] }) };
    expect(() => new Glow(flat)).toThrow(/size is \[2\]; expected 2 numbers/);
    expect(() => new Glow({ ...flat, ndims: 0 })).toThrow(ValueError);
  });

  it('is drawn by its seed', () => {
    const weights = (seed: number) =>
      new Glow({
        channels: 1,
        hidden: 2,
        scales: 1,
        steps: 1,
        random: new RandomStream(seed),
      }).parameters.map((p) => [...p.data.dataSync()]);
    expect(weights(1)).toEqual(weights(1));
    expect(weights(1)).not.toEqual(weights(2));
  });

  it('says what it expected', () => {
    const net = new Glow({ channels: 1, hidden: 2, scales: 2, steps: 1 });
    expect(() => net.forward(zeros([1, 1, 6, 8]))).toThrow(/\[1, 1, 6, 8\].*divisible by 4/);
    expect(() => net.inverse(zeros([1, 2, 8, 8]))).toThrow(/\[N, 1, H, W\]/);
    expect(() => net.forward(zeros([1, 1, 8]))).toThrow(/\[N, 1, H, W\].* ndims: 1\./);
    expect(() => net.forward(zeros([1, 8, 8]))).toThrow(
      /first axis: \[1, 1, 8, 8\] for one sample/,
    );
    expect(() => new Glow({ channels: 1, steps: 0 })).toThrow(ValueError);
    expect(() => new Glow({ channels: 1, ndims: 4 })).toThrow(/ndims is 4/);
  });
});

describe('composition', () => {
  it('applies from left to right, frees what lies between, and names by place or key', async () => {
    const norm = new ActNorm({ channels: 4 });
    const mix = new Conv1x1({ channels: 4 });
    const net = compose(new HaarSqueeze(), norm, mix);
    expect(net.parameters.map((p) => p.name)).toEqual([
      '1.scale',
      '1.shift',
      '2.v1',
      '2.v2',
      '2.v3',
    ]);
    const x = new RandomStream(1).normal([3, 1, 4, 4]);
    await initialize(net, x);
    const before = memory().tensors;
    const { y, logdet } = net.forward(x);
    expect(memory().tensors - before).toBe(2);
    const squeezed = new HaarSqueeze().forward(x).y;
    expect(mix.forward(norm.forward(squeezed).y).y.dataSync()).toEqual(y.dataSync());
    expect(norm.forward(squeezed).logdet.dataSync()).toEqual(logdet.dataSync());
    expect(logdet.dataSync()[0]).not.toBe(0);
    expect(new Sequential({ a: new ActNorm({ channels: 1 }) }).parameters[0]!.name).toBe('a.scale');
    expect(() => new Sequential([])).toThrow(ValueError);
  });

  it('reverses, and twice gives back the same', async () => {
    const net = new Glow({ channels: 1, hidden: 2, scales: 1, steps: 1 });
    const x = new RandomStream(1).normal([2, 1, 2, 2]);
    await initialize(net, x);
    const { y } = net.forward(x);
    expect(reverse(net).forward(y).y.dataSync()).toEqual(net.inverse(y).x.dataSync());
    expect(reverse(reverse(net))).toBe(net);
    // Another list, since its module is another one, of the same parameters under the same names.
    const reversed = reverse(net).parameters;
    expect(reversed.map((p) => p.name)).toEqual(net.parameters.map((p) => p.name));
    for (const [i, p] of reversed.entries()) expect(p.identity).toBe(net.parameters[i]!.identity);
  });
});
