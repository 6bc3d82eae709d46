import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors, type Safetensors, writeSafetensors } from '@invnet/train';
import { openRun, parseOptions } from 'example-kit';
import { decode } from 'fast-png';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { app } from '../src/app.ts';
import { buildFlow } from '../src/model.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const tiny = ['--hidden', '4', '--steps', '1', '--batch', '8'];
// Of 60,000 images: 20 steps of 8.
const epochs = String(160 / 60_000);
const half = String(80 / 60_000);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glow-mnist-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a run', () => {
  let out: string;
  let printed: string;
  beforeAll(async () => {
    out = join(folder, 'whole');
    const { code, stdout, stderr } = await run('--epochs', epochs, '--out', out, ...tiny);
    printed = stdout;
    expect(stderr).toContain('100% | step 20');
    expect(code).toBe(0);
  });

  test('writes its results and nothing else', async () => {
    expect((await readdir(out)).sort()).toEqual([
      'loss.svg',
      'losses.csv',
      'metrics.json',
      'model.safetensors',
      'reconstructions.png',
      'samples.png',
    ]);
    for (const name of ['samples.png', 'reconstructions.png']) {
      const { width, height } = decode(await readFile(join(out, name)));
      expect(width).toBeGreaterThan(28 * 8);
      expect(height).toBeGreaterThan(28 * 2);
    }
    const svg = await readFile(join(out, 'loss.svg'), 'utf8');
    expect(svg).toMatch(/^<svg [\s\S]*bits per dimension[\s\S]*<\/svg>\n$/);
    expect(svg).not.toMatch(/NaN|undefined|null/);
  });

  test('measures itself', async () => {
    const metrics = await metricsOf(out);
    expect(metrics).toMatchObject({ backend: 'native', seed: 0, trainingSteps: 20 });
    expect(metrics.testBitsPerDim).toBeGreaterThan(0);
    expect(metrics.testBitsPerDim).toBeLessThan(metrics.firstBitsPerDim);
    expect(metrics.inverseError).toBeLessThan(1e-4);
    expect(metrics.peakBytes).toBeGreaterThan(metrics.parameterBytes);
    expect(metrics.parameterBytes).toBeGreaterThan(0);
    expect(metrics.imagesPerSecond).toBeGreaterThan(0);
  });

  test('does not replace an earlier one, unless it is told to', async () => {
    const path = join(out, 'model.safetensors');
    const before = await readFile(path);
    await refused('holds an earlier model. Go on with it by --resume', '--out', out, ...tiny);
    expect(await readFile(path)).toEqual(before);
    await open('--overwrite', '--out', out);
    await open('--out', join(folder, 'elsewhere'));
    expect(await readFile(path)).toEqual(before);
  });

  test('leaves a whole model, which another program loads by the lines that it prints', async () => {
    const [, lines] = printed.split('by another program:');
    const program = `${lines}; console.log(JSON.stringify([...(await images.data())]));`;
    const { stdout, stderr } = await ended(launch('--input-type=module', '--eval', program));
    expect(stderr).toBe('');
    const { model } = await open('--resume', '--out', out);
    const images = model.sample({ shape: [16, 1, 28, 28], seed: 0, temperature: 0.9 });
    expect(JSON.parse(stdout)).toEqual([...(await images.data())]);
  });

  test('has the same losses again with the same seed, others with another', async () => {
    const again = join(folder, 'again');
    const other = join(folder, 'other');
    await run('--epochs', epochs, '--out', again, ...tiny);
    await run('--epochs', epochs, '--out', other, '--seed', '1', ...tiny);
    expect(await lossesOf(again)).toBe(await lossesOf(out));
    expect(await lossesOf(other)).not.toBe(await lossesOf(out));
    const twice = await Promise.all([metricsOf(out), metricsOf(again)]);
    expect(twice[1].testBitsPerDim).toBe(twice[0].testBitsPerDim);
  });
});

describe('resuming', () => {
  /** A run of ten steps, and one that goes on from it. */
  let ten: string;
  let twenty: string;
  let resumed: Output;
  beforeAll(async () => {
    ten = join(folder, 'ten');
    await run('--epochs', half, '--out', ten, ...tiny);
    twenty = await copied('twenty');
    resumed = await run('--resume', '--epochs', epochs, '--out', twenty);
  });

  async function copied(name: string): Promise<string> {
    const out = join(folder, name);
    await cp(ten, out, { recursive: true });
    return out;
  }

  test('adds steps to a run that was complete, and keeps its losses', async () => {
    expect(resumed.stderr).toContain('Resuming after step 10');
    expect(resumed.code).toBe(0);
    const after = await lossesOf(twenty);
    expect(after.startsWith(await lossesOf(ten))).toBe(true);
    expect(after.trimEnd().split('\n')).toHaveLength(1 + 20);
  });

  test('goes on from a file of the form before, of weights alone, as from its own', async () => {
    const old = await copied('old-form');
    const path = join(old, 'model.safetensors');
    const { tensors, metadata } = readSafetensors(await readFile(path));
    await writeFile(path, writeSafetensors(formBefore({ tensors, metadata })));
    const { code } = await run('--resume', '--epochs', epochs, '--out', old);
    expect(code).toBe(0);
    expect(await lossesOf(old)).toBe(await lossesOf(twenty));
    // From then on it is a whole model.
    expect(readSafetensors(await readFile(path)).metadata['invnet.model']).toContain('Glow');
  });

  test('after Ctrl-C gives what an uninterrupted run gives, bit for bit', async () => {
    const whole = join(folder, 'uninterrupted');
    const stopped = join(folder, 'interrupted');
    const longer = ['--epochs', String(3200 / 60_000), ...tiny];
    await run(...longer, '--out', whole);
    const child = start(...longer, '--out', stopped);
    // The first progress line comes with the first step, long before the last one.
    await untilStderr(child, 'step 1 |');
    child.kill('SIGINT');
    const { code, stderr } = await ended(child);
    expect(code).toBe(130);
    expect(stderr).toContain(`app glow-mnist --resume --out ${stopped}`);
    expect(await readdir(stopped)).toEqual(['model.safetensors']);
    const resumed = await run('--resume', '--out', stopped);
    expect(resumed.code).toBe(0);
    expect(await lossesOf(stopped)).toBe(await lossesOf(whole));
    const [a, b] = await Promise.all([metricsOf(stopped), metricsOf(whole)]);
    expect(a.testBitsPerDim).toBe(b.testBitsPerDim);
  });

  test('keeps the checkpoint when the last update ruins the parameters, though they are finite', async () => {
    const out = await copied('ruined');
    const path = join(out, 'model.safetensors');
    const before = await readFile(path);
    const oneMore = ['--epochs', String(88 / 60_000), '--learning-rate', '1e6'];
    const { code, stderr } = await run('--resume', '--out', out, ...oneMore);
    expect(stderr).toContain('keeps step 10');
    expect(stderr).toContain('After step 11 the log-density');
    expect(code).toBe(1);
    expect(await readFile(path)).toEqual(before);
  });

  test('refuses other networks, damaged files and missing ones, and leaves them alone', async () => {
    const out = await copied('refusing');
    const path = join(out, 'model.safetensors');
    const metrics = await readFile(join(out, 'metrics.json'));
    const expectRefusal = async (message: string, ...args: string[]) => {
      const before = await readFile(path);
      await refused(message, '--resume', '--out', out, ...args);
      expect(await readFile(path)).toEqual(before);
      expect(await readFile(join(out, 'metrics.json'))).toEqual(metrics);
    };
    await expectRefusal(`--hidden is 8, but the checkpoint ${path} is of`, '--hidden', '8');
    await expectRefusal('is of a run with --scales 2', '--scales', '1');
    await expectRefusal('is of a run with --steps 1', '--steps', '2');
    await expectRefusal('--batch is 4, but the checkpoint', '--batch', '4');
    await expectRefusal('--seed is 5, but the checkpoint', '--seed', '5');
    await truncate(path, 1000);
    await expectRefusal('truncated');
    await writeFile(path, 'not a checkpoint at all');
    await expectRefusal('model.safetensors');
    await refused('cannot read', '--resume', '--out', join(folder, 'nowhere'));
  });
});

describe('the command line', () => {
  test('explains its flags', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const flag of ['epochs', 'minutes', 'hidden', 'scales', 'steps', 'backend', 'seed']) {
      expect(stdout).toContain(`--${flag} `);
    }
  });

  test.each([
    [['--depth', '3'], "Unknown option '--depth'"],
    [
      ['--backend', 'abacus'],
      "--backend is 'abacus'; expected one of 'native', 'wasm', 'gpu', 'reference'",
    ],
  ])('refuses %j', async (args, message) => {
    const out = join(folder, 'untouched');
    await refused(message, ...args, '--out', out);
    expect(await readdir(out).catch(() => [])).toEqual([]);
  });
});

/** Expects one clear line on stderr and exit code 1. */
async function refused(message: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await run(...args);
  expect(code).toBe(1);
  expect(stdout).toBe('');
  const errors = stderr.split('\n').filter((line) => line.startsWith('Error: '));
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain(message);
  expect(stderr).not.toContain('    at ');
}

interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running extends ChildProcess {
  readonly output: { stdout: string; stderr: string };
}

function start(...args: string[]): Running {
  return launch(main, ...args);
}

/** The run that flags describe. */
function open(...flags: string[]) {
  return openRun(app, parseOptions(app, flags)!, buildFlow);
}

/** Runs Node where the packages of this example are found. */
function launch(...args: string[]): Running {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return Object.assign(child, { output });
}

function ended(child: Running): Promise<Output> {
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, ...child.output }));
  });
}

function run(...args: string[]): Promise<Output> {
  return ended(start(...args));
}

function untilStderr(child: Running, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('close', () => reject(new Error(`ended without '${text}': ${child.output.stderr}`)));
    child.stderr!.on('data', () => {
      if (child.output.stderr.includes(text)) resolve();
    });
  });
}

/**
 * A checkpoint as versions before wrote it: weights alone, under names that leave the flow out, and a run that
 * says where its data stand.
 */
function formBefore({ tensors, metadata }: Safetensors): Safetensors {
  const weights = [...tensors].filter(([name]) => !name.endsWith('.initialized'));
  const run = JSON.parse(metadata['glow-mnist']!);
  const { losses, step, ...state } = run.state;
  const place = { epoch: 0, position: 8 * step };
  const noise = { seed: 0, block: 2 ** 40 + step * 8 * 196 };
  Object.assign(run.budget, { minutes: 3 });
  run.state = { ...state, step, place, noise, bitsPerDim: losses };
  return {
    tensors: new Map(weights.map(([name, t]) => [name.replace('network.', ''), t])),
    metadata: {
      'glow-mnist': JSON.stringify(run),
      'invnet.optimizer': metadata['invnet.optimizer']!,
    },
  };
}

async function metricsOf(out: string) {
  return JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
}

function lossesOf(out: string): Promise<string> {
  return readFile(join(out, 'losses.csv'), 'utf8');
}
