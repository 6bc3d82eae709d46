/** A shortened run of the command: what it writes, and that it learns. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadMnist } from '@invnet/datasets';
import { networkCatalogue, RevNet } from '@invnet/networks';
import { setBackend } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { batches, batchOf } from '../src/digits.ts';
import { predict } from '../src/evaluation.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'revnet-'));
});
afterAll(() => rm(out, { recursive: true, force: true }));

test('a short run writes its results, and reads most digits', async () => {
  const sizes = ['--width', '8', '--blocks', '2', '--images', '500'];
  const flags = ['--epochs', '0.05', '--batch', '16', '--learning-rate', '0.01', ...sizes];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...flags, '--out', out]);
  expect(stdout).toMatch(/^Test images .* % of 500 are right/m);
  expect((await readdir(out)).sort()).toEqual([
    'confusion.png',
    'loss.svg',
    'losses.csv',
    'metrics.json',
    'mistakes.png',
    'model.safetensors',
  ]);
  const metrics = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  // Of ten digits one in ten is right by chance.
  expect(metrics.accuracy).toBeGreaterThan(0.5);
  const [shallow, deep] = metrics.memory;
  expect([shallow.blocks, deep.blocks]).toEqual([2, 8]);
  expect(deep.peakBytes).toBeLessThan(1.1 * shallow.peakBytes);

  await setBackend('wasm');
  const path = join(out, 'model.safetensors');
  const network = await loadModel(path, { modules: networkCatalogue, as: RevNet });
  const data = await loadMnist({ split: 'test' });
  const { signal } = new AbortController();
  const predicted = await predict(network, data, { count: 500, signal });
  const right = predicted.filter((digit, i) => digit === data.labels[i]).length;
  expect(right / 500).toBe(metrics.accuracy);
  expect(network.training).toBe(true);
}, 600_000);

test('batches follow from seed and step, and images are moved as they are told', async () => {
  await setBackend('reference');
  const data = await loadMnist({ split: 'test' });
  const from = (step: number) => {
    const stream = batches(data, { batch: 4, seed: 3, step });
    return () => [...stream.next().value!.x.dataSync()];
  };
  const first = from(0);
  first();
  expect(first()).toEqual(from(1)());
  const [still, moved] = [batchOf(data, [7]), batchOf(data, [7], () => [2, -1])].map(({ x }) =>
    x.dataSync(),
  );
  for (const [row, column] of [
    [5, 9],
    [14, 14],
    [20, 16],
  ] as const) {
    expect(moved![(row + 2) * 28 + column - 1]).toBe(still![row * 28 + column]);
  }
});
