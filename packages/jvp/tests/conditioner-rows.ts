/** The table of all conditioners: adding one adds a row. */
import {
  ActNorm,
  AveragePool,
  asConditioner,
  attentionBlock,
  BatchNorm,
  ConditionalResidualBlock,
  type Conditioner,
  ConditionerField,
  Conv,
  ConvTranspose,
  CustomBlock,
  chain,
  convBlock,
  DeepSet,
  Dense,
  DenseBlock,
  elu,
  GlobalAveragePool,
  gelu,
  JoinedConditioners,
  LayerNorm,
  MadeBlock,
  MaxPool,
  MultiHeadAttention,
  Parameter,
  PeriodicFeatures,
  ResidualBlock,
  ResNet,
  residual,
  ScaledConditioner,
  SetTransformer,
  SmoothField,
  SymmetricBlock,
  silu,
  UNet,
  Upsample,
  WithContext,
} from '@invnet/layers';
import { RevNet } from '@invnet/networks';
import {
  add,
  affine,
  concat,
  exp,
  mul,
  ones,
  type RandomStream,
  type Shape,
  sum,
  type Tensor,
} from '@invnet/tensor';
import { even, odd, random } from './row.ts';

/** A conditioner and the shapes to check it on. */
export interface ConditionerRow {
  readonly name: string;
  readonly shape: Shape;
  readonly context?: Shape;
  readonly make: () => Conditioner;
  /** Input of the given shape. Default: standard normal. */
  readonly draw?: (random: RandomStream, shape: Shape) => Tensor;
}

/** The row's input, from a stream. */
export function drawn({ shape, draw }: ConditionerRow, stream: RandomStream): Tensor {
  return draw ? draw(stream, shape) : stream.normal(shape);
}

/** Sets of random masks, none of which is empty. */
function maskedSets(stream: RandomStream, [n, m, last]: Shape): Tensor {
  const first = ones([n!, 1, 1]);
  const mask = concat([first, stream.uniform([n!, m! - 1, 1])], 1);
  return concat([stream.normal([n!, m!, last! - 1]), mask], 2);
}

function rowsIn(ndims: number): ConditionerRow[] {
  const size = odd(ndims);
  const widths = { inChannels: 2, hidden: 3, outChannels: 4 };
  const sizes = { ...widths, ndims };
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
      make: () =>
        new WithContext(new ResidualBlock({ ...sizes, inChannels: 3 }), { contextChannels: 1 }),
    },
    {
      name: 'ConditionalResidualBlock',
      shape: [2, 2, ...size],
      context: [2, 3],
      make: () =>
        new ConditionalResidualBlock({ ...widths, contextSize: 3, size, random: random() }),
    },
    {
      name: 'BatchNorm',
      shape: [3, 2, ...size],
      make: () => new BatchNorm({ channels: 2 }),
    },
    {
      name: 'AsConditioner',
      shape: [2, 2, ...size],
      make: () => asConditioner(new ActNorm({ channels: 2 })),
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

const pair = { inChannels: 2, hidden: 3, outChannels: 2 };
const small = { inChannels: 1, outChannels: 2, hidden: 1 };

const sets = { features: 2, hidden: 2, outChannels: 2 };

/** Attention, and networks of sets: positions and elements are one axis to their code. */
const setRows: readonly ConditionerRow[] = [
  {
    name: 'MultiHeadAttention, 2D',
    shape: [2, 2, 2, 1],
    make: () => new MultiHeadAttention({ channels: 2, heads: 2, random: random() }),
  },
  {
    name: 'attentionBlock to a context of positions, some masked, 1D',
    shape: [2, 2, 2],
    context: [2, 2, 3],
    make: () =>
      attentionBlock({
        ...{ channels: 2, heads: 2, contextChannels: 1, masked: true, ndims: 1 },
        random: random(),
      }),
  },
  {
    name: 'SetTransformer by induced points',
    shape: [2, 3, 2],
    make: () => new SetTransformer({ ...sets, heads: 1, blocks: 1, inducing: 2, random: random() }),
  },
  {
    name: 'DeepSet',
    shape: [2, 3, 2],
    make: () => new DeepSet({ ...sets, activation: elu(), random: random() }),
  },
  {
    name: 'DeepSet, sums of masked sets',
    shape: [2, 4, 3],
    draw: maskedSets,
    make: () => new DeepSet({ ...sets, masked: true, pooling: 'sum', random: random() }),
  },
  {
    name: 'SetTransformer',
    shape: [2, 2, 2],
    make: () => new SetTransformer({ ...sets, heads: 1, blocks: 1, random: random() }),
  },
  {
    name: 'SetTransformer of masked sets',
    shape: [2, 4, 3],
    draw: maskedSets,
    make: () =>
      new SetTransformer({
        ...sets,
        masked: true,
        heads: 2,
        blocks: 2,
        seeds: 2,
        random: random(),
      }),
  },
];

/** Velocities: time is their last channel. */
const fieldRows: readonly ConditionerRow[] = [
  {
    name: 'ConditionerField with a context',
    shape: [2, 2, 3],
    context: [2, 1, 3],
    make: () => {
      const sizes = { channels: 1, contextChannels: 1, hidden: 2, ndims: 1, frequencies: 2 };
      return new ConditionerField({ ...sizes, random: random() });
    },
  },
  {
    name: 'SmoothField',
    shape: [2, 3],
    make: () => new SmoothField({ channels: 2, hidden: [2, 3], frequencies: 1, random: random() }),
  },
  {
    name: 'SmoothField with a reach',
    shape: [3, 3],
    make: () =>
      new SmoothField({ channels: 2, hidden: [2], frequencies: 1, reach: 0.5, random: random() }),
  },
  {
    name: 'SmoothField with a context, ELU',
    shape: [2, 2],
    context: [2, 2],
    make: () => {
      const sizes = { channels: 1, contextChannels: 2, hidden: [3], frequencies: 2 };
      return new SmoothField({ ...sizes, activation: 'elu', random: random() });
    },
  },
];

/** Blocks of chains: their code is that of all ranks, but where sizes are halved and doubled. */
const chainRows: readonly ConditionerRow[] = [
  {
    name: 'Chain of dense layers',
    shape: [3, 2],
    make: () => {
      const inner = new Dense({ inChannels: 3, outChannels: 3, random: random() });
      return chain(
        new Dense({ inChannels: 2, outChannels: 3, random: random() }),
        residual(chain(elu({ alpha: 0.7 }), inner)),
        new LayerNorm({ channels: 3 }),
        gelu(),
        new ActNorm({ channels: 3 }),
      );
    },
  },
  {
    name: 'Chain with a context',
    shape: [2, 2],
    context: [2, 1],
    make: () => {
      const inner = new Dense({ inChannels: 3, outChannels: 2, random: random() });
      return chain(silu(), new WithContext(inner, { contextChannels: 1 }), elu());
    },
  },
  {
    name: 'Chain of convolutions, 2D',
    shape: [2, 2, 4, 5],
    make: () =>
      chain(
        new Conv({ inChannels: 2, outChannels: 3, stride: 2, random: random() }),
        new BatchNorm({ channels: 3 }),
        silu(),
        new LayerNorm({ channels: 3 }),
        new ConvTranspose({ inChannels: 3, outChannels: 1, kernel: 3, random: random() }),
      ),
  },
  { name: 'MaxPool, 2D', shape: [2, 1, 5, 4], make: () => new MaxPool() },
  { name: 'AveragePool, 2D', shape: [2, 1, 5, 6], make: () => new AveragePool({ factor: 3 }) },
  { name: 'GlobalAveragePool, 2D', shape: [2, 2, 3, 2], make: () => new GlobalAveragePool() },
  { name: 'Upsample, 2D', shape: [2, 1, 2, 3], make: () => new Upsample() },
  {
    name: 'convBlock on vectors',
    shape: [3, 2],
    make: () =>
      convBlock({ ...pair, ndims: 0, activation: elu(), normalization: 'layer', random: random() }),
  },
  {
    name: 'convBlock, stride 2 and ActNorm, 2D',
    shape: [2, 2, 4, 2],
    make: () => convBlock({ ...pair, stride: 2, normalization: 'actnorm', random: random() }),
  },
  {
    name: 'DenseBlock of ELU',
    shape: [3, 2],
    make: () => new DenseBlock({ ...pair, activation: elu(), random: random() }),
  },
  {
    name: 'ConditionalResidualBlock of GELU, 2D',
    shape: [2, 2, 2, 3],
    context: [2, 2],
    make: () =>
      new ConditionalResidualBlock({
        ...{ ...pair, contextSize: 2, size: [2, 3], activation: gelu() },
        random: random(),
      }),
  },
  {
    name: 'ResNet, layer norm and GELU, 2D',
    shape: [2, 2, 3, 2],
    make: () =>
      new ResNet({ ...pair, normalization: 'layer', activation: gelu(), random: random() }),
  },
  {
    name: 'ResNet without normalization, 2D',
    shape: [2, 2, 3, 2],
    make: () => chain(new ResNet({ ...pair, normalization: 'none', blocks: 1, random: random() })),
  },
  {
    name: 'ResNet of SiLU alone, 2D',
    shape: [2, 2, 3, 2],
    make: () =>
      new ResNet({ ...pair, normalization: 'none', activation: silu(), random: random() }),
  },
  {
    name: 'UNet, nearest and average, 1D',
    shape: [2, 1, 7],
    make: () => new UNet({ ...small, random: random(), ndims: 1, up: 'nearest', down: 'average' }),
  },
  {
    name: 'UNet on odd sizes, 2D',
    shape: [1, 1, 5, 3],
    make: () => new UNet({ ...small, random: random(), levels: 1 }),
  },
  {
    name: 'RevNet, 2D',
    shape: [2, 1, 4, 3],
    make: () => new RevNet({ channels: 1, classes: 3, width: 2, blocks: [1, 2], random: random() }),
  },
  {
    name: 'UNet by strides, 3D',
    shape: [1, 1, 2, 3, 2],
    make: () =>
      new UNet({
        ...small,
        random: random(),
        ndims: 3,
        levels: 1,
        down: 'conv',
        activation: elu(),
      }),
  },
];

const doubling = () =>
  new CustomBlock({
    forward: (x) => ({ y: affine(x, 2), saved: {} }),
    backward: (dy) => ({ dx: affine(dy, 2) }),
    jvp: (x, { x: dx }) => ({ y: affine(x, 2), ...(dx && { dy: affine(dx, 2) }) }),
    outputShape: (shape) => shape,
  });

/** k·eˣ·c on one channel, of which everything is kept that may be. */
export function growing(): CustomBlock {
  const k = new Parameter('k', ones([1]));
  const value = (x: Tensor, c: Tensor) => mul(mul(k.data, exp(x)), c);
  return new CustomBlock<readonly Tensor[]>({
    parameters: [k],
    outputShape: (shape) => shape,
    forward: (x, c) => {
      const y = value(x, c!);
      return { y, saved: [x, c!, y, exp(x)] };
    },
    backward: (dy, [, c, y, e]) => {
      k.accumulateGrad(sum(mul(dy, mul(e!, c!))).reshape([1]));
      return { dx: mul(dy, y!), dcontext: mul(dy, mul(k.data, e!)) };
    },
    jvp: (x, tangent, c) => {
      const y = value(x, c!);
      const dk = tangent.parameters?.get(k);
      const terms = [
        ...(tangent.x ? [mul(y, tangent.x)] : []),
        ...(tangent.context ? [value(x, tangent.context)] : []),
        ...(dk ? [mul(mul(dk, exp(x)), c!)] : []),
      ];
      return terms.length > 0 ? { y, dy: terms.reduce(add) } : { y };
    },
  });
}

/** Every conditioner, on vectors or in 1D, 2D and 3D. */
export const conditionerRows: readonly ConditionerRow[] = [
  {
    name: 'DenseBlock',
    shape: [3, 2],
    make: () => new DenseBlock({ inChannels: 2, hidden: 4, outChannels: 3 }),
  },
  {
    name: 'WithContext, of a DenseBlock',
    shape: [3, 2],
    context: [3, 1],
    make: () => {
      const inner = new DenseBlock({ inChannels: 3, hidden: 4, outChannels: 3 });
      return new WithContext(inner, { contextChannels: 1 });
    },
  },
  {
    name: 'MadeBlock, reversed',
    shape: [3, 3],
    context: [3, 2],
    make: () => {
      const sizes = { channels: 3, size: 2, hidden: [5, 4], contextChannels: 2 };
      return new MadeBlock({ ...sizes, order: 'reversed', random: random() });
    },
  },
  {
    name: 'PeriodicFeatures',
    shape: [2, 3, 2],
    make: () => new PeriodicFeatures({ channels: 3, circular: [2, 0], bound: 2 }),
  },
  {
    name: 'JoinedConditioners with a context, one of them scaled',
    shape: [3, 2],
    context: [3, 1],
    make: () => {
      const sizes = { hidden: 4, random: random() };
      const scale = new DenseBlock({ ...sizes, inChannels: 2, outChannels: 3 });
      const inner = new DenseBlock({ ...sizes, inChannels: 3, outChannels: 1 });
      const shift = new WithContext(inner, { contextChannels: 1 });
      const parts = { scale: new ScaledConditioner({ inner: scale, factor: 0.1 }), shift };
      return new JoinedConditioners({ parts });
    },
  },
  { name: 'CustomBlock', shape: [2, 3], make: doubling },
  { name: 'CustomBlock with a context', shape: [2, 1], context: [2, 1], make: growing },
  ...chainRows,
  ...fieldRows,
  ...setRows,
  ...[1, 2, 3].flatMap(rowsIn),
];
