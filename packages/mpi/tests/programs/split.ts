/**
 * What `split.test.ts` runs under mpirun: each network in one piece, on this rank alone, and in slabs. Rank 0
 * prints the largest difference of each thing that comes out, relative to the largest number in it.
 */
import {
  AdditiveCoupling,
  type Bijection,
  ChannelHalves,
  HaarSqueeze,
  mapState,
  type Pair,
  type Parameter,
  ResidualBlock,
  type State,
  tensorsOf,
} from '@invnet/layers';
import { ConditionalGlow, Glow, HyperbolicNetwork, MultiScaleHint } from '@invnet/networks';
import {
  getBackend,
  type NumericArray,
  RandomStream,
  type Shape,
  setBackend,
  sizeOf,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { openMpi, requireLocal, type SlabOptions, splitBackend } from '../../src/index.ts';

const communicator = openMpi();

/** All that a network makes: slabs of volumes, shares of sums, and what is alike on all ranks. */
interface Outcome {
  readonly volumes: Readonly<Record<string, readonly Tensor[]>>;
  readonly sums: Readonly<Record<string, NumericArray>>;
  readonly same: Readonly<Record<string, readonly NumericArray[]>>;
}

/** Where data come from, and how the gradients of all ranks come together. */
interface Setting {
  numbers(whole: Shape, seed: number): Tensor;
  reduce(parameters: readonly Parameter[]): void;
}

/** A network, its data, and how they are split. */
interface Case extends Omit<SlabOptions, 'size' | 'ndims'> {
  readonly name: string;
  readonly whole: Shape;
  readonly threads?: number;
  run(setting: Setting): Outcome;
}

function run<S extends State>(
  net: Bijection<S>,
  x: S,
  context: Tensor | undefined,
  { reduce }: Setting,
): Outcome {
  requireLocal(net);
  const noise = new RandomStream(11);
  // Off its start, so that no check profits from zeros, and so that nothing awaits data.
  for (const p of net.parameters) {
    const start = p.data.dataSync();
    p.assign(
      tensor(
        noise.normalArray(p.size, 0.05).map((v, i) => v + start[i]!),
        p.shape,
      ),
    );
  }
  const { y, logdet } = net.forward(x, context);
  const inverse = net.inverse(y, context);
  const dlogdet = tensor(
    Float64Array.from(logdet.dataSync().keys(), (i) => 0.3 + i),
    logdet.shape,
  );
  const back = net.backward(
    y,
    mapState(y, (t) => t),
    { dlogdet, context },
  );
  reduce(net.parameters);
  const gradients = net.parameters.map((p) => p.grad!.dataSync());
  new Adam().step(net.parameters, { learningRate: 1e-3 });
  const after = net.forward(x, context);
  return {
    volumes: {
      y: tensorsOf(y),
      inverse: tensorsOf(inverse.x),
      x: tensorsOf(back.x),
      dx: tensorsOf(back.dx),
      dcontext: back.dcontext ? [back.dcontext] : [],
      'y after a step': tensorsOf(after.y),
    },
    sums: {
      logdet: logdet.dataSync(),
      'logdet of the inverse': inverse.logdet.dataSync(),
      'logdet after a step': after.logdet.dataSync(),
    },
    same: { gradients, 'after a step': net.parameters.map((p) => p.data.dataSync()) },
  };
}

const random = () => new RandomStream(3);
const one =
  (whole: Shape, net: () => Bijection, context?: Shape) =>
  (setting: Setting): Outcome =>
    run(net(), setting.numbers(whole, 1), context && setting.numbers(context, 9), setting);
const two =
  (whole: Shape, net: () => Bijection<Pair>) =>
  (setting: Setting): Outcome =>
    run(net(), [setting.numbers(whole, 1), setting.numbers(whole, 2)], undefined, setting);

const sizes = { channels: 2, hidden: 6, steps: 2, scales: 2 };
const glow = (ndims: number, whole: Shape, axis = 2): Case => ({
  name: `Glow ${ndims}D along axis ${axis}`,
  whole,
  axis,
  multiple: 4,
  run: one(whole, () => new Glow({ ...sizes, ndims, random: random() })),
});
const hyperbolic = (ndims: number, kernel: number, whole: Shape): Case => ({
  name: `HyperbolicNetwork ${ndims}D, kernel ${kernel}`,
  whole,
  multiple: 2,
  run: two(
    whole,
    () =>
      new HyperbolicNetwork({
        channels: 2,
        ndims,
        kernel,
        stepSize: 0.5,
        random: random(),
        architecture: [{ hidden: 3 }, { resolution: 'halve' }, { resolution: 'double', hidden: 5 }],
      }),
  ),
});
/** A convolution of a kernel and a stride, and its transposed one, in an additive coupling. */
const coupling = (kernel1: number, stride: number, whole: Shape): Case => ({
  name: `ResidualBlock ${whole.length - 2}D, kernel ${kernel1}, stride ${stride}`,
  whole,
  multiple: stride,
  run: one(whole, () => {
    const channels = { inChannels: 1, hidden: 5, outChannels: 1 };
    const options = { ...channels, ndims: whole.length - 2, kernel1, stride, random: random() };
    return new ChannelHalves(new AdditiveCoupling(new ResidualBlock(options)), [1, 1]);
  }),
});

const cases: readonly Case[] = [
  glow(1, [2, 2, 28]),
  { ...glow(2, [2, 2, 20, 8]), threads: 2 },
  glow(2, [2, 2, 8, 20], 3),
  glow(3, [2, 2, 16, 8, 4]),
  glow(3, [1, 2, 4, 12, 8], 3),
  {
    name: 'ConditionalGlow 2D',
    whole: [2, 2, 20, 8],
    multiple: 4,
    run: one(
      [2, 2, 20, 8],
      () => new ConditionalGlow({ ...sizes, contextChannels: 3, random: random() }),
      [2, 3, 20, 8],
    ),
  },
  {
    name: 'MultiScaleHint 2D',
    whole: [1, 2, 20, 4],
    multiple: 4,
    run: one(
      [1, 2, 20, 4],
      () => new MultiScaleHint({ ...sizes, squeeze: new HaarSqueeze(), random: random() }),
    ),
  },
  hyperbolic(1, 5, [2, 2, 10]),
  hyperbolic(2, 1, [2, 2, 14, 6]),
  hyperbolic(2, 3, [2, 2, 14, 6]),
  hyperbolic(2, 5, [2, 2, 14, 6]),
  hyperbolic(3, 3, [1, 2, 10, 4, 6]),
  coupling(5, 1, [2, 2, 4, 5]),
  coupling(9, 1, [2, 2, 4, 5]),
  coupling(2, 2, [2, 2, 10, 4]),
  coupling(3, 2, [2, 2, 10, 4]),
  coupling(4, 2, [2, 2, 14, 4]),
  coupling(5, 3, [2, 2, 15, 6]),
  coupling(3, 2, [1, 2, 8, 4, 6]),
];

const values = (shape: Shape, seed: number) =>
  Float32Array.from(new RandomStream(seed).normalArray(sizeOf(shape)));

const report: Record<string, Record<string, number>> = {};
for (const c of cases) {
  const { axis = 2, multiple = 1, whole } = c;
  await setBackend('wasm', { threads: c.threads ?? 1 });
  using split = await splitBackend(communicator, {
    ...{ axis, multiple, size: whole[axis]!, ndims: whole.length - 2 },
  });
  const found = c.run({
    numbers: (shape, seed) =>
      split.scatter(shape, communicator.rank === 0 ? values(shape, seed) : undefined),
    reduce: (parameters) => {
      for (const p of parameters) if (p.grad) p.attachGrad(split.sum(p.grad));
    },
  });
  // In the order in which they were made, which is the same on all ranks.
  const volumes = mapValues(found.volumes, (slabs) => slabs.map((t) => split.gather(t)));
  for (const shares of Object.values(found.sums)) communicator.sum(shares);
  const alike = JSON.stringify(mapValues(found.same, (lists) => lists.map((list) => [...list])));
  const [first, ...others] = communicator.gather(alike);
  if (communicator.rank !== 0) continue;
  await setBackend('wasm');
  const alone = getBackend();
  const expected = c.run({
    numbers: (shape, seed) => tensor(values(shape, seed), shape),
    reduce() {},
  });
  const wholes = mapValues(expected.volumes, (tensors) => tensors.map((t) => t.dataSync()));
  report[c.name] = {
    ...mapValues(wholes, (list, name) => difference(list, volumes[name]!)),
    ...mapValues(expected.sums, (numbers, name) => difference([numbers], [found.sums[name]])),
    ...mapValues(expected.same, (list, name) => difference(list, found.same[name]!)),
    'ranks that differ': others.filter((said) => said !== first).length,
  };
  alone.dispose();
}
if (communicator.rank === 0) console.log(JSON.stringify(report));
communicator.close();

function mapValues<V, W>(record: Readonly<Record<string, V>>, f: (value: V, name: string) => W) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value, name)]));
}

/** The largest difference, relative to the largest number, but at least to 1. */
function difference(
  whole: readonly NumericArray[],
  found: readonly (NumericArray | undefined)[],
): number {
  const worst = whole.map((a, i) => {
    const b = found[i];
    if (a.length !== b?.length) return Number.POSITIVE_INFINITY;
    const scale = Math.max(1, ...a.map(Math.abs));
    return Math.max(...a.map((v, at) => Math.abs(v - b[at]!) / scale));
  });
  return Math.max(0, ...worst);
}
