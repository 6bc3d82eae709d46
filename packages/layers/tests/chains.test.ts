/** Blocks of chains, U-Nets, attention and networks of sets: what they compute, and what is wrong. */
import {
  add,
  concat,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  tensor,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AveragePool,
  BasicCoupling,
  Chain,
  type Conditioner,
  Conv,
  ConvTranspose,
  chain,
  concatSkip,
  convBlock,
  DeepSet,
  Dense,
  DenseBlock,
  evaluate,
  GlobalAveragePool,
  LayerNorm,
  MaxPool,
  MultiHeadAttention,
  padSets,
  ResidualBlock,
  relu,
  residual,
  SetTransformer,
  tanh,
  UNet,
  Upsample,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor) => Array.from(t.dataSync());
const gap = (a: Tensor, b: Tensor) => Math.max(...numbers(sub(a, b)).map(Math.abs));

describe('pooling and upsampling', () => {
  const x = tensor([[[1, 3, 2, -5, 9]]]);

  it('take the largest, the mean, or each number again', () => {
    expect(numbers(evaluate(new MaxPool(), x))).toEqual([3, 2]);
    expect(numbers(evaluate(new AveragePool(), x))).toEqual([2, -1.5]);
    expect(numbers(evaluate(new AveragePool({ factor: 5 }), x))).toEqual([2]);
    expect(numbers(evaluate(new GlobalAveragePool(), x))).toEqual([2]);
    expect(numbers(evaluate(new Upsample(), tensor([[[1, 2]]])))).toEqual([1, 1, 2, 2]);
    const image = tensor([
      [
        [
          [1, 2, 0],
          [4, 3, 0],
          [0, 0, 7],
        ],
      ],
    ]);
    expect(numbers(evaluate(new MaxPool(), image))).toEqual([4]);
    expect(numbers(evaluate(new MaxPool({ factor: 3 }), image))).toEqual([7]);
    expect(numbers(evaluate(new Upsample({ factor: 3 }), tensor([[[[1], [2]]]])))).toEqual(
      [1, 2].flatMap((v) => new Array(9).fill(v)),
    );
  });

  it('share a gradient where several numbers are the largest', () => {
    const pool = new MaxPool();
    const { saved } = pool.forward(tensor([[[0, 0, 1, 4]]]));
    expect(numbers(pool.backward(tensor([[[6, 5]]]), saved).dx)).toEqual([3, 3, 0, 5]);
  });
});

describe('chains', () => {
  const random = new RandomStream(1);

  it('do what their layers do, and a normalized position has mean 0 and variance 1', () => {
    const [first, last] = [
      new Dense({ inChannels: 2, outChannels: 4, random }),
      new Dense({ inChannels: 4, outChannels: 3, random }),
    ];
    const x = random.normal([3, 2]);
    const norm = new LayerNorm({ channels: 4, epsilon: 0 });
    const normalized = evaluate(chain(first, norm), x);
    const rows = Array.from({ length: 3 }, (_, i) => numbers(normalized).slice(4 * i, 4 * i + 4));
    for (const row of rows) {
      expect(row.reduce((a, b) => a + b)).toBeCloseTo(0, 12);
      expect(row.reduce((a, b) => a + b * b, 0)).toBeCloseTo(4, 12);
    }
    const both = chain(first, tanh(), last);
    expect(both.parameters.map((p) => p.name)).toEqual(['0.w', '0.b', '2.w', '2.b']);
    expect(gap(evaluate(both, x), evaluate(last, tanh().apply(evaluate(first, x))))).toBe(0);
  });

  it('are the blocks of couplings where these have ReLU and no normalization', () => {
    const sizes = { inChannels: 2, hidden: 3, outChannels: 4 };
    const pairs: readonly (readonly [Conditioner, Conditioner, readonly number[]])[] = [
      [new DenseBlock(sizes), convBlock({ ...sizes, ndims: 0 }), [2, 2]],
      [
        new ResidualBlock({ ...sizes, kernel2: 3 }),
        convBlock({ ...sizes, kernel2: 3 }),
        [1, 2, 4, 4],
      ],
      [
        new ResidualBlock({ ...sizes, stride: 2, ndims: 1 }),
        convBlock({ ...sizes, stride: 2, ndims: 1 }),
        [1, 2, 4],
      ],
    ];
    for (const [block, same, shape] of pairs) {
      const x = random.normal(shape);
      expect(gap(evaluate(block, x), evaluate(same, x))).toBeLessThan(1e-14);
    }
  });

  it('restore resolutions, odd ones too', () => {
    const sizes = { inChannels: 1, outChannels: 2, hidden: 2, random };
    for (const shape of [
      [1, 1, 5],
      [1, 1, 4, 7],
      [1, 1, 5, 4, 6],
    ]) {
      const net = new UNet({ ...sizes, ndims: shape.length - 2 });
      expect(net.outputShape(shape)).toEqual([1, 2, ...shape.slice(2)]);
      expect(evaluate(net, random.normal(shape)).shape).toEqual([1, 2, ...shape.slice(2)]);
    }
    const skip = concatSkip(new AveragePool());
    expect(numbers(evaluate(skip, tensor([[[1, 3, 5]]])))).toEqual([1, 3, 5, 2, 0, 0]);
  });

  it('say what is wrong, and where', () => {
    const image = zeros([1, 1, 4, 4]);
    const conv = new Conv({ inChannels: 1, outChannels: 2 });
    expect(() => chain()).toThrow(/expected at least one layer/);
    expect(() => chain(conv, 3 as unknown as Conditioner)).toThrow(/layer 1 is 3; expected a cond/);
    expect(() => new Chain({ layers: [relu() as unknown as Conditioner] })).toThrow(/layer 0 is/);
    expect(() =>
      chain(conv, relu(), new Conv({ inChannels: 1, outChannels: 1 })).forward(image),
    ).toThrow(/got \[1, 2, 4, 4\] with 2 channels; expected 1.*at '2' of Chain/);
    expect(() => residual(conv).forward(image)).toThrow(/became \[1, 2, 4, 4\].*the same shape/);
    expect(() => concatSkip(new Upsample()).forward(image)).toThrow(/resolution not above it/);
    expect(() => new UNet({ inChannels: 1, outChannels: 1, levels: 3 }).forward(image)).toThrow(
      /MaxPool.*at least 2.*of UNet/,
    );
    expect(() => new UNet({ inChannels: 1, outChannels: 1, kernel: 2 })).toThrow(/odd/);
    expect(() => new MaxPool().forward(zeros([2, 2]))).toThrow(/spatial axes of at least 2/);
    expect(() => new Upsample().forward(zeros([2, 2]))).toThrow(/one to three spatial axes/);
    expect(() => new GlobalAveragePool().forward(zeros([2, 2]))).toThrow(/spatial axes/);
    expect(() => new Dense({ inChannels: 3, outChannels: 1 }).forward(zeros([1, 2]))).toThrow(
      /N, 3/,
    );
    expect(() =>
      new Conv({ inChannels: 1, outChannels: 1, kernel: 5, stride: 4 }).forward(
        zeros([1, 1, 2, 8]),
      ),
    ).toThrow(/leave no room for a kernel of 5/);
    expect(
      () => new ConvTranspose({ inChannels: 1, outChannels: 1, stride: 1, kernel: 2 }),
    ).toThrow(/odd/);
    const sizes = { inChannels: 1, hidden: 2, outChannels: 1 };
    expect(() => convBlock({ ...sizes, ndims: 0, kernel1: 3 })).toThrow(/without spatial axes/);
    expect(() => convBlock({ ...sizes, normalization: 'group' as 'batch' })).toThrow(/'layer'/);
    const coupling = new BasicCoupling({ channels: [1, 1], conditioner: conv });
    coupling.forward([image, image]);
  });
});

describe('attention', () => {
  it('is a mean of values by softmax weights, of those that are there', () => {
    const random = new RandomStream(2);
    const net = new MultiHeadAttention({ channels: 2, contextChannels: 2, masked: true, random });
    const x = random.normal([1, 2, 3]);
    const z = random.normal([1, 2, 4]);
    const mask = tensor([[[1, 0, 1, 1]]]);
    const found = numbers(evaluate(net, x, concat([z, mask], 1)));
    const [wq, wk, wv, wo] = [net.query, net.key, net.value, net.output].map(({ w }) =>
      numbers(w.data),
    );
    const at = (t: Tensor, position: number) => {
      const [, , all] = t.shape;
      return [0, 1].map((c) => numbers(t)[c * all! + position]!);
    };
    const times = (w: number[], v: number[]) =>
      [0, 1].map((row) => w[2 * row]! * v[0]! + w[2 * row + 1]! * v[1]!);
    const expected = [0, 1, 2].map((p) => {
      const q = times(wq!, at(x, p));
      const weights = [0, 2, 3].map((m) => {
        const k = times(wk!, at(z, m));
        return Math.exp((q[0]! * k[0]! + q[1]! * k[1]!) / Math.SQRT2);
      });
      const total = weights.reduce((a, b) => a + b);
      const mean = [0, 1].map((c) =>
        [0, 2, 3].reduce((s, m, i) => s + (weights[i]! / total) * times(wv!, at(z, m))[c]!, 0),
      );
      return times(wo!, mean);
    });
    [0, 1].forEach((c) => {
      [0, 1, 2].forEach((p) => {
        expect(found[3 * c + p]).toBeCloseTo(expected[p]![c]!, 12);
      });
    });
  });

  it('says what is wrong', () => {
    expect(() => new MultiHeadAttention({ channels: 3, heads: 2 })).toThrow(
      /multiple of the heads/,
    );
    expect(() => new MultiHeadAttention({ channels: 2, masked: true })).toThrow(
      /expected a context/,
    );
    expect(() => new MultiHeadAttention({ channels: 2 }).forward(zeros([1, 2]))).toThrow(
      /positions/,
    );
    const net = new MultiHeadAttention({ channels: 2, contextChannels: 1 });
    expect(() => net.forward(zeros([1, 2, 3]))).toThrow(/expected a context, got none/);
    expect(() => net.forward(zeros([1, 2, 3]), zeros([1, 2, 3]))).toThrow(/expected 1/);
  });
});

describe.each([
  ['DeepSet', (o: object) => new DeepSet({ features: 2, hidden: 4, outChannels: 3, ...o })],
  [
    'SetTransformer',
    (o: object) => new SetTransformer({ features: 2, hidden: 4, outChannels: 3, ...o }),
  ],
] as const)('%s', (name, make) => {
  const sets = () => {
    const random = new RandomStream(4);
    return [2, 4, 1].map((count) => random.normal([count, 2]));
  };

  it('sees sets of a batch as each by itself, whatever stands where the mask is 0', () => {
    const [net, plain] = [make({ masked: true }), make({})];
    const batch = padSets(sets());
    expect(batch.shape).toEqual([3, 4, 3]);
    const found = evaluate(net, batch);
    const alone = concat(
      sets().map((set) => evaluate(plain, set.reshape([1, set.shape[0]!, 2]))),
      0,
    );
    expect(gap(found, alone)).toBeLessThan(1e-13);
    const noise = new RandomStream(9).normal([1, 4, 2]);
    const values = numbers(batch).map((v, i) =>
      i % 3 < 2 && numbers(batch)[i - (i % 3) + 2] === 0 ? numbers(noise)[i % 8]! : v,
    );
    expect(gap(evaluate(net, tensor(values, [3, 4, 3])), found)).toBeLessThan(1e-13);
  });

  it('does not see their order, but their size', () => {
    const net = make({});
    const [a, b] = [
      tensor([
        [
          [1, 2],
          [3, -1],
        ],
      ]),
      tensor([
        [
          [3, -1],
          [1, 2],
        ],
      ]),
    ];
    expect(gap(evaluate(net, a), evaluate(net, b))).toBeLessThan(1e-14);
    const twice = concat([a, a], 1);
    expect(gap(evaluate(net, a), evaluate(net, twice))).toBeGreaterThan(1e-3);
  });

  it('says what is wrong', () => {
    const net = make({ masked: true });
    const gone = add(padSets(sets()), tensor([[[0, 0, 0]], [[0, 0, -1]], [[0, 0, 0]]]));
    expect(() => net.forward(gone)).toThrow(
      new RegExp(`${name}: set 1 of 3 is empty, for its mask leaves none of 4 elements`),
    );
    expect(() => net.forward(zeros([2, 3, 2]))).toThrow(/\[N, elements, 3\], the last feature/);
    expect(() => make({}).forward(zeros([2, 2]))).toThrow(/expected sets \[N, elements, 2\]/);
  });
});

describe('padSets', () => {
  it('says what is wrong', () => {
    expect(() => padSets([])).toThrow(/at least one set/);
    expect(() => padSets([zeros([2, 2]), zeros([1, 3])])).toThrow(/set 1 is \[1, 3\].*elements, 2/);
    expect(() => padSets([zeros([2])])).toThrow(/set 0 is \[2\]/);
    expect(() => new SetTransformer({ features: 1, outChannels: 1, hidden: 6 })).toThrow(/heads/);
  });
});
