/**
 * Devito against our own engine: by itself where `python3` has it, else by an exchange that was recorded with it
 * (INVNET_RECORD_DEVITO=python3 records it anew); and what is said of processes that disappoint.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AcousticWave, type AcousticWaveOptions, ricker } from '@invnet/operators';
import {
  affine,
  innerProduct,
  memory,
  RandomStream,
  setBackend,
  sub,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Devito, DevitoError } from '../src/index.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const fake = here('fake-python.mjs');
const exchange = here('exchange.json');

/** A Python that is none; see fake-python.mjs. */
function pretend(what: Readonly<Record<string, string>>): { python: string } {
  process.env.INVNET_FAKE_DEVITO = JSON.stringify({ exchange, ...what });
  return { python: fake };
}

beforeEach(() => setBackend('wasm'));
afterEach(() => {
  delete process.env.INVNET_FAKE_DEVITO;
});

const timing = { timeStep: 2, steps: 60 };
const size = [8, 10] as const;

/** Two samples, each with its medium and its weights; sources and receivers between cells. */
function survey(random: RandomStream): AcousticWaveOptions {
  return {
    ...{ size, spacing: [20, 25], border: 5, ...timing, every: 2 },
    sources: [
      [30, 60],
      [20, 170],
    ],
    receivers: Array.from({ length: 5 }, (_, i) => [20, 10 + 50 * i] as const),
    wavelet: ricker({ ...timing, peakFrequency: 0.015 }),
    background: affine(random.uniform([2, 1, ...size]), 0.1, 0.12),
    weights: random.normal([2, 1, 2]),
  };
}

const product = (a: Tensor, b: Tensor) => innerProduct([a], [b]);

/** ‖a − b‖/‖b‖ */
async function distance(a: Tensor, b: Tensor): Promise<number> {
  using difference = sub(a, b);
  return Math.sqrt((await product(difference, difference)) / (await product(b, b)));
}

/** All that Devito does, beside ours, and its adjoint; nothing is left behind. */
async function compare(devito: Devito): Promise<void> {
  const random = new RandomStream(3);
  const options = survey(random);
  using ours = new AcousticWave(options);
  using theirs = new AcousticWave({ ...options, engine: devito });
  using m = affine(options.background, 1.04);
  using dm = random.normal([2, ...ours.domain]);
  using r = random.normal([2, ...ours.range]);
  const results = {
    forward: (wave: AcousticWave) => wave.forward(m),
    jvp: (wave: AcousticWave) => wave.jvp(m, dm),
    vjp: (wave: AcousticWave) => wave.vjp(m, r),
    born: (wave: AcousticWave) => wave.born.forward(dm),
    adjoint: (wave: AcousticWave) => wave.born.adjoint(r),
  };
  const { liveBytes } = memory();
  for (const [name, of] of Object.entries(results)) {
    using expected = of(ours);
    using found = of(theirs);
    expect(await distance(found, expected), name).toBeLessThan(1e-4);
  }
  ours.born.dispose();
  theirs.born.dispose();
  expect(memory().liveBytes).toBe(liveBytes);
  using data = theirs.born.forward(dm);
  using image = theirs.born.adjoint(r);
  const [left, right] = [await product(data, r), await product(image, dm)];
  expect(Math.abs(left - right)).toBeLessThan(1e-5 * Math.abs(left));
  expect(() => theirs.hvp(m, r, dm)).toThrow(/hvp is not among/);
}

const { INVNET_RECORD_DEVITO: recording } = process.env;
if (recording) {
  it('records an exchange', async () => {
    using devito = new Devito(pretend({ mode: 'record', python: recording }));
    await compare(devito);
  });
}

it('agrees with our engine, as recorded', async () => {
  using devito = new Devito(pretend({ mode: 'replay' }));
  expect(devito.versions.devito).toMatch(/^\d+\.\d+/);
  await compare(devito);
});

const python = spawnSync('python3', ['-c', 'import devito'], { encoding: 'utf8' });
if (python.status === 0) {
  it('agrees with our engine', async () => {
    using devito = new Devito();
    await compare(devito);
  });
} else {
  it('python3 has no Devito: the recorded exchange stands in for it', () => {
    expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
  });
}

describe('a Python that disappoints', () => {
  it.each([
    ['absent', /python.mjs has no Devito \(No module named 'devito'\)\. Install it with .*pip/],
    ['foreign', /speaks protocol 7; expected 1/],
  ])('is refused at the start: %s', (mode, message) => {
    expect(() => new Devito(pretend({ mode }))).toThrow(message);
  });

  it.each([
    ['fails', /'wave' failed: ValueError: no\nTraceback: line 1/],
    ['babbles', /has said what is no answer: expected a frame, got "Operator/],
    ['dies', /has ended with code 11; it said:\nSegmentation fault\. Expected an answer to 'wave'/],
  ])('is an error, and no wait: %s', (mode, message) => {
    using devito = new Devito(pretend({ mode }));
    const options = survey(new RandomStream(3));
    const make = () => new AcousticWave({ ...options, engine: devito });
    expect(make).toThrow(message);
    expect(make).toThrow(DevitoError);
  });

  it('is missing', () => {
    expect(() => new Devito({ python: 'no-such-python' })).toThrow(/could not be started.*ENOENT/);
    expect(() => new Devito({ python: 'no\0python' })).toThrow(/could not be started.*null bytes/);
    expect(() => new Devito({ python: '' })).toThrow(ValueError);
    expect(() => new Devito({ threads: 0 })).toThrow(ValueError);
  });

  it('was disposed of', () => {
    const devito = new Devito(pretend({ mode: 'idle' }));
    devito.dispose();
    const options = survey(new RandomStream(3));
    const { liveBytes } = memory();
    expect(() => new AcousticWave({ ...options, engine: devito })).toThrow(/was disposed of/);
    expect(memory().liveBytes).toBe(liveBytes);
  });
});

describe('the process ends with the program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'invnet-devito-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const ended = async (pid: number) => {
    for (let i = 0; i < 200 && existsSync(`/proc/${pid}`); i++) await setTimeout(50);
    expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  };

  it('or with its engine, at once; a wave whose process has ended is let go of all the same', async () => {
    const pidFile = join(folder, 'killed');
    const devito = new Devito(pretend({ mode: 'idle', pidFile }));
    const options = survey(new RandomStream(3));
    const { liveBytes } = memory();
    const wave = new AcousticWave({ ...options, engine: devito });
    // What is idle keeps a field, and answers with no data.
    expect(() => wave.born.forward(options.background)).toThrow();
    const pid = Number(readFileSync(pidFile, 'utf8'));
    process.kill(pid, 'SIGKILL');
    wave.dispose();
    await ended(pid);
    expect(memory().liveBytes).toBe(liveBytes);
    devito.dispose();

    const other = join(folder, 'disposed');
    new Devito(pretend({ mode: 'idle', pidFile: other })).dispose();
    await ended(Number(readFileSync(other, 'utf8')));
  });

  it.each(['at its end', 'SIGKILL'])('%s', async (how) => {
    const pidFile = join(folder, how.replaceAll(' ', '-'));
    const { python } = pretend({ mode: 'idle', pidFile });
    const wait = how === 'SIGKILL' ? 'setInterval(() => {}, 1000);' : '';
    const program = `import { Devito } from ${JSON.stringify(here('../src/index.ts'))};
      new Devito({ python: ${JSON.stringify(python)} });
      console.log('started');
      ${wait}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    if (how === 'SIGKILL') child.kill('SIGKILL');
    if (child.exitCode === null) await once(child, 'exit');
    await ended(pid);
  });
});
