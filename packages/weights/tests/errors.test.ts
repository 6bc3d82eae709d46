/** What cannot be read or written is one error, which names the tensor or the layer, and leaves nothing behind. */
import { readFileSync } from 'node:fs';
import { Flow } from '@invnet/flows';
import { ActNorm, Elementwise, Sequential, tanh } from '@invnet/layers';
import { memory, setBackend, tensor } from '@invnet/tensor';
import { type HostTensor, readSafetensors, SafetensorsFormatError } from '@invnet/train';
import { beforeEach, expect, it } from 'vitest';
import {
  exportFreia,
  exportInvertibleNetworksJl,
  exportNflows,
  exportNormflows,
  importFreia,
  importInvertibleNetworksJl,
  importNflows,
  importNormflows,
  WeightsError,
} from '../src/index.ts';
import { cases } from './cases.ts';

beforeEach(() => setBackend('wasm'));

const tensorsOf = (name: string): Map<string, HostTensor> =>
  new Map(
    readSafetensors(readFileSync(new URL(`./recorded/${name}.safetensors`, import.meta.url)))
      .tensors,
  );

const of = (shape: number[], value = 0): HostTensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
});

type Change = (tensors: Map<string, HostTensor>) => void;

const set =
  (key: string, tensor: HostTensor): Change =>
  (tensors) => {
    tensors.set(key, tensor);
  };

const without =
  (key: string): Change =>
  (tensors) => {
    tensors.delete(key);
  };

const map = 'flows.0.0.flows.0.flows.1.param_map.net';
const subnet = 'module_list.1.subnet';

it.each<[string, Change, string, string]>([
  ['normflows-glow', without('flows.0.0.flows.2.s'), 'flows.0.0.flows.2.s', 'is missing'],
  ['normflows-glow', without(`${map}.2.bias`), `${map}.2.bias`, 'is missing'],
  ['normflows-glow', without(`${map}.0.bias`), `${map}.0.bias`, 'is missing'],
  ['normflows-glow', set(`${map}.4.bias`, of([7])), `${map}.4.bias`, 'expected [8]'],
  ['normflows-glow', set('flows.0.0.flows.1.P', of([8, 8])), 'flows.0.0.flows.1.P', 'permutation'],
  ['normflows-glow', set('temperature', of([])), 'temperature', 'does not know what to do'],
  ['normflows-glow', set('q0.1.loc', of([1, 3, 2, 2])), 'q0.1.log_scale', 'expected [1, 3, 2, 2]'],
  ['normflows-glow', set('q0.0.loc', of([1, 8, 1, 1], Number.NaN)), 'q0.0.loc', 'has NaN at 0'],
  ['normflows-glow', set('q0.0.log_scale', of([1, 8, 1, 1], -200)), 'q0.0', 'float32 can hold'],
  ['normflows-glow', set(`${map}.1.actNorm.s`, of([3])), map, 'nothing else'],
  [
    'normflows-vectors',
    (tensors) => {
      without('flows.7.data_dep_init_done')(tensors);
      set('flows.7.b', of([5]))(tensors); // the mask of a MaskedAffineFlow
    },
    'flows.7',
    'none of',
  ],
  ['normflows-vectors', without('flows.7.data_dep_init_done'), 'flows.7', ''],
  [
    'nflows-vectors',
    set('_transform._transforms.0.scale', of([5])),
    '_transform._transforms.0.scale',
    'does not know',
  ],
  [
    'nflows-vectors',
    set('_transform._transforms.10.unnormalized_pdf', of([5])),
    '_transform._transforms.10',
    'none of',
  ],
  [
    'freia-all-in-one',
    set('module_list.1.vk_householder', of([2, 4])),
    'module_list.1.vk_householder',
    'does not know',
  ],
  ['freia-all-in-one', without(`${subnet}.0.weight`), `${subnet}.0.weight`, 'is missing'],
  ['freia-all-in-one', set(`${subnet}.0.weight`, of([4, 3, 3, 3])), subnet, 'without conditions'],
  ['freia-glow', set('module_list.1.perm', of([5])), 'module_list.1.perm', 'different indices'],
  ['julia-glow', without('CL.1.1.RB.W1'), 'CL.1.1.RB.W1', 'is missing'],
])('%s, %#', (name, change, key, message) => {
  const before = memory().liveBytes;
  const tensors = tensorsOf(name);
  change(tensors);
  let error: unknown;
  try {
    cases[name]!.load(tensors).dispose();
  } catch (caught) {
    error = caught;
  }
  if (message === '')
    expect(error).toBeUndefined(); // an AffineConstFlow
  else {
    expect(error).toBeInstanceOf(WeightsError);
    expect(String(error)).toMatch(new RegExp(message.replace(/[[\]]/g, '\\$&')));
    expect(error).toHaveProperty('key', key);
  }
  expect(memory().liveBytes).toBe(before);
});

it('modules without parameters are asked for', () => {
  const tensors = tensorsOf('normflows-realnvp');
  expect(() => importNormflows(tensors)).toThrow("such as { 'flows.1': 'PermuteSwap'");
  const gaps = { 'flows.1': 'PermuteSwap', 'flows.4': 'Swap', 'flows.7': 'PermuteSwap' };
  expect(() => importNormflows(tensors, { gaps })).toThrow("flows.4 is said to be 'Swap'");
  const astray = { ...gaps, 'flows.4': 'PermuteSwap', 'flow.9': 'PermuteSwap' };
  expect(() => importNormflows(tensors, { gaps: astray })).toThrow("gaps names 'flow.9'");
  const far = set('flows.999999999.s', of([1, 2]));
  far(tensors);
  expect(() => importNormflows(tensors)).toThrow('flows.1, flows.4');
});

it('options that do not fit the file are named', () => {
  const glow = tensorsOf('normflows-glow');
  expect(() => importNormflows(glow, { squeeze: false })).toThrow('`squeeze: false` for levels');
  const odd = tensorsOf('normflows-vectors');
  expect(() => importNormflows(odd, { splitMode: 'channel_inv' })).toThrow(
    "splitMode: 'channel_inv'",
  );
});

it('a file of another library is refused by each', () => {
  const [glow, flow] = [tensorsOf('normflows-glow'), tensorsOf('nflows-vectors')];
  expect(() => importNormflows(flow)).toThrow(/has no q0, .*, but _transform, _distribution\./);
  expect(() => importFreia(glow)).toThrow(/has no module_list, .*, but q0, flows\./);
  expect(() => importNflows(glow)).toThrow(/has no _transform, .*, but q0, flows\./);
  expect(() => importInvertibleNetworksJl(glow)).toThrow('split_scales is missing');
  expect(() => importNormflows(new Map())).toThrow(/has no q0, .*, but none\./);
  expect(() => importNormflows(new Uint8Array(20))).toThrow(SafetensorsFormatError);
  expect(() => importNormflows(new ArrayBuffer(20) as never)).toThrow(/as a Uint8Array/);
});

it('networks of another form are not written', async () => {
  const own = new Sequential([new ActNorm({ channels: 2 }), new Elementwise(tanh())]);
  const flow = new Flow({ network: own });
  await expect(exportNormflows(flow)).rejects.toThrow("has no layer 'flows' here");
  await expect(exportNflows(flow)).rejects.toThrow("has no layer 'transform' here");
  await expect(exportFreia(own)).rejects.toThrow("has a layer '0' here");
  await expect(exportInvertibleNetworksJl(own)).rejects.toThrow(WeightsError);
});

it('what was trained into something that theirs cannot hold is not written', async () => {
  const flow = cases['normflows-realnvp']!.load(tensorsOf('normflows-realnvp'));
  const norm = flow.parameters.find((p) => p.name === 'network.flows.ActNorm2.scale')!;
  using turned = tensor([1, -1], [2]);
  norm.assign(turned);
  await expect(exportNormflows(flow)).rejects.toThrow('flows.2 has the scale -1 in channel 1');
  flow.dispose();
});
