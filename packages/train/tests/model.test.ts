/** Whole models in files: what they keep, and what bad ones are told. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Flow, flowCatalogue, negativeLogLikelihood } from '@invnet/flows';
import {
  ActNorm,
  ConfigurationError,
  Conv1x1,
  CustomBlock,
  compose,
  DenseBlock,
  expClamp,
  GlowCoupling,
  HaarSqueeze,
  initialize,
  type Json,
  Logit,
  layerCatalogue,
  type Module,
  named,
  ResidualBlock,
  ResNet,
  replacePart,
  reverse,
  Sequential,
  ShuffleSqueeze,
  sigmoid,
  unfreeze,
} from '@invnet/layers';
import { Glow, networkCatalogue, UnrolledLoop } from '@invnet/networks';
import {
  affine,
  full,
  InvNetError,
  memory,
  mul,
  RandomStream,
  setBackend,
  type Tensor,
} from '@invnet/tensor';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  CheckpointError,
  constant,
  loadCheckpoint,
  loadModel,
  modelBytes,
  modelFromBytes,
  modelInfo,
  readModelInfo,
  readSafetensors,
  restoreCheckpoint,
  saveCheckpoint,
  saveModel,
  train,
  writeSafetensors,
} from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'model-'));
const file = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => setBackend('wasm'));

const glow = (options: object = {}) =>
  new Glow({ channels: 2, ndims: 0, scales: 1, steps: 2, hidden: 4, ...options });

const output = async (model: Flow | Glow, x: Tensor) =>
  model instanceof Flow ? model.logProb(x).data() : model.forward(x).y.data();

describe('a whole model', () => {
  it('keeps what it was made with, its numbers, its modes and what it was told', async () => {
    const network = compose(new Logit(), glow({ scaleFunction: expClamp({ clamp: 1 }) }));
    const flow = new Flow({ network });
    const x = new RandomStream(1).uniform([64, 2], 0.01, 0.99);
    await initialize(flow.network, x);
    await saveModel(file('flow'), flow, { metadata: { data: 'noise' } });
    const loaded = await loadModel(file('flow'), { modules: flowCatalogue, as: Flow });
    expect(await output(loaded, x)).toEqual(await output(flow, x));
    expect(loaded.parameters.map((p) => p.name)).toEqual(flow.parameters.map((p) => p.name));
    const info = await readModelInfo(file('flow'));
    expect(info.metadata).toEqual({ data: 'noise' });
    expect(info.version).toBe(2);
    expect(info.config.$type).toBe('Flow');
  });

  it('is saved once where a part stands at two places, and is one part again', async () => {
    const shared = new DenseBlock({ inChannels: 1, hidden: 3, outChannels: 2 });
    const coupling = () => new GlowCoupling({ channels: 2, conditioner: shared });
    const norm = new ActNorm({ channels: 2 });
    const network = new Sequential({ a: coupling(), norm, b: coupling(), c: norm });
    const bytes = await modelBytes(network);
    const { tensors } = readSafetensors(bytes);
    expect([...tensors.keys()]).toEqual([
      ...['w1', 'b1', 'w2', 'b2', 'w3', 'b3'].map((name) => `a.conditioner.${name}`),
      ...['norm.scale', 'norm.shift', 'norm.initialized'],
    ]);
    const loaded = modelFromBytes(bytes, { modules: layerCatalogue, as: Sequential });
    expect(loaded.at('norm')).toBe(loaded.at('c'));
    expect(loaded.parameters).toHaveLength(network.parameters.length);
    const [a, b] = ['a', 'b'].map((name) => loaded.at(name) as GlowCoupling);
    expect(a!.conditioner).toBe(b!.conditioner);
  });

  it('keeps replaced parts, frozen parameters and evaluation modes', async () => {
    const net = new Glow({ channels: 1, scales: 1, steps: 2, hidden: 3 });
    const path = 'scales.0.steps.1.coupling.conditioner';
    const other = new ResNet({ inChannels: 2, hidden: 3, outChannels: 4, blocks: 1 });
    const changed = replacePart(net, path, other);
    changed.parameters.find((p) => p.name === `${path}.lift.w`)!.frozen = true;
    other.training = false;
    const loaded = modelFromBytes(await modelBytes(changed), {
      modules: networkCatalogue,
      as: Glow,
    });
    expect(loaded.parameters.map((p) => [p.name, p.frozen])).toEqual(
      changed.parameters.map((p) => [p.name, p.frozen]),
    );
    const x = new RandomStream(2).normal([2, 1, 4, 4]);
    expect(await output(loaded, x)).toEqual(await output(changed, x));
    expect(loaded.training).toBe(true);
    // Frozen by an option, and trained again by hand.
    const frozen = glow({ frozenConv1x1: true });
    unfreeze(frozen, '**.conv1x1');
    const thawed = modelFromBytes(await modelBytes(frozen), { modules: networkCatalogue });
    expect(thawed.parameters.some((p) => p.frozen)).toBe(false);
  });

  it('continues a run that was saved before its first step as one that was not', async () => {
    const data = Array.from({ length: 3 }, (_, i) => new RandomStream(i).normal([32, 2], 50));
    const run = async (flow: Flow, optimizer: Adam, batches: Tensor[]) => {
      const losses: number[] = [];
      const loss = (x: Tensor) => negativeLogLikelihood(flow, x);
      const { parameters } = flow;
      const schedule = constant(1e-3);
      for await (const m of train({ parameters, optimizer, loss, batches, schedule })) {
        losses.push(m.loss);
      }
      return losses;
    };
    const make = () => new Flow({ network: glow() });
    const undisturbed = await run(make(), new Adam(), data);
    for (const before of [0, 1, 2]) {
      const [first, optimizer] = [make(), new Adam()];
      const head = await run(first, optimizer, data.slice(0, before));
      await saveCheckpoint(file('run'), { parameters: first.parameters, optimizer });
      const [second, restored] = [make(), new Adam()];
      await loadCheckpoint(file('run'), { parameters: second.parameters, optimizer: restored });
      const tail = await run(second, restored, data.slice(before));
      expect([...head, ...tail]).toEqual(undisturbed);
      // The same file is a model.
      const model = await loadModel(file('run'), { modules: flowCatalogue, as: Flow });
      expect(await output(model, data[0]!)).toEqual(await output(first, data[0]!));
    }
  });

  it('takes functions by their names, and says which has none', async () => {
    const operator = {
      forward: (u: Tensor) => affine(u, 2),
      adjoint: (r: Tensor) => affine(r, 2),
    };
    const loop = (op: typeof operator) =>
      new UnrolledLoop({ memoryChannels: 2, iterations: 1, ndims: 0, hidden: 2, operator: op });
    await expect(modelBytes(loop(operator))).rejects.toThrow(
      /'operator' of a UnrolledLoop is an object of functions.*named\('a name', value\)/,
    );
    const bytes = await modelBytes(loop(named('twice', operator)));
    const load = (factories: Record<string, () => object>) =>
      modelFromBytes(bytes, { modules: networkCatalogue, named: factories, as: UnrolledLoop });
    const state = [new RandomStream(1).normal([2, 1]), new RandomStream(2).normal([2, 2])] as const;
    const { y } = load({ twice: () => operator }).forward(state, state[0]);
    const { y: expected } = loop(operator).forward(state, state[0]);
    expect(await y[0].data()).toEqual(await expected[0].data());
    // What a factory makes anew needs no name of its own, and keeps the tensors that it holds.
    const anew = load({
      twice: () => {
        const two = full([1, 1], 2);
        return { forward: (u: Tensor) => mul(u, two), adjoint: (r: Tensor) => mul(r, two) };
      },
    });
    expect(await anew.forward(state, state[0]).y[0].data()).toEqual(await expected[0].data());
    expect(await modelBytes(anew)).toEqual(bytes);
    expect(() => load({})).toThrow(/'operator' needs 'twice'; expected named: \{ 'twice'/);
    // A copy of a built-in function with another in it is not the built-in one.
    const scaleFunction = { ...expClamp(), apply: expClamp({ clamp: 1 }).apply };
    await expect(modelBytes(glow({ scaleFunction }))).rejects.toThrow(/'scaleFunction' of a Glow/);
    const block = new CustomBlock({
      forward: (x) => ({ y: affine(x, 2), saved: {} }),
      backward: (dy) => ({ dx: affine(dy, 2) }),
    });
    await expect(modelBytes(new GlowCoupling({ channels: 2, conditioner: block }))).rejects.toThrow(
      /'conditioner.parts' of a CustomBlock/,
    );
  });

  it('cannot be one that a file cannot say', async () => {
    const inner = glow();
    const step = inner.scales[0]!.steps;
    await expect(modelBytes(new Sequential([inner, step]))).rejects.toThrow(
      /'scales.0.steps' is made by its Glow, and stands outside/,
    );
    class Own extends GlowCoupling {}
    await expect(modelBytes(new Own({ channels: 2 }))).rejects.toThrow(/static type/);
    await expect(modelBytes(inner, { 'invnet.x': 'y' })).rejects.toThrow(/does not begin/);
    await expect(modelBytes(inner, { step: 3 as never })).rejects.toThrow(/expected a text/);
  });
});

describe('loading into a network that exists', () => {
  it('compares configurations, and names the path and both values', async () => {
    const saved = glow({ scaleFunction: sigmoid({ low: 0.5, high: 1.5 }) });
    const bytes = await modelBytes(saved);
    const before = await output(glow(), new RandomStream(1).normal([2, 2]));
    const differs = async (into: Module, message: RegExp) => {
      expect(() => restoreCheckpoint(bytes, into)).toThrow(CheckpointError);
      expect(() => restoreCheckpoint(bytes, into)).toThrow(message);
    };
    await differs(
      glow({ scaleFunction: sigmoid({ low: 0.4, high: 1.5 }) }),
      /'scaleFunction.low' is 0.5 in the checkpoint and 0.4 in the network/,
    );
    await differs(
      glow({ scaleFunction: expClamp() }),
      /'scaleFunction.\$type' is "sigmoid".*"expClamp"/,
    );
    await differs(glow({ squeeze: new HaarSqueeze() }), /'squeeze.\$type'/);
    await differs(glow({ steps: 3 }), /'steps' is 2 in the checkpoint and 3/);
    await differs(glow({ actnorm: false }), /'actnorm' is true/);
    await differs(new Flow({ network: glow() }), /'\$type' is "Glow".*"Flow"/);
    const same = glow({ random: new RandomStream(9) });
    restoreCheckpoint(bytes, same);
    expect(await output(same, new RandomStream(1).normal([2, 2]))).toEqual(before);
  });
});

describe('a bad file', () => {
  const bytesOf = () => modelBytes(new Flow({ network: glow() }));

  /** The file with its configuration, its metadata or its tensors changed. */
  async function edited(change: {
    config?: (config: Record<string, Json>) => void;
    metadata?: Record<string, string | undefined>;
    tensors?: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void;
  }): Promise<Uint8Array> {
    const { tensors, metadata } = readSafetensors(await bytesOf());
    const config = JSON.parse(metadata['invnet.model']!);
    change.config?.(config);
    const numbers = new Map(tensors) as Map<
      string,
      { shape: readonly number[]; data: Float32Array }
    >;
    change.tensors?.(numbers);
    const all = { ...metadata, 'invnet.model': JSON.stringify(config), ...change.metadata };
    const kept = Object.entries(all).filter((e): e is [string, string] => e[1] !== undefined);
    return writeSafetensors({ tensors: numbers, metadata: Object.fromEntries(kept) });
  }

  /** One clear error, and nothing half loaded. */
  async function refused(bytes: Uint8Array, message: RegExp, modules = flowCatalogue) {
    const before = memory();
    const load = () => modelFromBytes(bytes, { modules }, 'bad.safetensors');
    expect(load).toThrow(InvNetError);
    expect(load).toThrow(message);
    expect(memory().tensors).toBe(before.tensors);
    expect(memory().liveBytes).toBe(before.liveBytes);
  }

  const network = (change: Record<string, Json | undefined>) =>
    edited({
      config: (config) => {
        config.network = JSON.parse(JSON.stringify({ ...(config.network as object), ...change }));
      },
    });

  it('of a type that was not passed', async () => {
    const bytes = await bytesOf();
    await refused(bytes, /at 'network'.*type 'Glow'.*not passed in/, [...layerCatalogue, Flow]);
    await refused(bytes, /type 'Flow'/, networkCatalogue);
    // A page passes what it needs, and no more.
    const needed = flowCatalogue.filter((t) =>
      ['Flow', 'StandardNormal', 'Glow', 'ShuffleSqueeze', 'sigmoid'].includes(t.type),
    );
    expect(modelFromBytes(bytes, { modules: needed }).type).toBe('Flow');
    expect(() => modelFromBytes(bytes, { modules: flowCatalogue, as: Glow })).toThrow(
      /holds a Flow/,
    );
  });

  it('of a later version, or without a configuration', async () => {
    await refused(await edited({ metadata: { 'invnet.format': '3' } }), /version 3.*reads up to 2/);
    await refused(await edited({ metadata: { 'invnet.format': 'x' } }), /version x/);
    await refused(await edited({ metadata: { 'invnet.format': undefined } }), /weights alone/);
    await refused(await edited({ metadata: { 'invnet.model': '{' } }), /not JSON/);
    await refused(await edited({ metadata: { 'invnet.model': '[1]' } }), /no configuration/);
    expect(() => modelInfo(writeSafetensors({ tensors: new Map(), metadata: {} }))).toThrow(
      /weights alone/,
    );
  });

  it.each<[string, Record<string, Json | undefined>, RegExp]>([
    ['a size of 1e9', { channels: 1e9 }, /channels is 1000000000; expected at most/],
    ['a width of 1e9', { hidden: 1e9 }, /hidden is 1000000000; expected at most/],
    ['too many steps', { steps: 1e7 }, /steps is 10000000; expected .* to 4096/],
    ['a width of 1e4', { hidden: 1e4 }, /more numbers than bad.safetensors holds/],
    ['a negative size', { channels: -2 }, /channels is -2; expected a whole number of at least 1/],
    ['a fraction', { hidden: 1.5 }, /hidden is 1.5/],
    ['a missing size', { channels: undefined }, /channels is undefined/],
    ['a missing option', { hidden: undefined }, /w1 has \[4, 1\], expected \[64, 1\]/],
    ['a list for a number', { channels: [2] }, /channels is \[2\]/],
    ['a text for a number', { steps: '2' }, /steps is '2'/],
    ['a text for a truth', { splitScales: 'no' }, /splitScales is 'no'; expected true or false/],
    ['null for a number', { ndims: null }, /ndims is null/],
    ['a number for a module', { squeeze: 3 }, /network/],
    ['a module of another kind', { squeeze: { $type: 'sigmoid' } }, /network/],
    ['a network for a function', { scaleFunction: { $type: 'HaarSqueeze' } }, /network/],
    ['an unknown option', { colour: 'red' }, /no option 'colour'/],
    ['a scale that can be zero', { scaleFunction: { $type: 'relu' } }, /positive/],
    ['nonsense in a function', { scaleFunction: { $type: 'sigmoid', low: [1], high: 2 } }, /low/],
    ['a reference to nothing', { squeeze: { $ref: 7 } }, /refers to part 7, which is missing/],
    ['parts that are none', { $parts: { 'scales.9': { $type: 'Identity' } } }, /no part at/],
    [
      'parts of another kind',
      { $parts: { 'scales.0.steps.0': { $type: 'sigmoid' } } },
      /no module/,
    ],
  ])('with %s', async (_, change, message) => {
    await refused(await network(change), message);
  });

  it('with a part that is only half there', async () => {
    const shared = new ActNorm({ channels: 2 });
    const bytes = await modelBytes(new Sequential([shared, new Conv1x1({ channels: 2 }), shared]));
    const { tensors, metadata } = readSafetensors(bytes);
    const change = (f: (layers: Record<string, Json>[]) => void) => {
      const config = JSON.parse(metadata['invnet.model']!);
      f(config.layers);
      return writeSafetensors({
        tensors,
        metadata: { ...metadata, 'invnet.model': JSON.stringify(config) },
      });
    };
    await refused(
      change((layers) => {
        delete layers[0]!.$id;
      }),
      /at 'layers.2' refers to part 1, which is missing/,
    );
    await refused(
      change((layers) => {
        layers[2] = { $type: 'ActNorm', channels: 2, $id: 1 };
      }),
      /number 1 of another part/,
    );
    await refused(
      change((layers) => {
        layers[2] = { $type: 'ActNorm', channels: 2 };
      }),
      /'layers.0.\$id' is 1/,
    );
  });

  it('with two children of one name', async () => {
    const bytes = await edited({
      config: (config) => {
        const norm = { $type: 'ActNorm', channels: 2 };
        config.network = { $type: 'Sequential', names: ['a', 'a'], layers: [norm, norm] };
      },
    });
    await refused(bytes, /'a', 'a' for 2 layers; expected one for each, all different/);
  });

  it('with a tensor missing, too many, or of another shape', async () => {
    const name = 'network.scales.0.steps.0.actnorm.scale';
    await refused(
      await edited({ tensors: (t) => t.delete(name) }),
      new RegExp(`it lacks ${name} \\[2\\]`),
    );
    await refused(
      await edited({ tensors: (t) => t.set(name, { shape: [3], data: new Float32Array(3) }) }),
      /has \[3\], expected \[2\]/,
    );
    await refused(
      await edited({ tensors: (t) => t.set('more', { shape: [1], data: new Float32Array(1) }) }),
      /unexpected more \[1\]/,
    );
  });

  it('with modes of parts that are not there', async () => {
    for (const key of ['invnet.frozen', 'invnet.evaluation']) {
      await refused(await edited({ metadata: { [key]: '{}' } }), /no list/);
      await refused(await edited({ metadata: { [key]: '["none"]' } }), /"none"/);
    }
    await refused(
      await edited({ metadata: { 'invnet.evaluation': '[0, 999]' } }),
      /999, no module/,
    );
  });

  it('that is none, or cannot be read', async () => {
    const whole = await bytesOf();
    await refused(whole.slice(0, whole.length - 4), /truncated/);
    await refused(new Uint8Array(3), /not a whole safetensors file/);
    writeFileSync(file('bad'), 'no model');
    await expect(loadModel(file('bad'), { modules: flowCatalogue })).rejects.toThrow(/safetensors/);
    await expect(loadModel(file('none'), { modules: flowCatalogue })).rejects.toThrow(
      /cannot read/,
    );
    await expect(saveModel(join(folder, 'no', 'm'), glow())).rejects.toThrow(CheckpointError);
    expect(readFileSync(file('bad'), 'utf8')).toBe('no model');
  });
});

it('a reversed network and other blocks have types as well', async () => {
  const block = new ResidualBlock({ inChannels: 1, hidden: 2, outChannels: 2, stride: 2 });
  const net = reverse(compose(new ShuffleSqueeze(), reverse(new HaarSqueeze())));
  expect(modelFromBytes(await modelBytes(block), { modules: layerCatalogue }).type).toBe(
    'ResidualBlock',
  );
  expect(modelFromBytes(await modelBytes(net), { modules: layerCatalogue }).type).toBe('Reversed');
  expect(() => modelFromBytes(new Uint8Array(0), { modules: [] })).toThrow(InvNetError);
  expect(ConfigurationError.prototype).toBeInstanceOf(InvNetError);
});
