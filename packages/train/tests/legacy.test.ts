/** Files of the form before version 2, of weights alone, load into networks of now. */
import { Flow } from '@invnet/flows';
import {
  ActNorm,
  Conv1x1,
  DenseBlock,
  GlowCoupling,
  initialize,
  isInitialized,
  type Module,
  namedBuffers,
  namedParameters,
  ResNet,
  Sequential,
  TensorBuffer,
} from '@invnet/layers';
import { ConditionalGlow, Glow, SummarizedNetwork } from '@invnet/networks';
import { RandomStream, setBackend, sizeOf } from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  CheckpointError,
  type HostTensor,
  restoreCheckpoint,
  writeSafetensors,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const sizes = { channels: 2, ndims: 0, scales: 1, steps: 1, hidden: 3 };
const glow = () => new Glow(sizes);

/** The names that a library of before gave, copied from one. */
const denseNames = ['w1', 'b1', 'w2', 'b2', 'w3', 'b3'];
const glowNames = [
  ...['actnorm.scale', 'actnorm.shift', 'conv1x1.v1', 'conv1x1.v2', 'conv1x1.v3'],
  ...denseNames.map((name) => `coupling.conditioner.${name}`),
].map((name) => `scales.0.steps.0.${name}`);
const unitNames = ['norm.scale', 'norm.shift', 'norm.runningMean', 'norm.runningVariance'];
const resNetNames = [
  ...['lift.w', 'lift.b'],
  ...['blocks.0.0', 'blocks.0.1', 'last'].flatMap((unit) =>
    [...unitNames, 'conv.w', 'conv.b'].map((name) => `${unit}.${name}`),
  ),
];

interface Case {
  readonly name: string;
  readonly make: () => Module;
  /** Names in the file. */
  readonly names: readonly string[];
  /** Where the part of a name stands now. */
  readonly place: (name: string) => string;
}

const cases: readonly Case[] = [
  { name: 'a Glow', make: glow, names: glowNames, place: (name) => name },
  {
    name: 'a Flow',
    make: () => new Flow({ network: glow() }),
    names: glowNames,
    place: (name) => `network.${name}`,
  },
  {
    name: 'a SummarizedNetwork',
    make: () =>
      new SummarizedNetwork({
        network: new ConditionalGlow({ ...sizes, contextChannels: 2 }),
        summary: new DenseBlock({ inChannels: 3, hidden: 3, outChannels: 2 }),
      }),
    names: [...glowNames, 'context.scale', 'context.shift', ...denseNames],
    place: (name) => (denseNames.includes(name) ? `summary.${name}` : `network.${name}`),
  },
  {
    name: 'a coupling with a ResNet',
    make: () => {
      const conditioner = new ResNet({ inChannels: 1, hidden: 2, outChannels: 2, blocks: 1 });
      return new GlowCoupling({ channels: 2, conditioner });
    },
    names: resNetNames.map((name) => `conditioner.${name}`),
    place: (name) => name,
  },
  {
    name: 'layers that are called as the parts without names',
    make: () => {
      const layers = {
        network: new ActNorm({ channels: 2 }),
        summary: new Conv1x1({ channels: 2 }),
      };
      return new Flow({ network: new Sequential(layers) });
    },
    names: ['network.scale', 'network.shift', 'summary.v1', 'summary.v2', 'summary.v3'],
    place: (name) => `network.${name}`,
  },
];

/** Parameters and running statistics by path. */
function partsOf(module: Module) {
  const statistics = [...namedBuffers(module)].flatMap(([path, b]) =>
    b instanceof TensorBuffer ? [[path, b.data] as const] : [],
  );
  const weights = [...namedParameters(module)].map(([path, p]) => [path, p.data] as const);
  return new Map([...weights, ...statistics]);
}

function numbersOf(module: Module): Record<string, number[]> {
  return Object.fromEntries([...partsOf(module)].map(([path, t]) => [path, [...t.dataSync()]]));
}

/** A file of before, with numbers that are all different; and where they belong now. */
function fileFor({ make, names, place }: Case) {
  const parts = partsOf(make());
  let count = 0;
  const arrays = names.map((name) => {
    const { shape } = parts.get(place(name))!;
    const data = Float64Array.from({ length: sizeOf(shape) }, () => ++count / 10);
    return [name, { shape, data }] as const;
  });
  const expected = Object.fromEntries(arrays.map(([name, { data }]) => [place(name), [...data]]));
  return { tensors: new Map(arrays), expected };
}

describe.each(cases)('weights alone of $name', (row) => {
  it('load, running statistics among them, and count as initialized', () => {
    const { tensors, expected } = fileFor(row);
    const module = row.make();
    const bytes = writeSafetensors({ tensors, metadata: { step: '7' } });
    expect(restoreCheckpoint(bytes, { parameters: module.parameters })).toEqual({ step: '7' });
    expect(numbersOf(module)).toEqual(expected);
    expect(isInitialized(module)).toBe(true);
  });

  it('bring the state of their optimizer along', async () => {
    const { tensors } = fileFor(row);
    const trained = row.names.filter((name) => !name.includes('running'));
    /** The state, with names as the file has them or as they are now. */
    const state = (nameOf: (name: string) => string) =>
      trained.flatMap((name, i): [string, HostTensor][] => {
        const { shape, data } = tensors.get(name)!;
        return [
          [`m/${nameOf(name)}`, { shape, data }],
          [`v/${nameOf(name)}`, { shape, data: data.map((v) => 2 * v) }],
          [`step/${nameOf(name)}`, { shape: [], data: Float64Array.of(i + 1) }],
        ];
      });
    const saved = state((name) => name).map(([key, value]): [string, HostTensor] => [
      `optimizer/adam/${key}`,
      value,
    ]);
    const bytes = writeSafetensors({
      tensors: new Map<string, HostTensor>([...tensors, ...saved]),
      metadata: { 'invnet.optimizer': 'adam' },
    });
    const { parameters } = row.make();
    const optimizer = new Adam();
    expect(restoreCheckpoint(bytes, { parameters, optimizer })).toEqual({});
    expect(await optimizer.state(parameters)).toEqual(new Map(state(row.place)));
  });

  it('are refused by name when some are missing or too many, and nothing changes', () => {
    const { tensors } = fileFor(row);
    const module = row.make();
    const [before, initialized] = [numbersOf(module), isInitialized(module)];
    const load = (change: (t: Map<string, HostTensor>) => void) => () => {
      const changed = new Map<string, HostTensor>(tensors);
      change(changed);
      const bytes = writeSafetensors({ tensors: changed, metadata: {} });
      restoreCheckpoint(bytes, { parameters: module.parameters }, 'old.safetensors');
    };
    const [first] = row.names;
    expect(load((t) => t.delete(first!))).toThrow(CheckpointError);
    expect(load((t) => t.delete(first!))).toThrow(
      `old.safetensors is of another architecture: it lacks ${first} `,
    );
    const extra = { shape: [1], data: Float64Array.of(1) };
    expect(load((t) => t.set('extra', extra))).toThrow(/it has the unexpected extra \[1\]/);
    expect(load((t) => t.set(first!, extra))).toThrow(`wrong shapes: ${first} has [1]`);
    expect(numbersOf(module)).toEqual(before);
    expect(isInitialized(module)).toBe(initialized);
  });
});

it('data do not change what weights alone have set', async () => {
  const { tensors, expected } = fileFor(cases[1]!);
  const flow = new Flow({ network: glow() });
  const bytes = writeSafetensors({ tensors, metadata: {} });
  restoreCheckpoint(bytes, flow);
  await initialize(flow.network, new RandomStream(1).normal([5, 2]));
  expect(numbersOf(flow)).toEqual(expected);
});
