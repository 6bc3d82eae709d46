import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Flow, flowCatalogue } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { add, memory, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mostProbable } from '../src/checks/most-probable.ts';
import { toCoordinates } from '../src/coordinates.ts';
import { evaluate } from '../src/evaluation.ts';
import { linearGaussian } from '../src/linear-gaussian.ts';
import { buildFlow } from '../src/model.ts';
import { disposeObservations } from '../src/problem.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

let folder: string;
beforeAll(async () => {
  await setBackend('wasm');
  folder = await mkdtemp(join(tmpdir(), 'mri-posterior-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a shortened run fills the hole better than nothing does, and fits its data', async () => {
  const out = join(folder, 'digits');
  const sizes = ['--depth', '3', '--hidden', '12', '--batch', '64', '--steps', '80'];
  await run('--data', 'mnist-inpainting', ...sizes, '--cases', '24', '--out', out);
  expect((await readdir(out)).sort()).toEqual([
    'checks.png',
    'loss.png',
    'losses.csv',
    'metrics.json',
    'model.safetensors',
    'posterior-held-out.png',
  ]);
  const { evaluations, config } = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  expect(config).toMatchObject({ data: 'mnist-inpainting', steps: 80, learningRate: 2e-3 });
  const { psnr, coverage, misfit, sampleMeans, cases } = evaluations['held out'];
  expect(cases).toBe(24);
  expect(psnr.mean).toBeGreaterThan(psnr.zeroFilled + 2);
  expect(psnr.mean).toBeGreaterThan(psnr.sample + 1);
  expect(sampleMeans.gap).toBeGreaterThan(1.5);
  expect(misfit.mean).toBeGreaterThan(0.9);
  expect(misfit.mean).toBeLessThan(1.3);
  expect(Math.abs(coverage.all.at(-2) - 0.9)).toBeLessThan(0.05);
  const flow = await loadModel(join(out, 'model.safetensors'), {
    modules: flowCatalogue,
    as: Flow,
  });
  expect(flow.outputShape([1, 1, 16, 16])).toEqual([1, 1, 16, 16]);
});

test('the most probable image is more probable than the one that it starts from', async () => {
  const { flow, problem, observations } = await untrained();
  const before = memory().liveBytes;
  const kappa = problem.spread / problem.noise;
  const logProb = async (x: Tensor) => {
    using v = toCoordinates(x, observations, kappa);
    using values = flow.logProb(v, observations.context);
    return values.data();
  };
  {
    using found = mostProbable({ flow, problem, observations, start: observations.x });
    const [there, here] = [await logProb(found), await logProb(observations.x)];
    for (const [i, value] of there.entries()) expect(value).toBeGreaterThan(here[i]! + 10);
    // At a maximum: a step to any side is no better.
    using step = new RandomStream(9).normal(found.shape, 0.02);
    using beside = add(found, step);
    for (const [i, value] of (await logProb(beside)).entries())
      expect(value).toBeLessThan(there[i]!);
  }
  expect(flow.parameters.every((p) => !p.frozen && !p.grad)).toBe(true);
  expect(memory().liveBytes).toBe(before);
  disposeObservations(observations);
});

test('an evaluation leaves nothing behind', async () => {
  const { flow, problem, observations } = await untrained();
  disposeObservations(observations);
  const before = memory().liveBytes;
  const batches = [await problem.draw('held-out', 3, new RandomStream(1))];
  const { signal } = new AbortController();
  const { cases } = await evaluate({ flow, problem, batches, seed: 0, signal });
  expect(cases).toBe(3);
  expect(memory().liveBytes).toBe(before);
});

async function untrained() {
  const problem = await linearGaussian();
  const flow = buildFlow(problem, { scales: 1, depth: 2, hidden: 8 }, new RandomStream(0));
  const observations = await problem.draw('training', 4, new RandomStream(1));
  using v = toCoordinates(observations.x, observations, problem.spread / problem.noise);
  await initialize(flow.network, v, { context: observations.context });
  return { flow, problem, observations };
}

async function run(...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(stderr);
}
