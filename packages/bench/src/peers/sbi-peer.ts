/** Neural posterior estimation by the Python package sbi, on the simulations that ours learns from; and reference samples. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { HostArray } from '@invnet/datasets';
import type { BenchmarkTask } from '@invnet/inference/tasks';
import { scratchFolder } from '../scratch.ts';
import { readFloats, writeFloats } from './problem-files.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('./sbi-posterior.py', import.meta.url));
const reader = fileURLToPath(new URL('./reference-samples.py', import.meta.url));

/** Pairs to learn from, and observations to sample at. */
export interface SbiProblem {
  readonly task: BenchmarkTask;
  readonly theta: HostArray;
  readonly x: HostArray;
  readonly observations: readonly (readonly number[])[];
  /** Of each posterior. */
  readonly samples: number;
}

/** What a library did. */
export interface SbiOutcome {
  /** Seconds. */
  readonly training: number;
  /** Seconds for all observations. */
  readonly sampling: number;
  readonly epochs: number;
  /** Of each observation, row by row. */
  readonly posteriors: readonly ArrayLike<number>[];
}

/** Estimators of sbi that are the like of ours. */
export const sbiEstimators: Readonly<Record<string, string>> = {
  spline: 'nsf',
  autoregressive: 'maf',
};

/** What sbi makes of a problem. @throws Error with Python's last words where it cannot be had. */
export async function runSbi(
  { task, theta, x, observations, samples }: SbiProblem,
  estimator: string,
  threads: number,
): Promise<SbiOutcome> {
  const folder = await scratchFolder();
  const [path, numbers, out] = ['sbi.json', 'sbi.bin', 'sbi-samples.bin'].map((f) =>
    join(folder, f),
  );
  await writeFloats(numbers!, [Float32Array.from(theta.data), Float32Array.from(x.data)]);
  const sizes = { count: theta.shape[0], parameters: theta.shape[1], data: x.shape[1] };
  const problem = { ...sizes, prior: priorOf(task), observations, samples, numbers, out };
  await writeFile(path!, JSON.stringify(problem));
  const said = await python([program, path!, estimator, String(threads)]);
  const { training, sampling, epochs } = JSON.parse(said) as SbiOutcome;
  const all = await readFloats(out!);
  const size = samples * task.prior.size;
  const posteriors = observations.map((_, i) => all.subarray(i * size, (i + 1) * size));
  return { training, sampling, epochs, posteriors };
}

/** Samples of the reference posterior that sbibm ships, in float32. @throws Error where it is not installed. */
export async function readReference(task: string, observation: number): Promise<Float32Array> {
  const out = join(await scratchFolder(), 'reference.bin');
  await python([reader, task, String(observation), out]);
  return readFloats(out);
}

async function python(args: readonly string[]): Promise<string> {
  try {
    const flags = ['-B', '-W', 'ignore'];
    const { stdout } = await run('python3', [...flags, ...args], { maxBuffer: 2 ** 24 });
    return stdout;
  } catch (error) {
    const { stderr }: { stderr?: unknown } = Object(error);
    throw new Error(
      String(stderr ?? error)
        .trim()
        .split('\n')
        .at(-1),
      { cause: error },
    );
  }
}

/** The prior in the words of the program; those of the benchmark are of three kinds. */
function priorOf({ name, prior }: BenchmarkTask) {
  const [block] = prior.support;
  if (block?.kind === 'box') return { kind: 'box', first: block.low, second: block.high };
  const each = (value: number) => new Array<number>(prior.size).fill(value);
  if (name === 'gaussian_linear') {
    return { kind: 'normal', first: each(0), second: each(Math.sqrt(0.1)) };
  }
  const logs = {
    sir: { first: [Math.log(0.4), Math.log(0.125)], second: [0.5, 0.2] },
    lotka_volterra: { first: [-0.125, -3, -0.125, -3], second: each(0.5) },
  }[name];
  if (!logs) throw new Error(`the prior of ${name} is not known to the peer.`);
  return { kind: 'log-normal', ...logs };
}
