/** A shortened run of the command: what it writes, and that it learns. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { moduleAt } from '@invnet/layers';
import { networkCatalogue } from '@invnet/networks';
import { setBackend } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { ModuleGroup } from 'example-kit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { predict, score } from '../src/evaluation.ts';
import { ChannelMap, Segmenter } from '../src/model.ts';
import { loadScene, splitsOf } from '../src/scene.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'hyperspectral-'));
});
afterAll(() => rm(out, { recursive: true, force: true }));

test('a short run writes its results, and is on the way to its baselines', async () => {
  const flags = ['--steps', '24', '--channels', '8', '--learning-rate', '0.03', '--out', out];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...flags]);
  expect(stdout).toMatch(/^Hyperbolic network .* %/m);
  expect((await readdir(out)).sort()).toEqual([
    'classes.png',
    'confusion.png',
    'loss.svg',
    'losses.csv',
    'metrics.json',
    'model.safetensors',
  ]);
  const { random, blocks, memory } = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  expect(random).toMatchObject({ trainPixels: 1028, testPixels: 9221 });
  expect(blocks.trainPixels + blocks.testPixels).toBe(10_249);

  // Kernel ridge regression has what was measured at length; SVMs have 0.80 and 0.94 on random splits.
  expect(random.ridgeOnSpectra.overallAccuracy).toBeGreaterThan(0.79);
  expect(random.ridgeOnMeans.overallAccuracy).toBeGreaterThan(0.96);
  expect(blocks.ridgeOnSpectra.overallAccuracy).toBeGreaterThan(0.58);
  // After 24 steps of 500, of a network with a quarter of the channels: the largest class alone is 0.24.
  expect(random.network.overallAccuracy).toBeGreaterThan(0.4);
  expect(blocks.network.overallAccuracy).toBeGreaterThan(0.3);

  const [shallow, deep] = memory;
  expect([shallow.depth, deep.depth]).toEqual([10, 40]);
  expect(deep.peakBytes).toBeLessThan(1.1 * shallow.peakBytes);

  await setBackend('wasm');
  const catalogue = [...networkCatalogue, ModuleGroup, Segmenter, ChannelMap];
  const path = join(out, 'model.safetensors');
  const network = moduleAt(await loadModel(path, { modules: catalogue }), 'parts.random');
  if (!(network instanceof Segmenter)) throw new Error('the model has no part parts.random');
  const scene = await loadScene();
  const loaded = score(scene, splitsOf(scene, 0).random, await predict(network, scene));
  expect(loaded.overallAccuracy).toBe(random.network.overallAccuracy);
}, 600_000);
