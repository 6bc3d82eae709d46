import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { networkCatalogue, UnrolledLoop } from '@invnet/networks';
import { setBackend } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Survey, surveys } from '../src/survey.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const tiny = ['--iterations', '1', '--state', '4', '--hidden', '4', '--cases', '1'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seismic-unrolled-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a run writes its results, goes on, and leaves a model that loads', async () => {
  const out = join(folder, 'run');
  const first = await run('--steps', '1', '--out', out, ...tiny);
  expect(first.stderr).toContain('100% | step 1');
  expect(first.code).toBe(0);
  const velocities = join(folder, 'fast.bin');
  const columns = Float32Array.from({ length: 401 * 400 }, (_, i) => 1.5 + (i % 401) / 200);
  await writeFile(velocities, new Uint8Array(columns.buffer));
  const { code, stderr, stdout } = await run(
    ...['--resume', '--steps', '2', '--out', out, '--cases', '1', '--marmousi', velocities],
  );
  expect(stderr).toContain('Resuming after step 1');
  expect(stdout).toMatch(/Held out, 1 earths\n {2}RTM +-?\d+\.\d\d dB {3}2 applications/);
  expect(stdout).toContain('fast.bin, 1 sections');
  expect(code).toBe(0);
  expect((await readdir(out)).sort()).toEqual([
    'gather.png',
    'images.png',
    'loss.png',
    'losses.csv',
    'marmousi.png',
    'metrics.json',
    'model.safetensors',
    'snr.png',
  ]);
  const metrics = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  expect(metrics).toMatchObject({
    trainingSteps: 2,
    heldOut: { cases: 1, loop: { calls: 4 } },
    marmousi: { cases: 1 },
  });
  await setBackend('wasm', { threads: 1 });
  using survey = new Survey(surveys['96x64']);
  const loop = await loadModel(join(out, 'model.safetensors'), {
    modules: networkCatalogue,
    as: UnrolledLoop,
    named: { survey: () => survey },
  });
  expect(loop.options).toMatchObject({ iterations: 1, memoryChannels: 3 });
}, 300_000);

test('a file that is none is refused before the training', async () => {
  const { code, stderr } = await run('--marmousi', main, '--out', join(folder, 'none'), ...tiny);
  expect(stderr).toMatch(/^Error: --marmousi: .*main\.ts has \d+ bytes; expected SEG-Y/);
  expect(code).toBe(1);
});

function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}
