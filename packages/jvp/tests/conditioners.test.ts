/** The derivative suite of conditioners, in float64 and in float32 on wasm. */
import {
  BasicCoupling,
  BatchNorm,
  ConditionalResidualBlock,
  type Conditioner,
  CustomBlock,
  DenseBlock,
  ResidualBlock,
  ResNet,
  type Saved,
  SymmetricBlock,
  WithContext,
} from '@invnet/layers';
import {
  add,
  affine,
  RandomStream,
  type Shape,
  ShapeError,
  setBackend,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { assertConditioner } from '../src/index.ts';
import { even, odd } from './row.ts';

interface ConditionerRow {
  readonly name: string;
  readonly shape: Shape;
  readonly context?: Shape;
  readonly make: () => Conditioner;
}

const random = () => new RandomStream(3);

function rowsIn(ndims: number): ConditionerRow[] {
  const size = odd(ndims);
  const sizes = { inChannels: 2, hidden: 3, outChannels: 4, ndims };
  const block = (name: string, options: object): ConditionerRow => ({
    name: `ResidualBlock, ${name}`,
    shape: [2, 2, ...even(ndims)],
    make: () => new ResidualBlock({ ...sizes, random: random(), ...options }),
  });
  const evaluated = (net: ResNet) => {
    net.training = false;
    return net;
  };
  return [
    { name: 'ResidualBlock', shape: [2, 2, ...size], make: () => new ResidualBlock(sizes) },
    block('middle kernel of 3, ReLU', { kernel2: 3, outputActivation: 'relu' }),
    block('GaLU', { outputActivation: 'galu' }),
    block('stride 2', { stride: 2, kernel1: 2, outputActivation: 'galu' }),
    block('stride 2, kernel of 3', { stride: 2 }),
    {
      name: 'WithContext',
      shape: [2, 2, ...size],
      context: [2, 1, ...size],
      make: () => new WithContext<Saved>(new ResidualBlock({ ...sizes, inChannels: 3 })),
    },
    {
      name: 'ConditionalResidualBlock',
      shape: [2, 2, ...size],
      context: [2, 3],
      make: () =>
        new ConditionalResidualBlock({ ...sizes, contextSize: 3, size, random: random() }),
    },
    {
      name: 'BatchNorm',
      shape: [3, 2, ...size],
      make: () => new BatchNorm({ channels: 2 }),
    },
    {
      name: 'ResNet, training',
      shape: [3, 2, ...size],
      make: () => new ResNet({ ...sizes, random: random() }),
    },
    {
      name: 'ResNet, evaluation',
      shape: [2, 2, ...size],
      make: () => evaluated(new ResNet({ ...sizes, blocks: 1, random: random() })),
    },
    {
      name: 'SymmetricBlock',
      shape: [2, 2, ...size],
      make: () => new SymmetricBlock({ channels: 2, hidden: 3, ndims, random: random() }),
    },
  ].map((row) => ({ ...row, name: `${row.name}, ${ndims}D` }));
}

const doubling = () =>
  new CustomBlock({
    forward: (x) => ({ y: affine(x, 2), saved: { dispose() {} } }),
    backward: (dy) => ({ dx: affine(dy, 2) }),
    jvp: (x, { x: dx }) => ({ y: affine(x, 2), dy: dx ? affine(dx, 2) : zeros(x.shape, x) }),
  });

const rows: ConditionerRow[] = [
  {
    name: 'DenseBlock',
    shape: [3, 2],
    make: () => new DenseBlock({ inChannels: 2, hidden: 4, outChannels: 3 }),
  },
  { name: 'CustomBlock', shape: [2, 3], make: doubling },
  ...[1, 2, 3].flatMap(rowsIn),
];

/** Moves parameters off their start, running variances excepted, which stay positive. */
function scatter(g: Conditioner): void {
  const stream = new RandomStream(17);
  for (const p of g.parameters) {
    if (p.name.endsWith('runningVariance')) continue;
    using moved = add(p.data, stream.normal(p.shape, 0.2));
    p.assign(moved);
  }
}

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('conditioners in float64', () => {
  it.each(rows)('$name', async ({ shape, context, make }) => {
    const g = make();
    scatter(g);
    const stream = new RandomStream(5);
    const options = {
      x: stream.normal(shape),
      ...(context && { context: stream.normal(context) }),
    };
    await assertConditioner(g, options);
  });
});

describe('conditioners in float32 on wasm', () => {
  it.each(rows)('$name', async ({ shape, context, make }) => {
    const run = async () => {
      const g = make();
      scatter(g);
      const stream = new RandomStream(5);
      const x = stream.normal(shape);
      const c = context && stream.normal(context);
      const { y, saved } = g.forward(x, c);
      const { dx } = g.backward(stream.normal(y.shape), saved);
      const gradients = g.parameters.flatMap((p) => (p.grad ? [p.grad] : []));
      return Promise.all([y, dx, ...gradients].map((t: Tensor) => t.data()));
    };
    const exact = await run();
    await setBackend('wasm');
    (await run()).forEach((values, i) => {
      const size = Math.max(1e-2, ...Array.from(exact[i]!, Math.abs));
      const gap = Math.max(...Array.from(values, (v, j) => Math.abs(v - exact[i]![j]!)));
      expect(gap / size).toBeLessThan(2e-4);
    });
  });
});

describe('ResNet', () => {
  it('learns its running statistics in backward, and only there', () => {
    const net = new ResNet({ inChannels: 1, hidden: 2, outChannels: 1, ndims: 1 });
    const running = net.parameters.filter((p) => p.name.includes('running'));
    const before = running.map((p) => [...p.data.dataSync()]);
    const x = new RandomStream(1).normal([4, 1, 5]);
    const { y, saved } = net.forward(x);
    expect(running.map((p) => [...p.data.dataSync()])).toEqual(before);
    net.backward(y, saved);
    expect(running.map((p) => [...p.data.dataSync()])).not.toEqual(before);
    expect(running.every((p) => p.frozen)).toBe(true);
    expect(net.training).toBe(true);
  });
});

describe('bad input', () => {
  it('is named', () => {
    expect(() =>
      new DenseBlock({ inChannels: 2, hidden: 3, outChannels: 1 }).forward(zeros([2, 3])),
    ).toThrow(/\[N, 2\]/);
    const block = new ConditionalResidualBlock({
      inChannels: 1,
      hidden: 2,
      outChannels: 2,
      contextSize: 3,
      size: [4],
    });
    const x = zeros([2, 1, 4]);
    expect(() => block.forward(x)).toThrow(ValueError);
    expect(() => block.forward(x, zeros([2, 4]))).toThrow(/3 numbers each/);
    expect(() => block.forward(x, zeros([3, 3]))).toThrow(ShapeError);
    expect(() => block.forward(zeros([2, 1, 5]), zeros([2, 3]))).toThrow(/spatial sizes \[4\]/);
    const couple = new BasicCoupling({ channels: [1, 1], contextChannels: 2, ndims: 1 });
    expect(() => couple.forward([x, x])).toThrow(/expected a context/);
    expect(() => couple.forward([x, x], zeros([1, 2, 4]))).toThrow(
      /same batch size and resolution/,
    );
    expect(() => couple.forward([x, x], zeros([2, 2, 5]))).toThrow(
      /same batch size and resolution/,
    );
    const plain = new CustomBlock({
      forward: (t) => ({ y: affine(t, 1), saved: { dispose() {} } }),
      backward: (dy) => ({ dx: affine(dy, 1) }),
    });
    expect(() => plain.jvp(x, {})).toThrow(/made without jvp/);
    expect(
      () => new ResidualBlock({ inChannels: 1, hidden: 2, outChannels: 1, kernel1: 4 }),
    ).toThrow(/odd ones/);
  });
});
