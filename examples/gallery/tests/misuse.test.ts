/**
 * Every export of every package, called with one argument spoiled at a time: each call ends in an error
 * of the library or in a right result, and leaves nothing behind.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import * as datasets from '@invnet/datasets';
import * as devito from '@invnet/devito';
import * as figures from '@invnet/figures';
import * as flows from '@invnet/flows';
import * as inference from '@invnet/inference';
import * as inferenceReport from '@invnet/inference/report';
import * as inferenceTasks from '@invnet/inference/tasks';
import * as jax from '@invnet/jax';
import * as jvp from '@invnet/jvp';
import * as layers from '@invnet/layers';
import * as metrics from '@invnet/metrics';
import * as mpi from '@invnet/mpi';
import * as native from '@invnet/native';
import * as networks from '@invnet/networks';
import * as onnx from '@invnet/onnx';
import * as operators from '@invnet/operators';
import * as tensors from '@invnet/tensor';
import * as tfjs from '@invnet/tfjs';
import * as tfjsLayers from '@invnet/tfjs/layers';
import * as train from '@invnet/train';
import * as trainProgress from '@invnet/train/progress';
import * as weights from '@invnet/weights';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { autoregressiveCalls } from './misuse/autoregressive.ts';
import { type Call, type Calls, placesIn } from './misuse/call.ts';
import { conditionerCalls } from './misuse/conditioners.ts';
import { continuousCalls } from './misuse/continuous.ts';
import { couplingBlockCalls } from './misuse/coupling-blocks.ts';
import { figureCalls } from './misuse/figures.ts';
import { fileCalls, files } from './misuse/files.ts';
import { inferenceCalls } from './misuse/inference.ts';
import { inferenceTaskCalls } from './misuse/inference-tasks.ts';
import { jaxCalls } from './misuse/jax.ts';
import { layerCalls } from './misuse/layers.ts';
import { linearCalls } from './misuse/linear.ts';
import { metricCalls } from './misuse/metrics.ts';
import { mpiCalls } from './misuse/mpi.ts';
import { flowCalls, networkCalls } from './misuse/networks.ts';
import { objectiveCalls } from './misuse/objectives.ts';
import { imagingCalls } from './misuse/operators.ts';
import { ownFunctionCalls } from './misuse/own-functions.ts';
import { reportCalls } from './misuse/report.ts';
import { residualCalls } from './misuse/residual.ts';
import { tensorCalls } from './misuse/tensors.ts';
import { tfjsCalls, tfjsLayerCalls } from './misuse/tfjs.ts';
import {
  dataCalls,
  devitoCalls,
  nativeCalls,
  onnxCalls,
  operatorCalls,
  progressCalls,
  trainCalls,
} from './misuse/tools.ts';
import { splineCalls, transformerCalls } from './misuse/transformers.ts';
import { weightCalls } from './misuse/weights.ts';

type Made = Calls | Promise<Calls>;

/** The packages, with their calls, and on which backend those are made. */
const packages: [string, object, () => Made, 'wasm' | 'reference'][] = [
  ['tensor', tensors, () => ({ ...tensorCalls(), ...splineCalls() }), 'wasm'],
  ['tensor', tensors, () => ({ ...tensorCalls(), ...splineCalls() }), 'reference'],
  [
    'layers',
    layers,
    () => ({
      ...layerCalls(),
      ...conditionerCalls(),
      ...ownFunctionCalls(),
      ...linearCalls(),
      ...transformerCalls(),
      ...residualCalls(),
      ...continuousCalls(),
      ...couplingBlockCalls(),
      ...autoregressiveCalls(),
    }),
    'wasm',
  ],
  ['networks', networks, networkCalls, 'wasm'],
  ['flows', flows, () => ({ ...flowCalls(), ...objectiveCalls() }), 'wasm'],
  ['jvp', jvp, operatorCalls, 'wasm'],
  ['operators', operators, imagingCalls, 'wasm'],
  ['train', train, trainCalls, 'wasm'],
  ['train/progress', trainProgress, progressCalls, 'wasm'],
  ['datasets', datasets, dataCalls, 'wasm'],
  ['files', files, fileCalls, 'wasm'],
  ['metrics', metrics, metricCalls, 'wasm'],
  ['figures', figures, figureCalls, 'wasm'],
  ['inference', inference, inferenceCalls, 'wasm'],
  ['inference/report', inferenceReport, reportCalls, 'wasm'],
  ['inference/tasks', inferenceTasks, inferenceTaskCalls, 'wasm'],
  ['native', native, nativeCalls, 'wasm'],
  ['devito', devito, devitoCalls, 'wasm'],
  ['mpi', mpi, mpiCalls, 'wasm'],
  ['weights', weights, weightCalls, 'wasm'],
  ['onnx', onnx, onnxCalls, 'wasm'],
  ['jax', jax, jaxCalls, 'wasm'],
  ['tfjs', tfjs, tfjsCalls, 'wasm'],
  ['tfjs/layers', tfjsLayers, tfjsLayerCalls, 'wasm'],
];

/** Spoiled calls of each right one, the same ones each time; INVNET_MISUSE_RUNS asks for so many others. */
const { INVNET_MISUSE_RUNS: more } = process.env;
const search = more === undefined ? { numRuns: 60, seed: 14 } : { numRuns: Number(more) };

const { formatValue, InvNetError, memory, setBackend, Tensor } = tensors;
const start = process.cwd();
let folder: string;

beforeAll(() => {
  // Where a spoiled path may be a name of a file.
  folder = mkdtempSync(join(tmpdir(), 'misuse-'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(start);
  rmSync(folder, { recursive: true });
});

describe.each(packages)('%s, %#', (_, api, calls, name) => {
  it('has a right call of each of its exports, none of which takes what is none', async () => {
    await setBackend(name);
    const backend = tensors.getBackend();
    const all = await calls();
    expect(Object.keys(all).sort()).toEqual(Object.keys(api).sort());
    const failures: string[] = [];
    const bad = fc.oneof(fc.constantFrom(...spoiled()), fc.double(), fc.anything());
    for (const call of Object.values(all).flat()) {
      const places = placesIn(call.args);
      await tried(call, call.args, true).catch((error) => failures.push(reason(error)));
      if (places.length === 0) continue;
      const property = fc.asyncProperty(fc.constantFrom(...places), bad, async (spoil, value) => {
        await tried(call, spoil(value), false);
        await setBackend(backend);
      });
      const { failed, errorInstance } = await fc.check(property, {
        ...search,
        endOnFailure: true,
      });
      if (failed) failures.push(reason(errorInstance));
    }
    expect(failures.join('\n')).toBe('');
  });
});

/** Values that no number, size, shape, list, option, function or tensor may be. */
function spoiled(): readonly unknown[] {
  const disposed = tensors.zeros([2]);
  disposed.dispose();
  const elsewhere = tensors.zeros([2, 3], {
    backend: new tensors.ReferenceBackend({}),
    dtype: 'float32',
  });
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  return [
    undefined,
    null,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    0,
    -1,
    1.5,
    2 ** 31,
    2 ** 40,
    2 ** 53,
    '',
    '2',
    'x',
    1n,
    true,
    Symbol('s'),
    {},
    { length: 2 },
    { shape: [2, 3] },
    [],
    [1.5],
    ['2'],
    [-2, 3],
    [Number.NaN],
    // biome-ignore lint/suspicious/noSparseArray: holes are what is tried.
    [2, , 3],
    [2 ** 20, 2 ** 20, 2 ** 20],
    cyclic,
    () => 1,
    () => Promise.resolve(1),
    new Map(),
    new Date(0),
    BigInt64Array.of(1n),
    Float32Array.of(Number.NaN),
    tensors.zeros([2, 3]),
    tensors.zeros([7]),
    [tensors.zeros([1]), tensors.zeros([2, 2])],
    disposed,
    elsewhere,
    new layers.Parameter('p', tensors.zeros([2])),
    new layers.Identity(),
    new tensors.RandomStream(1),
  ];
}

/** Makes a call, and checks how it ends. */
async function tried(call: Call, args: readonly unknown[], right: boolean): Promise<void> {
  const { liveBytes, tensors: count } = memory();
  const what = `${call.name}(${args.map((a) => formatValue(a)).join(', ')})`;
  try {
    const given = new Set(
      [args, call.args, call.self, tensors.getBackend()].flatMap((v) => [...parts(v)]),
    );
    const result = await settled(call.run(args));
    const made = [...parts(result)].filter((part) => !given.has(part));
    await release(made, what, right || call.may?.includes('nan') === true);
  } catch (error) {
    const system = call.may?.includes('system') && error instanceof Error && 'code' in error;
    if (right || !(error instanceof InvNetError || system)) throw new Error(what, { cause: error });
  } finally {
    call.undo?.();
  }
  expect(memory(), what).toMatchObject({ liveBytes, tensors: count });
}

/** What went wrong, in a line. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error
    ? `${error.message}: ${error.cause.name}: ${error.cause.stack?.split('\n').slice(0, 3).join(' | ')}`
    : error.message;
}

/** What a call gives in the end: of iterators, the first few. */
async function settled(result: unknown): Promise<unknown> {
  const value = await result;
  if (typeof value !== 'object' || value === null || !('next' in value)) return value;
  const iterator = value as AsyncIterator<unknown> | Iterator<unknown>;
  for (let i = 0; i < 3; i++) if ((await iterator.next()).done) return undefined;
  await iterator.return?.();
  return undefined;
}

/** Frees what a call made, and looks at its numbers. */
async function release(made: readonly unknown[], what: string, any: boolean): Promise<void> {
  for (const part of made) {
    if (typeof part === 'number' && !any) expect(part, what).not.toBeNaN();
    if (part instanceof Tensor && !part.disposed) {
      const numbers = await part.data();
      if (!any) expect(numbers.some(Number.isNaN), what).toBe(false);
    }
    if (!isNode(part) && isDisposable(part)) part.dispose();
  }
}

/** A value and all in it, as far as lists, maps, records and networks go. */
function parts(value: unknown, found = new Set<unknown>()): Set<unknown> {
  if (found.has(value)) return found;
  found.add(value);
  if (typeof value !== 'object' || value === null) return found;
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  const held = value instanceof Map ? value.values() : plain ? Object.values(value) : [];
  for (const part of isNode(value) ? tensorsIn(value) : held) parts(part, found);
  return found;
}

type Node = layers.Module | layers.Parameter | layers.ModuleBuffer;

/** Is it what holds tensors that may be another's as well? */
function isNode(value: unknown): value is Node {
  return [layers.Module, layers.Parameter, layers.ModuleBuffer].some((C) => value instanceof C);
}

function tensorsIn(node: Node): tensors.Tensor[] {
  if (node instanceof layers.Parameter) return [node.data, ...(node.grad ? [node.grad] : [])];
  if (node instanceof layers.TensorBuffer) return [node.data];
  if (!(node instanceof layers.Module)) return [];
  return [...node.parameters, ...layers.namedBuffers(node).values()].flatMap(tensorsIn);
}

function isDisposable(value: unknown): value is { dispose(): void } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'dispose' in value &&
    typeof value.dispose === 'function'
  );
}
