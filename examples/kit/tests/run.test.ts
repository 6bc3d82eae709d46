import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { twoMoons } from '@invnet/datasets';
import { Flow, flowCatalogue, negativeLogLikelihood } from '@invnet/flows';
import { Conv1x1, countParameters } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { memory, setBackend, type Tensor } from '@invnet/tensor';
import { CheckpointError, loadModel, readSafetensors, writeSafetensors } from '@invnet/train';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import {
  checkpointPath,
  FlagError,
  ModuleGroup,
  openRun,
  parseOptions,
  positive,
  ResultsError,
  type Run,
  randomStream,
  saveRun,
  type TrainingOptions,
  trainRun,
  trainWithinBudget,
  whole,
  writeResults,
} from '../src/index.ts';

const fs = process.getBuiltinModule('node:fs/promises');
const never = new AbortController().signal;

const app = {
  name: 'moons',
  about: 'Fits a flow to two moons.',
  config: { hidden: whole({ default: 8, help: 'channels' }), noise: positive({ help: 'noise' }) },
  budget: { steps: 12, learningRate: 1e-2 },
  writes: 'metrics.json',
};

function buildFlow({ hidden, seed }: { readonly hidden: number; readonly seed: number }): Flow {
  const random = randomStream(seed, 'weights');
  return new Flow({
    network: new Glow({ channels: 2, ndims: 0, scales: 1, steps: 2, hidden, random }),
  });
}

function open(out: string, ...flags: string[]) {
  return openRun(app, parseOptions(app, ['--out', out, ...flags])!, buildFlow);
}

/** Batches that come one by one from elsewhere, as from a file. */
function trainingOf(
  run: Run<Flow, { readonly seed: number }>,
  signal = never,
): TrainingOptions<Tensor> {
  return {
    batches: async function* (step) {
      for (; ; step++) yield twoMoons().sample(16, randomStream(run.config.seed, 'training', step));
    },
    loss: (x) => negativeLogLikelihood(run.model, x),
    disposeBatch: (x) => x.dispose(),
    warmup: 2,
    signal,
  };
}

let folder: string;
let said: string[];
beforeAll(async () => {
  await setBackend('wasm');
  folder = await mkdtemp(join(tmpdir(), 'example-kit-'));
});
beforeEach(() => {
  said = [];
  vi.spyOn(console, 'error').mockImplementation((line) => void said.push(line));
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  return () => vi.restoreAllMocks();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a run that was stopped goes on as if it had not been, bit for bit, and frees what it drew', async () => {
  const before = memory().tensors;
  const whole = await open(join(folder, 'whole'));
  await trainRun(whole, trainingOf(whole));
  expect(whole.state.losses).toHaveLength(12);
  expect(whole.state.losses.at(-1)).toBeLessThan(whole.state.losses[0]!);

  const out = join(folder, 'stopped');
  const stopped = await open(out);
  const controller = new AbortController();
  const training = trainingOf(stopped, controller.signal);
  const stop = trainRun(stopped, {
    ...training,
    loss: (x) => {
      if (stopped.state.step === 6) controller.abort(new Error('Ctrl-C'));
      return training.loss(x);
    },
  });
  await expect(stop).rejects.toThrow('Ctrl-C');
  expect(said).toEqual([`Stopped after step 7; the checkpoint is ${checkpointPath(out)}.`]);
  expect(await readdir(out)).toEqual(['model.safetensors']);

  const resumed = await open(out, '--resume');
  expect(resumed.state).toEqual(stopped.state);
  await trainRun(resumed, trainingOf(resumed));
  expect(resumed.state.losses).toEqual(whole.state.losses);
  for (const { model, optimizer } of [whole, stopped, resumed]) {
    model.dispose();
    optimizer.dispose();
  }
  expect(memory().tensors).toBe(before);
});

test('a full disk is a clear error, and keeps what was there', async () => {
  const out = join(folder, 'full');
  const run = await open(out);
  await trainRun(run, trainingOf(run));
  await writeResults(run, { files: { 'note.txt': 'first' }, metrics: { nats: 1 } });
  const before = await contentsOf(out);
  expect(Object.keys(before).sort()).toEqual([
    'losses.csv',
    'metrics.json',
    'model.safetensors',
    'note.txt',
  ]);

  const full = async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  const { open: openFile } = fs;
  vi.spyOn(fs, 'open').mockImplementation(async (...args) => {
    const file = await openFile(...args);
    return Object.assign(file, { writeFile: full });
  });
  const longer = await open(out, '--resume', '--steps', '15');
  const training = trainRun(longer, trainingOf(longer));
  await expect(training).rejects.toThrow(CheckpointError);
  await expect(training).rejects.toThrow(/cannot write .*model\.safetensors: ENOSPC/);
  expect(said.join()).toContain('model.safetensors keeps step 12, from which --resume goes on');
  expect(await contentsOf(out)).toEqual(before);
  vi.restoreAllMocks();

  // A folder in the place of a file stands for a disk on which nothing more fits.
  await rm(join(out, 'note.txt'));
  await fs.mkdir(join(out, 'note.txt'));
  const writing = writeResults(run, { files: { 'note.txt': 'second' }, metrics: { nats: 2 } });
  await expect(writing).rejects.toThrow(ResultsError);
  await expect(writing).rejects.toThrow(/cannot write .*note\.txt: .*with --resume/);
  await fs.rmdir(join(out, 'note.txt'));
  const { 'note.txt': _, ...others } = before;
  expect(await contentsOf(out)).toEqual(others);
});

test('two runs in one folder: the first to save keeps it, and the other says so', async () => {
  const out = join(folder, 'shared');
  const [first, second] = [await open(out), await open(out, '--steps', '5')];
  await trainRun(first, trainingOf(first));
  const before = await contentsOf(out);
  await expect(trainRun(second, trainingOf(second))).rejects.toThrow(/another run has written/);
  expect(said).toEqual(['Training stopped; there is no checkpoint of it.']);

  const [one, other] = [
    await open(out, '--resume', '--steps', '14'),
    await open(out, '--resume', '--steps', '15'),
  ];
  expect(await contentsOf(out)).toEqual(before);
  await trainRun(one, trainingOf(one));
  await expect(trainRun(other, trainingOf(other))).rejects.toThrow(CheckpointError);
  expect((await open(out, '--resume')).state.step).toBe(14);
  // Whoever says so replaces it, and a file that is gone cannot be lost.
  const third = await open(out, '--overwrite');
  await trainRun(third, trainingOf(third));
  await rm(checkpointPath(out));
  await saveRun(third);
});

test('streams of a purpose do not run into those of the next one', () => {
  const draws = (purpose: 'training' | 'test', step: number) => [
    ...randomStream(1, purpose, step).uniformArray(4),
  ];
  expect(draws('training', 2 ** 20)).not.toEqual(draws('test', 0));
});

test('parameters that the check refuses are not saved', async () => {
  const out = join(folder, 'ruined');
  const run = await open(out);
  const check = () => Promise.reject(new CheckpointError('ruined'));
  await expect(trainRun(run, { ...trainingOf(run), check })).rejects.toThrow('ruined');
  expect(said).toEqual(['Training stopped; there is no checkpoint of it.']);
  expect(await readdir(out)).toEqual([]);
});

test('metrics say how the model was trained', async () => {
  const out = join(folder, 'metrics');
  const run = await open(out, '--seed', '4');
  for await (const _ of trainWithinBudget(run, trainingOf(run)));
  const metrics = await writeResults(run, { files: {}, metrics: { nats: 1.5 } });
  expect(JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'))).toEqual(metrics);
  expect(metrics).toMatchObject({
    nats: 1.5,
    seed: 4,
    trainingSteps: 12,
    parameterBytes: 4 * countParameters(run.model),
    backend: 'wasm',
    config: { hidden: 8, seed: 4, steps: 12, learningRate: 1e-2 },
  });
  expect(metrics.peakBytes).toBeGreaterThan(metrics.parameterBytes);
  const losses = await readFile(join(out, 'losses.csv'), 'utf8');
  expect(losses).toMatch(/^step,loss\n1,.*\n(.*\n){11}$/);
});

test('an earlier run is neither replaced nor resumed as another', async () => {
  const out = join(folder, 'earlier');
  const run = await open(out, '--noise', '0.5');
  await expect(open(out, '--resume')).rejects.toThrow(/cannot read .*--resume out to start anew/);
  for await (const _ of trainWithinBudget(run, trainingOf(run)));
  await saveRun(run);
  await expect(open(out)).rejects.toThrow(FlagError);
  await open(out, '--overwrite');
  const resumed = await open(out, '--resume', '--noise', '0.5', '--minutes', '9');
  expect(resumed.config).toEqual({ hidden: 8, noise: 0.5, seed: 0 });
  expect(resumed.budget).toEqual({ minutes: 9, learningRate: 1e-2 });
  await expect(open(out, '--resume', '--noise', '0.1')).rejects.toThrow(
    `--noise is 0.1, but the checkpoint ${checkpointPath(out)} is of a run with --noise 0.5.`,
  );
  const path = checkpointPath(out);
  const { tensors, metadata } = readSafetensors(await readFile(path));
  const withRun = async (text: string) => {
    await writeFile(path, writeSafetensors({ tensors, metadata: { ...metadata, moons: text } }));
    return open(out, '--resume');
  };
  const text = metadata.moons!;
  // A flag without a default may be missing in a file, others may not.
  expect((await withRun(text.replace('"noise":0.5,', ''))).config.noise).toBeUndefined();
  for (const [from, to, message] of [
    ['"noise":0.5', '"noise":"loud"', /config\.noise is "loud"; expected a number above 0/],
    ['"noise":0.5', '"noise":null', /config\.noise is null/],
    ['"hidden":8,', '', /config\.hidden is missing; expected a whole number/],
    ['"steps":12,', '', /budget is of 0 lengths; expected either minutes or steps/],
    ['"hidden":8', '"hidden":9', /hidden' is 9 in|hidden' is 8 in/],
  ] as const) {
    expect(text).toContain(from);
    const spoiled = withRun(text.replace(from, to));
    await expect(spoiled, to).rejects.toThrow(CheckpointError);
    await expect(spoiled, to).rejects.toThrow(message);
  }
});

test('several modules are saved, and loaded, as one model', async () => {
  const out = join(folder, 'group');
  const build = () =>
    new ModuleGroup({
      flow: buildFlow({ hidden: 4, seed: 1 }),
      readout: new Conv1x1({ channels: 3, random: randomStream(1, 'weights', 1) }),
    });
  const run = await openRun(app, parseOptions(app, ['--out', out])!, build);
  run.state.step = 1;
  run.state.losses.push(1);
  await saveRun(run);
  const modules = [...flowCatalogue, ModuleGroup];
  const loaded = await loadModel(checkpointPath(out), { modules, as: ModuleGroup });
  expect(Object.keys(loaded.parts)).toEqual(['flow', 'readout']);
  expect(loaded.parameters.map((p) => p.name)).toEqual(run.model.parameters.map((p) => p.name));
  for (const [i, p] of loaded.parameters.entries()) {
    expect(await p.data.data()).toEqual(await run.model.parameters[i]!.data.data());
  }
});

test('the program of the README is the one that runs here', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const program = await readFile(new URL('two-moons.ts', import.meta.url), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${program}\`\`\``);
  const out = join(folder, 'readme');
  const flags = ['--steps', '5', '--points', '100', '--out', out];
  const { code, stdout, stderr } = await run('../tests/two-moons.ts', ...flags);
  expect(stderr).toContain('100% | step 5');
  expect(stdout).toMatch(/^Test points +\d\.\d{4} nats\n$/);
  expect(code).toBe(0);
  expect((await readdir(out)).sort()).toEqual(['losses.csv', 'metrics.json', 'model.safetensors']);
});

test('the command `app` lists the examples, and hands flags on', async () => {
  const list = await run('cli.ts', '--help');
  expect(list.stdout).toMatch(/\n {2}glow-mnist +Glow trained on MNIST/);
  expect(list.code).toBe(0);
  const unknown = await run('cli.ts', 'glow');
  expect(unknown.stderr).toBe("app: unknown example 'glow'.\n");
  expect(unknown.code).toBe(1);
  const refused = await run('cli.ts', 'glow-mnist', '--hidden', '0');
  expect(refused.stderr).toBe("Error: --hidden is '0'; expected a whole number from 1 to 512.\n");
  expect(refused.code).toBe(1);
});

async function contentsOf(out: string): Promise<Record<string, string>> {
  const names = await readdir(out);
  const read = names.map(
    async (name) => [name, await readFile(join(out, name), 'latin1')] as const,
  );
  return Object.fromEntries(await Promise.all(read));
}

/** Runs a program that lies beside the sources. */
async function run(file: string, ...args: string[]) {
  const path = fileURLToPath(new URL(`../src/${file}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}
