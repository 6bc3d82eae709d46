/**
 * Models that the libraries made have the same densities, latents and samples here, and back there: with
 * recorded files everywhere, and with the libraries themselves where `python3` or `julia` has them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Flow, flowCatalogue, negativeLogLikelihood } from '@invnet/flows';
import { memory, setBackend, type Tensor, tensor } from '@invnet/tensor';
import { type HostTensor, modelBytes, modelFromBytes, readSafetensors } from '@invnet/train';
import { describe, expect, it } from 'vitest';
import { Perceptron, ResidualPerceptron } from '../src/index.ts';
import { type Case, cases } from './cases.ts';

const besides = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const recorded = besides('recorded');
/** The libraries of Python, by the first part of their cases' names. */
const libraries = { normflows: 'normflows', freia: 'FrEIA', nflows: 'nflows' };
const all = Object.entries(cases);

const onHost = async (folder: string, name: string) =>
  readSafetensors(await readFile(join(folder, `${name}.safetensors`))).tensors;

/** The largest difference relative to 1 + |expected|. */
async function difference(t: Tensor, expected: HostTensor): Promise<number> {
  expect(t.shape).toEqual(expected.shape);
  const found = await t.data();
  const differences = Array.from(
    expected.data,
    (v, i) => Math.abs(v - found[i]!) / (1 + Math.abs(v)),
  );
  return Math.max(...differences);
}

/** By how much a flow differs from what its library says. */
async function worst(flow: Flow, folder: string, name: string): Promise<number> {
  const expected = await onHost(folder, `${name}.expected`);
  const on = (key: string) => tensor(expected.get(key)!.data, expected.get(key)!.shape);
  using x = on('x');
  using noise = on('noise');
  using logProb = flow.logProb(x);
  const { y, logdet } = flow.network.forward(x);
  const { x: sample, logdet: back } = flow.network.inverse(noise);
  const differences = await Promise.all([
    difference(logProb, expected.get('log_prob')!),
    difference(y, expected.get('z')!),
    difference(sample, expected.get('sample')!),
  ]);
  for (const t of [y, logdet, sample, back]) t.dispose();
  return Math.max(...differences);
}

const load = async ({ load }: Case, folder: string, name: string) =>
  load(await readFile(join(folder, `${name}.safetensors`)));

describe.each([
  ['reference', { dtype: 'float64' }],
  ['wasm', {}],
] as const)('on %s', (backend, options) => {
  it.each(all)('%s is the same function', async (name, c) => {
    await setBackend(backend, options);
    const before = memory().liveBytes;
    const flow = await load(c, recorded, name);
    // What float32 rounded of a rotation is not quite its inverse's transpose.
    const exact = name.startsWith('freia') ? 1e-6 : 1e-10;
    const tolerance = backend === 'reference' ? exact : 1e-5;
    expect(await worst(flow, recorded, name)).toBeLessThan(tolerance);
    flow.dispose();
    expect(memory().liveBytes).toBe(before);
  });
});

it.each(all)('%s is written with its names and shapes', async (name, c) => {
  await setBackend('wasm');
  const before = memory().liveBytes;
  const flow = await load(c, recorded, name);
  const bytes = await c.save(flow);
  const shapes = (tensors: ReadonlyMap<string, HostTensor>) =>
    Object.fromEntries([...tensors].map(([key, { shape }]) => [key, shape]));
  const original = await onHost(recorded, name);
  const written = readSafetensors(bytes).tensors;
  expect(shapes(written)).toEqual(shapes(original));
  const again = c.load(written);
  expect(await worst(again, recorded, name)).toBeLessThan(1e-5);
  flow.dispose();
  again.dispose();
  expect(memory().liveBytes).toBe(before);
});

it.each(all)('%s is saved and loaded as a model of this library, and trained', async (name, c) => {
  await setBackend('reference', { dtype: 'float64' });
  const flow = await load(c, recorded, name);
  const modules = [...flowCatalogue, Perceptron, ResidualPerceptron];
  const loaded = modelFromBytes(await modelBytes(flow), { modules, as: Flow });
  expect(await worst(loaded, recorded, name)).toBeLessThan(1e-6);
  const x = (await onHost(recorded, `${name}.expected`)).get('x')!;
  using data = tensor(x.data, x.shape);
  using loss = negativeLogLikelihood(loaded, data);
  const logProb = (await onHost(recorded, `${name}.expected`)).get('log_prob')!.data;
  const mean = [...logProb].reduce((sum, v) => sum + v, 0) / logProb.length;
  expect((await loss.data())[0]! / -mean).toBeCloseTo(1, 6);
  expect(loaded.parameters.some((p) => p.grad)).toBe(true);
});

/** What makes models anew where it is installed, and of which libraries. */
interface Recorder {
  readonly command: readonly string[];
  readonly names: readonly string[];
}

const namesOf = (prefixes: readonly string[]) =>
  all.map(([name]) => name).filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));

/** Python with those of the libraries that it has, which are not loaded for that. */
function python(): Recorder {
  const names = JSON.stringify(['numpy', 'torch', ...Object.values(libraries)]);
  const program = `import json, importlib.util as u; print(json.dumps([n for n in ${names} if u.find_spec(n)]))`;
  const { status, stdout } = spawnSync('python3', ['-c', program]);
  const found: string[] = status === 0 ? JSON.parse(String(stdout)) : [];
  const runs = found.includes('numpy') && found.includes('torch');
  const prefixes = Object.entries(libraries).filter(([, name]) => found.includes(name));
  return {
    command: ['python3', '-W', 'ignore', besides('record.py')],
    names: runs ? namesOf(prefixes.map(([prefix]) => prefix)) : [],
  };
}

/** Julia where it has the package. */
function julia(): Recorder {
  const { status } = spawnSync('julia', ['-e', 'using InvertibleNetworks, JSON']);
  return {
    command: ['julia', besides('record.jl')],
    names: status === 0 ? namesOf(['julia']) : [],
  };
}

const recorders = [python(), julia()].filter(({ names }) => names.length > 0);

it.runIf(recorders.length > 0)(
  'models that the libraries make now are the same here and back there',
  async () => {
    await setBackend('wasm');
    for (const { command, names } of recorders) {
      const folder = mkdtempSync(join(tmpdir(), 'weights-'));
      const run = (...args: string[]) => {
        const [program = '', ...first] = command;
        const { status, stdout, stderr } = spawnSync(program, [...first, ...args]);
        expect(status, String(stderr)).toBe(0);
        return String(stdout);
      };
      run(folder, ...names);
      for (const name of names) {
        const c = cases[name]!;
        const flow = await load(c, folder, name);
        expect(await worst(flow, folder, name), name).toBeLessThan(1e-5);
        writeFileSync(join(folder, `${name}.back.safetensors`), await c.save(flow));
        flow.dispose();
      }
      const differences: Record<string, number> = JSON.parse(run('--back', folder, ...names));
      expect(Object.keys(differences).sort()).toEqual(names.toSorted());
      for (const [name, value] of Object.entries(differences)) {
        expect(value, name).toBeLessThan(1e-5);
      }
      rmSync(folder, { recursive: true });
    }
  },
  600_000,
);
