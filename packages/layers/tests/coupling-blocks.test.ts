/** Couplings of two sides, of free parts and masks, and blocks of them: what they are, and what they refuse. */
import {
  abs,
  max,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  tensor,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AdditiveTransformer,
  AffineTransformer,
  AllInOneBlock,
  Autoregressive,
  asConditioner,
  type ChannelSplit,
  chain,
  DenseBlock,
  exp,
  GlowCoupling,
  HintCoupling,
  JoinedConditioners,
  type Mask,
  MaskedCoupling,
  Permutation,
  relu,
  ScaledConditioner,
  shiftedSigmoid,
  TransformerCoupling,
  TwoSidedCoupling,
  VolumePreservingTransformer,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const random = () => new RandomStream(7);
const gap = (a: Tensor, b: Tensor) => max(abs(sub(a, b))).dataSync()[0]!;
const dense = (inChannels: number, outChannels: number) =>
  new DenseBlock({ inChannels, hidden: 4, outChannels, random: random() });

describe('a TwoSidedCoupling', () => {
  it('moves the first part by the second, then the second by what came of it', () => {
    const [f, g] = [dense(2, 3), dense(3, 2)];
    const transformer = new AdditiveTransformer();
    const sizes = { channels: 5, split: [3, 2] as const, transformer };
    const both = new TwoSidedCoupling({ ...sizes, conditioner: [f, g] });
    const x = random().normal([4, 5]);
    const values = (t: Tensor) => Array.from(t.dataSync());
    const at = (t: Tensor, n: number, from: number, to: number) =>
      values(t).slice(5 * n + from, 5 * n + to);
    const { y } = both.forward(x);
    for (let n = 0; n < 4; n++) {
      const shift = values(f.forward(tensor(at(x, n, 3, 5), [1, 2])).y);
      const first = at(x, n, 0, 3).map((v, i) => v + shift[i]!);
      const other = values(g.forward(tensor(first, [1, 3])).y);
      const expected = [...first, ...at(x, n, 3, 5).map((v, i) => v + other[i]!)];
      at(y, n, 0, 5).forEach((v, i) => {
        expect(v).toBeCloseTo(expected[i]!, 12);
      });
    }
  });

  it("has MemCNN's adapter of interleaved channels by a permutation behind a block", () => {
    const f = dense(2, 4);
    const order = asConditioner(new Permutation({ channels: 4, order: [1, 3, 0, 2] }));
    const transformer = new AffineTransformer({ scaleFunction: shiftedSigmoid() });
    const conditioner = [chain(f, order), chain(f, order)] as const;
    const both = new TwoSidedCoupling({ channels: 4, transformer, conditioner });
    const x = tensor([0.3, -0.7, 1.2, 0.4], [1, 4]);
    const h = f.forward(tensor([1.2, 0.4], [1, 2])).y.dataSync();
    const expected = [0.3, -0.7].map((v, i) => v / (1 + Math.exp(-h[2 * i + 1]! - 2)) + h[2 * i]!);
    const [y1, y2] = both.forward(x).y.dataSync();
    expect(y1).toBeCloseTo(expected[0]!, 12);
    expect(y2).toBeCloseTo(expected[1]!, 12);
  });

  it('takes a function that makes both conditioners, and refuses half a pair', () => {
    const asked: unknown[] = [];
    const conditioner = (shape: { inChannels: number; outChannels: number }) => {
      asked.push([shape.inChannels, shape.outChannels]);
      return dense(shape.inChannels, shape.outChannels);
    };
    new TwoSidedCoupling({ channels: 5, split: 1, ndims: 0, conditioner });
    expect(asked).toEqual([
      [4, 2],
      [1, 8],
    ]);
    const half = [dense(2, 4)] as unknown as readonly [DenseBlock, DenseBlock];
    expect(() => new TwoSidedCoupling({ channels: 4, conditioner: half })).toThrow(
      /expected a pair/,
    );
  });

  it.each(['reference', 'wasm'] as const)(
    'keeps volumes with a VolumePreservingTransformer, exactly, on %s',
    async (backend) => {
      await setBackend(backend);
      for (const over of ['channels', 'sample'] as const) {
        const transformer = new VolumePreservingTransformer({ scaleFunction: exp(), over });
        const f = new TwoSidedCoupling({ channels: 6, transformer, hidden: 8, random: random() });
        for (const p of f.parameters) p.assign(random().normal(p.shape, 0.3));
        const x = random().normal([3, 6, 2, 2]);
        const { y, logdet } = f.forward(x);
        expect(Array.from(logdet.dataSync())).toEqual([0, 0, 0]);
        expect(gap(y, x)).toBeGreaterThan(0.1);
      }
    },
  );
});

describe('parts of the channels', () => {
  const parted = (channels: number, split: ChannelSplit) =>
    new TransformerCoupling({ channels, split, transformer: new AffineTransformer(), ndims: 0 });

  it('are lengths, a number, a fraction, or a list', () => {
    const lengths = (channels: number, split: ChannelSplit) => parted(channels, split).split;
    expect(lengths(4, [1, 3])).toEqual([1, 3]);
    expect(lengths(4, 3)).toEqual([3, 1]);
    expect(lengths(8, 0.25)).toEqual([2, 6]);
    // A half goes to the even number, as in Python.
    expect([3, 5, 7].map((channels) => lengths(channels, 0.5))).toEqual([
      [2, 1],
      [2, 3],
      [4, 3],
    ]);
    expect(lengths(4, { first: [3, 0] })).toEqual({ first: [3, 0] });
  });

  it('of a list stay and move as it says', () => {
    const f = parted(4, { first: [3, 0] });
    const x = random().normal([2, 4]);
    const { y } = f.forward(x);
    const moved = Array.from(sub(y, x).dataSync(), (v) => v !== 0);
    expect(moved).toEqual([false, true, true, false, false, true, true, false]);
  });

  it('that cannot be are refused', () => {
    const refuses = (split: unknown, message: RegExp) =>
      expect(() => parted(4, split as ChannelSplit)).toThrow(message);
    refuses([2, 3], /split is \[2, 3\]; expected two numbers that add up to 4/);
    refuses([4, 0], /split is 0; expected .* at least 1/);
    refuses([4], /expected two numbers/);
    refuses([0, 2, 3], /split is \[0, 2, 3\]; .* or \{ first: \[…\] \} for a list of channels/);
    expect(
      () => new TransformerCoupling({ channels: 1, transformer: new AffineTransformer() }),
    ).toThrow(/^TransformerCoupling: channels is 1/);
    for (const split of [0, 4, 0.1, 1.5, -1, Number.NaN]) refuses(split, /split is .* from 1 to 3/);
    refuses({ first: [] }, /0 of 4 channels; .* so that one part conditions/);
    refuses({ first: [0, 1, 2, 3] }, /4 of 4 channels/);
    refuses({ first: [1, 2, 1] }, /has 1 twice/);
    refuses({ first: [4] }, /first\[0\] is 4; expected a whole number from 0 to 3/);
    refuses({ first: 2 }, /expected \{ first/);
    refuses({ last: [1] }, /expected \{ first/);
    refuses('half', /split is 'half'/);
  });
});

describe('a MaskedCoupling', () => {
  it('keeps what its mask says, and moves the rest', () => {
    const x = random().normal([1, 1, 2, 3]);
    const stays = (options: { mask?: Mask; inverted?: boolean }) => {
      const f = new MaskedCoupling({ channels: 1, hidden: 4, random: random(), ...options });
      for (const p of f.parameters) p.assign(random().normal(p.shape));
      return Array.from(sub(f.forward(x).y, x).dataSync(), (v) => Number(v === 0));
    };
    expect(stays({})).toEqual([1, 0, 1, 0, 1, 0]);
    expect(stays({ inverted: true })).toEqual([0, 1, 0, 1, 0, 1]);
    const listed = [1, 1, 0, 0, 1, 0];
    expect(stays({ mask: { shape: [1, 2, 3], stays: listed } })).toEqual(listed);
    const drawn = stays({ mask: { shape: [1, 2, 3], seed: 1 } });
    expect(drawn.reduce((a, b) => a + b)).toBe(3);
    expect(stays({ mask: { shape: [1, 2, 3], seed: 1 }, inverted: true })).toEqual(
      drawn.map((v) => 1 - v),
    );
  });

  it('and Autoregressive refuse what moves several numbers together', () => {
    const transformer = new VolumePreservingTransformer();
    const message = /is a VolumePreservingTransformer, which moves several numbers together/;
    expect(() => new MaskedCoupling({ channels: 2, transformer })).toThrow(message);
    expect(() => new Autoregressive({ channels: 2, transformer })).toThrow(message);
  });

  it('refuses masks that leave nothing to condition on or to move', () => {
    const make = (mask: unknown) => () =>
      new MaskedCoupling({ channels: 2, mask: mask as Mask, ndims: 0 });
    expect(make({ shape: [2], stays: [0, 0] })).toThrow(/nothing to condition on/);
    expect(make({ shape: [2], stays: [1, 1] })).toThrow(/nothing to move/);
    expect(make({ shape: [2], stays: [1, 2] })).toThrow(/stays\[1\] is 2; expected 0 or 1/);
    expect(make({ shape: [2], stays: [1] })).toThrow(/has 1 numbers; expected 2/);
    expect(make({ shape: [3], seed: 1 })).toThrow(/mask.shape is \[3\]; expected .*\[2, …\]/);
    expect(make({ shape: [2], seed: -1 })).toThrow(/mask.seed is -1/);
    expect(make({ shape: [2], seed: 1, stays: [0, 1] })).toThrow(/both stays and seed/);
    expect(make({ shape: [2] })).toThrow(/stays is undefined/);
    expect(make('stripes')).toThrow(/'stripes'; expected one of 'checkerboard'/);
    const board = new MaskedCoupling({ channels: 2, ndims: 0 });
    expect(() => board.forward(zeros([1, 2]))).toThrow(/vectors for a checkerboard/);
    const flat = new MaskedCoupling({ channels: 1 });
    expect(() => flat.forward(zeros([1, 1, 1, 1]))).toThrow(/a single position/);
    const fixed = new MaskedCoupling({ channels: 1, mask: { shape: [1, 4], seed: 0 }, ndims: 1 });
    expect(() => fixed.forward(zeros([1, 1, 5]))).toThrow(
      /samples of \[1, 5\] for a mask of \[1, 4\]/,
    );
  });
});

it.each([
  ['GlowCoupling', () => new GlowCoupling({ channels: 1 })],
  ['TwoSidedCoupling', () => new TwoSidedCoupling({ channels: 1 })],
  ['HintCoupling', () => new HintCoupling({ channels: 1 })],
])('%s of one channel says what takes it instead', (_, make) => {
  expect(make).toThrow(
    /channels is 1; .* at least 2, .*ElementwiseTransform, ConditionalTransform/,
  );
});

describe('blocks, transformers and conditioners', () => {
  it('start as they are told', async () => {
    const x = random().normal([2, 4]);
    for (const globalScale of ['softplus', 'sigmoid', 'exp'] as const) {
      const f = new AllInOneBlock({ channels: 4, ndims: 0, globalScale, globalScaleStart: 0.5 });
      for (const p of f.coupling.parameters) p.assign(zeros(p.shape));
      const { y, logdet } = f.forward(x);
      const { x: back } = f.permutation.inverse(y);
      expect(Array.from(back.dataSync(), (v, i) => v / x.dataSync()[i]!)).toEqual(
        new Array(8).fill(expect.closeTo(0.5, 12)),
      );
      expect(logdet.dataSync()[0]).toBeCloseTo(4 * Math.log(0.5), 12);
    }
  });

  it('mix nothing that is mixed back before', () => {
    const order = [2, 0, 3, 1];
    const f = new AllInOneBlock({
      ...{ channels: 4, ndims: 0, permutesBefore: true, reflections: 2 },
      permutation: new Permutation({ channels: 4, order }),
    });
    for (const p of f.coupling.parameters) p.assign(zeros(p.shape));
    const x = random().normal([2, 4]);
    expect(gap(f.forward(x).y, x)).toBeLessThan(1e-12);
  });

  it('say what they expected', () => {
    const block = (options: object) => () =>
      new AllInOneBlock({ channels: 4, ndims: 0, ...options });
    expect(block({ channels: 1 })).toThrow(/channels is 1/);
    expect(block({ clamp: 0 })).toThrow(/clamp is 0/);
    expect(block({ globalScale: 'tanh' })).toThrow(/'softplus', 'sigmoid', 'exp'/);
    expect(block({ globalScale: 'sigmoid', globalScaleStart: 10 })).toThrow(/above 0 and below 10/);
    expect(block({ permutation: 'none' })).toThrow(/'hard', 'soft'/);
    expect(block({ permutation: dense(4, 4) })).toThrow(
      /permutation is a DenseBlock; .* bijection/,
    );
    expect(block({ reflections: -1 })).toThrow(/reflections is -1/);
    expect(block({ volumePreserving: 1 })).toThrow(/true or false/);
    expect(() => new VolumePreservingTransformer({ scaleFunction: relu() })).toThrow(/relu/);
    const over = 'positions' as 'sample';
    expect(() => new VolumePreservingTransformer({ over })).toThrow(/'channels', 'sample'/);
    expect(() => new JoinedConditioners({ parts: {} })).toThrow(/at least one/);
    expect(() => new ScaledConditioner({ inner: dense(1, 1), factor: 0 })).toThrow(/factor is 0/);
    const [wide, narrow] = [dense(2, 3), dense(3, 3)];
    const parts = new JoinedConditioners({ parts: { wide, narrow } });
    expect(() => parts.forward(zeros([1, 2]))).toThrow(/got \[1, 2\].*expected.*3.*narrow/);
  });
});
