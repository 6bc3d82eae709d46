/** The program as a whole: it writes its results, goes on where it stopped, and reads volumes of the user's. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { networkCatalogue, UnrolledLoop } from '@invnet/networks';
import { RandomStream, setBackend } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocks } from '../src/model.ts';
import { ParallelBeamCt } from '../src/parallel-beam-ct.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const tiny = ['--size', '16', '--hidden', '4', '--memory', '4', '--backend', 'wasm'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mri-unrolled-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('writes its results, and goes on with the run', async () => {
  const out = join(folder, 'mri');
  const first = await run('--out', out, ...tiny, '--steps', '2', '--iterations', '2');
  expect(first).toMatchObject({ code: 0 });
  expect(first.printed).toMatch(/zero-filled +\d+\.\d\d dB/);
  expect((await readdir(out)).sort()).toEqual([
    'loss.png',
    'losses.csv',
    'memory.png',
    'metrics.json',
    'model.safetensors',
    'psnr.png',
    'reconstructions.png',
  ]);
  const metrics = async () => JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  const before = await metrics();
  expect(before.slices).toHaveLength(20);
  expect(before.memory).toHaveLength(3);
  expect(before.test.totalVariation.psnr).toBeGreaterThan(before.test.classical.psnr);
  expect(await run('--out', out, '--resume', '--steps', '3', '--backend', 'wasm')).toMatchObject({
    code: 0,
  });
  expect((await metrics()).trainingSteps).toBe(3);
}, 300_000);

test('tomography of a volume in an NPY file, and the model by itself', async () => {
  const path = join(folder, 'volume.npy');
  await writeFile(path, npy([3, 20, 18], new RandomStream(1).uniformArray(3 * 20 * 18)));
  const out = join(folder, 'ct');
  const flags = ['--operator', 'radon', '--views', '8', '--iterations', '2', '--steps', '1'];
  expect(await run('--out', out, ...tiny, ...flags, '--file', path)).toMatchObject({ code: 0 });
  const { slices } = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  expect(slices).toHaveLength(3);

  await setBackend('wasm');
  const { operator } = new ParallelBeamCt({ size: 16, views: 8 });
  const sizes = { iterations: 2, memory: 4, hidden: 4, stride: 4 };
  const loop = await loadModel(join(out, 'model.safetensors'), {
    modules: networkCatalogue,
    named: { operator: () => operator, block: () => blocks(sizes, new RandomStream(0)) },
    as: UnrolledLoop,
  });
  const state = [
    [1, 1, 16, 16],
    [1, 4, 16, 16],
  ] as const;
  expect(loop.outputShape(state)).toEqual(state);
}, 300_000);

test('a file that is none is told before training', async () => {
  const path = join(folder, 'notes.txt');
  await writeFile(path, 'none');
  const { code, errors } = await run('--file', path, '--out', join(folder, 'none'), ...tiny);
  expect(code).toBe(1);
  expect(errors).toContain('expected one of these, or a folder of DICOM files');
}, 60_000);

test.each([
  ['of another shape', [16, 16], 'is of shape [16, 16]; expected [slices, rows, columns]'],
  ['of too small slices', [3, 8, 8], 'expected axial slices of at least that size'],
])(
  'an NPY file %s is refused before training',
  async (_, shape, message) => {
    const path = join(folder, `${shape.length}.npy`);
    const count = shape.reduce((a, b) => a * b, 1);
    await writeFile(path, npy(shape, new RandomStream(1).uniformArray(count)));
    const out = join(folder, `refused-${shape.length}`);
    const { code, errors } = await run('--file', path, '--out', out, '--steps', '1', ...tiny);
    expect(code).toBe(1);
    expect(errors).toContain(message);
    expect(errors).not.toContain('parameters, 1 steps');
  },
  60_000,
);

function run(...args: string[]): Promise<{ code: number | null; printed: string; errors: string }> {
  const child = spawn(process.execPath, [main, ...args]);
  let [printed, errors] = ['', ''];
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, printed, errors }));
  });
}

/** An NPY file of float64. */
function npy(shape: readonly number[], values: Float64Array): Uint8Array {
  const header = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const padded = `${header.padEnd(117)}\n`;
  const start = Uint8Array.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length, 0]);
  return Buffer.concat([start, Buffer.from(padded), new Uint8Array(values.buffer)]);
}
