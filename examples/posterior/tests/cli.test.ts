/** Shortened runs of the command: what it writes, of a task and of files, and that it goes on. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseNpy, writeNpy } from '@invnet/datasets/npy';
import { inferenceCatalogue, Posterior } from '@invnet/inference';
import { benchmarkTask } from '@invnet/inference/tasks';
import { RandomStream, setBackend } from '@invnet/tensor';
import { loadModel } from '@invnet/train';
import { FlagError } from 'example-kit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Asked, Settings } from '../src/app.ts';
import { estimatorsOf } from '../src/estimators.ts';
import { problemOf } from '../src/problem.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args]);
const small = ['--epochs', '2', '--samples', '200', '--checks', '40', '--threads', '1'];
const files = [
  'model.safetensors',
  'posterior.safetensors',
  'report.html',
  'report.json',
  'run.json',
  'samples.npy',
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'posterior-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a task, from simulator to report, which goes on where it was', async () => {
  const out = join(folder, 'moons');
  const flags = ['--task', 'two_moons', '--simulations', '500', ...small, '--out', out];
  const { stdout } = await run(...flags);
  expect(stdout).toMatch(/^C2ST +0\.\d+$/m);
  expect((await readdir(out)).sort()).toEqual(files);
  const { shape, data } = parseNpy(await readFile(join(out, 'samples.npy')));
  expect(shape).toEqual([200, 2]);
  await setBackend('wasm');
  const path = join(out, 'posterior.safetensors');
  const posterior = await loadModel(path, { modules: inferenceCatalogue, as: Posterior });
  const { observations } = benchmarkTask('two_moons');
  const again = await posterior.sample({ x: [...observations[0]!.x], count: 200, seed: 1 });
  expect([...again.data]).toEqual([...data]);
  posterior.dispose();

  await expect(run(...flags)).rejects.toThrow('has a run; go on with --resume');
  const resumed = await run(
    '--resume',
    '--out',
    out,
    '--epochs',
    '3',
    '--samples',
    '50',
    '--checks',
    '40',
  );
  expect(resumed.stdout).toMatch(/^epochs +3$/m);
}, 120_000);

test('several estimators in one report, of which a resumed run learns those that are not learned yet', async () => {
  const out = join(folder, 'compared');
  const flags = ['--estimator', 'autoregressive,affine', '--simulations', '300', ...small];
  const started = spawn(process.execPath, [main, ...flags, '--epochs', '20', '--out', out]);
  let said = '';
  started.stderr.on('data', (text) => {
    const begun = said.includes('affine | epoch');
    said += text;
    // A second signal would end it at once.
    if (!begun && said.includes('affine | epoch')) started.kill('SIGINT');
  });
  const [code] = await once(started, 'close');
  expect([code, said]).toEqual([130, expect.stringContaining('To go on: ')]);
  const checkpoint = join(out, 'model-autoregressive.safetensors');
  const written = (await stat(checkpoint)).mtimeMs;
  expect((await readdir(out)).sort()).toEqual([
    ...['model-affine.safetensors', 'model-autoregressive.safetensors'],
    ...['posterior-autoregressive.safetensors', 'run.json', 'samples-autoregressive.npy'],
  ]);

  const { stdout, stderr } = await run('--resume', '--out', out, ...small, '--epochs', '20');
  expect((await stat(checkpoint)).mtimeMs).toBe(written);
  expect(stderr).not.toContain('autoregressive | epoch');
  expect(stderr).not.toContain('affine | epoch 1 ');
  expect(stdout).toMatch(/^autoregressive$.*^C2ST .*^affine$.*^C2ST /ms);
  const text = await readFile(join(out, 'report.json'), 'utf8');
  const report: { estimators: { name: string; scores: { epochs: number } }[] } = JSON.parse(text);
  expect(report.estimators.map(({ name, scores }) => [name, scores.epochs])).toEqual([
    ['autoregressive', 20],
    ['affine', 20],
  ]);
  for (const name of ['autoregressive', 'affine']) {
    const { shape } = parseNpy(await readFile(join(out, `samples-${name}.npy`)));
    expect(shape).toEqual([200, 2]);
  }
}, 240_000);

test('an estimator is one that there is, once', () => {
  const [first, second] = estimatorsOf('autoregressive, spline', 'out');
  expect([first!.name, second!.name]).toEqual(['autoregressive', 'spline']);
  expect(first!.posterior).toBe(join('out', 'posterior-autoregressive.safetensors'));
  expect(estimatorsOf('affine', 'out')[0]!.posterior).toBe(join('out', 'posterior.safetensors'));
  for (const names of ['affine,affine', 'affine,splines', 'affine,', '']) {
    const asked = () => estimatorsOf(names, 'out');
    expect(asked).toThrow(`'${names}'; expected one or several of 'spline', 'affine', `);
    expect(asked).toThrow(FlagError);
  }
});

test('checks are rows from anywhere in a file, with the observations that belong to them', async () => {
  const count = 100;
  const sorted = Float64Array.from({ length: count }, (_, i) => i / count);
  const [xFile, thetaFile] = ['x-sorted.npy', 'theta-sorted.npy'].map((name) => join(folder, name));
  await writeFile(thetaFile!, writeNpy({ shape: [count, 1], data: sorted }));
  await writeFile(xFile!, writeNpy({ shape: [count, 1], data: sorted.map((v) => 2 * v) }));
  const settings: Settings & { seed: number } = {
    task: 'two_moons',
    simulations: 20,
    missing: 'refuse',
    estimator: 'spline',
    x: xFile,
    theta: thetaFile,
    low: undefined,
    high: undefined,
    seed: 1,
  };
  const asked: Asked = {
    observation: 1,
    samples: 20,
    checks: 20,
    names: undefined,
    observed: undefined,
  };
  const problem = await problemOf(settings, asked);
  const { training, checks, observed, truth } = problem;
  const means = [training, checks].map(({ theta: { data } }) => {
    return Array.from(data).reduce((sum, v) => sum + v, 0) / data.length;
  });
  expect(Math.abs(means[1]! - means[0]!)).toBeLessThan(0.25);
  for (const { theta, x } of [training, checks])
    expect(x.data).toEqual(theta.data.map((v) => 2 * v));
  expect([observed.data[0], truth]).toEqual([1.98, [0.99]]);
  const rows = [...training.theta.data, ...checks.theta.data, ...truth!];
  expect(Float64Array.from(rows).sort()).toEqual(sorted);
  await expect(problemOf({ ...settings, low: '', high: '1' }, asked)).rejects.toThrow('"" is none');
});

test('files of one’s own, between bounds', async () => {
  const random = new RandomStream(1);
  const count = 300;
  const theta = Float32Array.from(random.uniformArray(2 * count, -1, 1));
  const noise = random.normalArray(3 * count, 0.2);
  const x = Float32Array.from(noise, (e, i) => e + theta[2 * Math.floor(i / 3) + (i % 2)]!);
  const [xFile, thetaFile] = ['x.npy', 'theta.npy'].map((name) => join(folder, name));
  await writeFile(thetaFile!, writeNpy({ shape: [count, 2], data: theta }));
  x[7] = Number.NaN;
  await writeFile(xFile!, writeNpy({ shape: [count, 3], data: x }));
  const out = join(folder, 'own');
  const flags = [
    '--x',
    xFile!,
    '--theta',
    thetaFile!,
    '--low=-1,-1',
    '--high=1,1',
    '--names',
    'mass, spin',
    ...small,
  ];
  await expect(run(...flags, '--out', out)).rejects.toThrow('not finite in 1 of 300 rows');
  // What was refused left no run behind that would stand in the way.
  const { stdout } = await run(...flags, '--missing', 'drop', '--out', out);
  expect(stdout).toContain('Warning: 1 of 300 simulations are not finite');
  expect((await readdir(out)).sort()).toEqual(files);
  expect(await readFile(join(out, 'report.html'), 'utf8')).toContain('SBC (spin)');
  const { data } = parseNpy(await readFile(join(out, 'samples.npy')));
  expect(Math.max(...Array.from(data as Float64Array, Math.abs))).toBeLessThanOrEqual(1);
  await expect(run('--x', xFile!, '--out', join(folder, 'none'))).rejects.toThrow(
    '--x and --theta belong together',
  );
}, 120_000);
