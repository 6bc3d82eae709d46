/**
 * What the Python package is checked on: the rows of both tables, and what only files have, such as flows,
 * names and replaced parts. `recordRows` writes each as a model file, with what it computes here beside it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BaseDistribution,
  ClassConditional,
  ConditionalNormal,
  Flow,
  MixtureFlow,
  MultivariateNormal,
  Normal,
  NormalMixture,
  StudentT,
  Uniform,
  VariationalDequantization,
  variationalLoss,
} from '@invnet/flows';
import {
  ActNorm,
  AdditiveCoupling,
  Bijection,
  Conditioner,
  ConditionerField,
  ContinuousFlow,
  CustomBlock,
  compose,
  DenseBlock,
  Flattened,
  freeze,
  GlowCoupling,
  Identity,
  InducedAttention,
  initialize,
  Logit,
  MidpointFlow,
  type Module,
  named,
  namedBuffers,
  Parameter,
  placesIn,
  relu,
  replacePart,
  Sequential,
  ShuffleSqueeze,
  SmoothField,
  TensorBuffer,
  TriangularSylvester,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow, Glow, MisfitGradient, MultiScale } from '@invnet/networks';
import {
  affine,
  exp,
  mul,
  ones,
  RandomStream,
  type Shape,
  sum,
  Tensor,
  tensor,
} from '@invnet/tensor';
import { type HostTensor, modelBytes, writeSafetensors } from '@invnet/train';
import { conditionerRows } from './conditioner-rows.ts';
import { operators } from './operators.ts';
import { random } from './row.ts';
import { computedBy, type RowInputs } from './row-results.ts';
import { rows, scatterParameters } from './rows.ts';

/** A module and the shapes to ask it about. */
export interface PythonRow {
  readonly name: string;
  readonly shape: Shape;
  readonly context?: Shape;
  readonly make: () => Module;
  readonly draw?: (random: RandomStream, shape: Shape) => Tensor;
}

/** k·eˣ·c, a function with a parameter and a context. */
const growing = () => {
  const k = new Parameter('k', ones([1]));
  return named('growing', {
    parameters: [k],
    forward: (x: Tensor, c?: Tensor) => ({ y: mul(mul(k.data, exp(x)), c!), saved: { x, c: c! } }),
    backward: (dy: Tensor, { x, c }: { x: Tensor; c: Tensor }) => {
      k.accumulateGrad(sum(mul(dy, mul(exp(x), c))).reshape([1]));
      const grown = mul(k.data, exp(x));
      return { dx: mul(dy, mul(grown, c)), dcontext: mul(dy, grown) };
    },
  });
};

const doubling = named('doubling', {
  forward: (x: Tensor) => ({ y: affine(x, 2), saved: {} }),
  backward: (dy: Tensor) => ({ dx: affine(dy, 2) }),
});

const step = named('step', ([channels]: readonly number[]) => new ActNorm({ channels: channels! }));

/** What makes the functions that files know by name; python/tests/support.py has the same for torch. */
export const namedHere = {
  ...operators,
  growing,
  doubling: () => doubling,
  step: () => step,
};

const small = { hidden: 3, steps: 1, scales: 1 };

const flowOn = (name: string, shape: Shape, base: () => BaseDistribution, context?: Shape) => ({
  name: `Flow on ${name}`,
  shape,
  ...(context && { context }),
  make: () => new Flow({ network: new Identity(), base: base() }),
});
const entries = { channels: 2, size: [2] };
const moments = { channels: 2, contextChannels: 3, ndims: 0, hidden: 3 };

const baseRows: readonly PythonRow[] = [
  flowOn('a Normal', [2, 2, 3], () => new Normal({ channels: 2 })),
  flowOn('a Normal of each number', [2, 2, 2], () => new Normal(entries)),
  flowOn('a MultivariateNormal', [2, 2, 3], () => new MultivariateNormal({ channels: 2 })),
  flowOn('a MultivariateNormal of samples', [2, 2, 2], () => new MultivariateNormal(entries)),
  flowOn('a Uniform', [2, 2, 3], () => new Uniform({ low: [-9, -5], high: 9 })),
  flowOn('a NormalMixture', [3, 2, 2], () => new NormalMixture({ ...entries, components: 3 })),
  flowOn('a StudentT', [2, 2, 3], () => new StudentT({ channels: 2 })),
  flowOn('classes', [2, 2, 3], () => new ClassConditional({ channels: 2, classes: 3 }), [2, 3]),
  flowOn(
    'classes of each number',
    [2, 2, 2],
    () => new ClassConditional({ ...entries, classes: 3 }),
    [2, 3],
  ),
  flowOn('a ConditionalNormal', [2, 2, 3], () => new ConditionalNormal(moments), [2, 3]),
  flowOn(
    'a MixtureFlow',
    [3, 2],
    () => {
      const flow = new Flow({
        network: new ActNorm({ channels: 2 }),
        base: new StudentT({ channels: 2 }),
      });
      return new MixtureFlow({ components: [flow, new ConditionalNormal(moments)] });
    },
    [1, 3],
  ),
];

const smooth = (options: object = {}) =>
  new SmoothField({ channels: 2, hidden: [3], frequencies: 1, random: random(), ...options });
const fine = { relativeTolerance: 1e-13, absoluteTolerance: 1e-13 };

/** Densities by the steps of each solver; and derivatives, which are equal where steps are short: ours are of the equation. */
const continuousRows: readonly PythonRow[] = [
  {
    name: 'ContinuousFlow of short steps, with a context',
    shape: [2, 2],
    context: [2, 1],
    make: () => new ContinuousFlow({ field: smooth({ contextChannels: 1 }), ...fine }),
  },
  {
    name: 'Flow of a ContinuousFlow on images',
    shape: [2, 1, 3],
    make: () => {
      const sizes = { channels: 1, ndims: 1, hidden: 2, frequencies: 1, random: random() };
      return new Flow({ network: new ContinuousFlow({ field: new ConditionerField(sizes) }) });
    },
  },
  {
    name: 'Flow of a ContinuousFlow of equal steps, estimated',
    shape: [3, 2],
    make: () => {
      const by = { solver: 'rungeKutta4', steps: 3, divergence: 'hutchinson', seed: 5 } as const;
      return new Flow({ network: new ContinuousFlow({ field: smooth(), ...by }) });
    },
  },
  {
    name: 'MidpointFlow, estimated by a later draw',
    shape: [3, 2],
    make: () => {
      const flow = new MidpointFlow({
        field: smooth({ activation: 'elu' }),
        steps: 2,
        divergence: 'hutchinson',
        seed: 2 ** 40 + 5,
      });
      flow.draws!.value = 3;
      return flow;
    },
  },
];

const fileRows: readonly PythonRow[] = [
  ...baseRows,
  ...continuousRows,
  {
    name: 'Flow of a Glow on vectors',
    shape: [3, 2],
    make: () => new Flow({ network: new Glow({ ...small, channels: 2, ndims: 0 }) }),
  },
  {
    name: 'Flow with a context, in evaluation mode but for its base',
    shape: [2, 1, 4],
    context: [2, 2, 4],
    make: () => {
      const sizes = { ...small, channels: 1, contextChannels: 2, ndims: 1 };
      const flow = new Flow({ network: new ConditionalGlow(sizes) });
      flow.network.training = false;
      return flow;
    },
  },
  {
    name: 'CustomBlock with a parameter',
    shape: [2, 1],
    context: [2, 1],
    make: () => new CustomBlock(growing()),
  },
  {
    name: 'AdditiveCoupling of a named function',
    shape: [2, 2],
    make: () => new Flattened(new AdditiveCoupling(new CustomBlock(doubling)), [[1], [1]]),
  },
  {
    name: 'Sequential of awkward names, one of them frozen',
    shape: [3, 4],
    make: () => {
      const coupling = new GlowCoupling({ channels: 4, hidden: 3, ndims: 0, random: random() });
      const net = new Sequential({ forward: new ActNorm({ channels: 4 }), inner: coupling });
      freeze(net, 'forward');
      return net;
    },
  },
  {
    name: 'Glow with a replaced part',
    shape: [3, 2],
    make: () => {
      const glow = new Glow({ ...small, channels: 2, ndims: 0 });
      const block = new DenseBlock({ inChannels: 1, hidden: 4, outChannels: 2, random: random() });
      return replacePart(glow, 'scales.0.steps.0.coupling.conditioner', block);
    },
  },
  {
    name: 'MisfitGradient behind a ReLU',
    shape: [2, 1, 3],
    context: [2, 1, 3],
    make: () =>
      new MisfitGradient({
        channels: 1,
        outChannels: 2,
        operator: operators.scaling(),
        link: relu(),
      }),
  },
  {
    name: 'InducedAttention',
    shape: [2, 2, 3],
    context: [2, 1, 2],
    make: () =>
      new InducedAttention({ channels: 2, contextChannels: 1, points: 2, random: random() }),
  },
  {
    name: 'TriangularSylvester',
    shape: [2, 3, 2],
    make: () => new TriangularSylvester({ channels: 3, units: 2, random: random() }),
  },
  {
    name: 'MultiScale of a named step',
    shape: [2, 1, 4],
    make: () => {
      const sizes = { scales: 2, steps: 1, ndims: 1, channels: [1] };
      return new MultiScale({ ...sizes, squeeze: new ShuffleSqueeze(), step });
    },
  },
  {
    name: 'VariationalDequantization',
    shape: [3, 1, 2],
    draw: (stream, shape) => tensor(stream.uniformArray(6, 0, 5).map(Math.floor), shape),
    make: () => {
      const sizes = { ...small, channels: 1, ndims: 1, actnorm: false };
      const flow = new Flow({ network: compose(new Logit(), new Glow(sizes)) });
      const noise = new Flow({ network: new ConditionalGlow({ ...sizes, contextChannels: 1 }) });
      return new VariationalDequantization({ flow, noise, levels: 5 });
    },
  },
];

/** All of them; functions without a name cannot be saved. */
export const pythonRows: readonly PythonRow[] = [
  ...rows,
  ...conditionerRows.filter(({ name }) => !name.startsWith('CustomBlock')),
  ...fileRows,
];

/** Those that are recorded: each kind once, in 1D or on vectors, which keeps the files small. */
export const recordedRows: readonly PythonRow[] = pythonRows.filter(({ name }) => {
  const kind = name.replace(/, [0-3]D$/, '');
  return !/, [023]D$/.test(name) || !pythonRows.some((row) => row.name === `${kind}, 1D`);
});

/** What a file of a row is called. */
export function slugOf({ name }: PythonRow): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

/** A row's module off its start, its inputs, and what it computes on them. */
export async function computedRow(row: PythonRow): Promise<{
  readonly bytes: Uint8Array;
  readonly places: readonly (readonly [path: string, type: string])[];
  readonly arrays: Map<string, HostTensor>;
}> {
  const f = row.make();
  const stream = new RandomStream(1);
  const x = row.draw ? row.draw(stream, row.shape) : stream.normal(row.shape);
  const context = row.context && stream.normal(row.context);
  if (f instanceof Bijection || f instanceof Flow) await initialize(f, x, { context });
  scatterParameters(f);
  for (const [path, buffer] of namedBuffers(f)) {
    // Without its zeros, what is behind a mask would be no inverse.
    if (!(buffer instanceof TensorBuffer) || /mask\d+$/.test(path)) continue;
    using moved = stream.uniform(buffer.shape, 0.5, 1.5);
    buffer.assign(moved);
  }
  const places = [...placesIn(f)].map(({ path, module }) => [path, module.type] as const);
  const bytes = await modelBytes(f, { row: row.name });
  const results = await resultsOf(f, x, context, stream);
  const inputs = await hostTensors({ x, context });
  f.dispose();
  return { bytes, places, arrays: new Map([...inputs, ...results]) };
}

async function resultsOf(
  f: Module,
  x: Tensor,
  context: Tensor | undefined,
  stream: RandomStream,
): Promise<Map<string, HostTensor>> {
  if (f instanceof Flow) return hostTensors({ logProb: f.logProb(x, context) });
  if (f instanceof Bijection) {
    const dy = stream.normal(x.shape);
    const inputs: RowInputs = { x, dy, context };
    const results = await computedBy(f, inputs);
    // The recomputed input, which is that of the inverse.
    results.delete('x');
    return new Map([...(await hostTensors({ dy })), ...results]);
  }
  if (f instanceof VariationalDequantization) return boundOf(f, x);
  if (!(f instanceof Conditioner)) throw new Error(`${f.type} is no row for Python.`);
  const { y, saved } = f.forward(x, context);
  const dy = stream.normal(y.shape);
  return withGradients(f, { y, dy, ...f.backward(dy, saved) });
}

/** The latent variables of the noise, and the bound by them, with the gradients of minus its mean. */
async function boundOf(f: VariationalDequantization, x: Tensor): Promise<Map<string, HostTensor>> {
  const pixels = Uint8Array.from(await x.data());
  const [shape, seed] = [x.shape, 7];
  const z = f.noise.base.sample(f.noise.network.outputShape(shape), {
    random: new RandomStream(seed),
  });
  const bound = f.bound(pixels, { shape, seed });
  variationalLoss(f, pixels, { shape, seed });
  return withGradients(f, { z, bound });
}

async function withGradients(
  f: Module,
  found: Readonly<Record<string, unknown>>,
): Promise<Map<string, HostTensor>> {
  const gradients = f.parameters.map((p) => [`${p.name}.grad`, p.grad] as const);
  const results = await hostTensors({ ...found, ...Object.fromEntries(gradients) });
  zeroGrad(f.parameters);
  return results;
}

async function hostTensors(found: Record<string, unknown>): Promise<Map<string, HostTensor>> {
  const results = new Map<string, HostTensor>();
  for (const [name, t] of Object.entries(found)) {
    if (t instanceof Tensor) results.set(name, { shape: t.shape, data: await t.data() });
  }
  return results;
}

/** Writes rows into a folder: a model file each, and one file of all inputs and results. */
export async function recordRows(folder: string, list: readonly PythonRow[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const tensors = new Map<string, HostTensor>();
  const metadata: Record<string, string> = {};
  for (const row of list) {
    const slug = slugOf(row);
    const { bytes, places, arrays } = await computedRow(row);
    writeFileSync(join(folder, `${slug}.safetensors`), bytes);
    metadata[slug] = JSON.stringify(places);
    for (const [name, array] of arrays) tensors.set(`${slug}/${name}`, array);
  }
  writeFileSync(join(folder, 'expected.safetensors'), writeSafetensors({ tensors, metadata }));
}
