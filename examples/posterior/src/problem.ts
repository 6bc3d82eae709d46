/** What there is to learn: simulations with their prior, from a task of the benchmark or from files, and an observation. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type HostArray, toHostArray } from '@invnet/datasets';
import { parseNpy } from '@invnet/datasets/npy';
import { type Pairs, Prior, simulate, uniformPrior } from '@invnet/inference';
import { type BenchmarkTask, benchmarkTask } from '@invnet/inference/tasks';
import { RandomStream, ShapeError, ValueError } from '@invnet/tensor';
import { FlagError } from 'example-kit';
import type { Asked, Settings } from './app.ts';

/** All that the program needs to know. */
export interface Problem {
  readonly title: string;
  readonly prior: Prior;
  readonly training: Pairs;
  /** Held out. */
  readonly checks: Pairs;
  readonly observed: HostArray;
  /** The parameters behind it, where they are known. */
  readonly truth: readonly number[] | undefined;
  readonly task: BenchmarkTask | undefined;
  readonly warnings: readonly string[];
}

/** What the flags ask for. @throws FlagError for flags that contradict each other. */
export async function problemOf(
  settings: Settings & { readonly seed: number },
  asked: Asked,
): Promise<Problem> {
  const { x, theta, low, high } = settings;
  if ((x === undefined) !== (theta === undefined)) {
    throw new FlagError('--x and --theta belong together; give both, or neither for a task.');
  }
  if ((low === undefined) !== (high === undefined)) {
    throw new FlagError('--low and --high belong together; give both, or neither.');
  }
  if (x !== undefined && theta !== undefined) return ofFiles({ ...settings, x, theta }, asked);
  if (low !== undefined) throw new FlagError('--low and --high are of --theta only.');
  return ofTask(settings, asked);
}

async function ofTask(
  { task: name, simulations: count, seed }: Settings & { readonly seed: number },
  { observed, observation, checks }: Asked,
): Promise<Problem> {
  const task = benchmarkTask(name);
  const simulated = (count: number, seed: number) =>
    simulate({ batch: (theta, { random }) => task.simulate(theta, { seed: random }) }, task.prior, {
      count,
      seed,
      batchSize: 1000,
    }).result();
  const training = await simulated(count, 2 * seed);
  const held = await simulated(checks, 2 * seed + 1);
  const { x, theta } = task.observations[observation - 1]!;
  return {
    title: observed === undefined ? `${name}, observation ${observation}` : name,
    prior: task.prior,
    training,
    checks: held,
    observed: observed === undefined ? row(x) : await read(observed),
    truth: observed === undefined ? theta : undefined,
    task,
    // Of simulations that failed, learning warns.
    warnings: [],
  };
}

async function ofFiles(
  {
    x: xFile,
    theta: thetaFile,
    low,
    high,
    missing,
    seed,
  }: Settings & { readonly seed: number; readonly x: string; readonly theta: string },
  { observed, checks }: Asked,
): Promise<Problem> {
  const all = { x: await read(xFile), theta: await read(thetaFile) };
  const rows = all.theta.shape[0]!;
  if (all.theta.shape.length !== 2 || all.x.shape.length < 2 || all.x.shape[0] !== rows) {
    throw new ShapeError(
      `${thetaFile} is [${all.theta.shape}] and ${xFile} [${all.x.shape}]; expected [N, D] and [N, …], as many rows in both.`,
    );
  }
  const { x, theta } = finiteRows(all);
  const [count, size] = theta.shape;
  const failed = rows - count!;
  if (failed > 0 && missing === 'refuse') {
    throw new FlagError(
      `${xFile} has numbers that are not finite in ${failed} of ${rows} rows; mend them, or leave them out by --missing drop.`,
    );
  }
  const held = Math.min(checks, Math.floor(count! / 5));
  const last = observed === undefined ? 1 : 0;
  const learned = count! - held - last;
  if (held < 2) throw new ValueError(`${thetaFile} has ${count} rows; expected at least 10.`);
  // Files may be sorted, and what is checked has to be of the whole prior.
  const order = new RandomStream(seed).permutation(count! - last);
  const part = (from: number, to: number): Pairs => {
    const own = order.subarray(from, to);
    return { theta: selected(theta, own), x: selected(x, own) };
  };
  return {
    title: `${basename(xFile)} and ${basename(thetaFile)}`,
    prior: priorOf(theta, size!, low, high),
    training: part(0, learned),
    checks: part(learned, learned + held),
    observed: observed === undefined ? single(rowsOf(x, count! - 1, count!)) : await read(observed),
    truth: observed === undefined ? [...rowsOf(theta, count! - 1, count!).data] : undefined,
    task: undefined,
    warnings:
      failed > 0
        ? [
            `${failed} of ${rows} simulations are not finite, and are left out: the posterior is that given that one succeeds.`,
          ]
        : [],
  };
}

/** The rows whose numbers are all finite. */
function finiteRows({ x, theta }: Pairs): Pairs {
  const finite = Array.from({ length: x.shape[0]! }, (_, i) => i).filter((i) =>
    rowsOf(x, i, i + 1).data.every(Number.isFinite),
  );
  return { x: selected(x, finite), theta: selected(theta, finite) };
}

/** Between bounds, or, without them, whatever the parameters were drawn from. */
function priorOf(
  { data }: HostArray,
  size: number,
  low: string | undefined,
  high: string | undefined,
): Prior {
  if (low !== undefined && high !== undefined) {
    const [lows, highs] = [low, high].map((text) => text.split(',').map(numberOf));
    if (lows!.length === size && highs!.length === size)
      return uniformPrior({ low: lows!, high: highs! });
    throw new FlagError(
      `--low and --high have other than ${size} numbers, one for each parameter.`,
    );
  }
  const rows = data.length / size;
  return new Prior({
    support: [{ kind: 'real', size }],
    sample: (count, random) =>
      Float64Array.from(random.uniformArray(count)).reduce(
        (out, u, i) => {
          const from = Math.floor(u * rows) * size;
          out.set(data.subarray(from, from + size), i * size);
          return out;
        },
        new Float64Array(count * size),
      ),
  });
}

/** @throws FlagError for what is no number, an empty text among them. */
function numberOf(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  throw new FlagError(`--low and --high are numbers with commas; ${JSON.stringify(text)} is none.`);
}

async function read(path: string): Promise<HostArray> {
  return toHostArray(parseNpy(await readFile(path), path));
}

function row(values: readonly number[]): HostArray {
  return { shape: [values.length], data: Float64Array.from(values) };
}

function single({ shape, data }: HostArray): HostArray {
  return { shape: shape.slice(1), data };
}

/** Some rows, in the order of their indices. */
function selected(all: HostArray, indices: readonly number[] | Uint32Array): HostArray {
  const each = all.data.length / all.shape[0]!;
  const data = new Float64Array(indices.length * each);
  indices.forEach((row, i) => {
    data.set(rowsOf(all, row, row + 1).data, i * each);
  });
  return { shape: [indices.length, ...all.shape.slice(1)], data };
}

function rowsOf({ shape, data }: HostArray, from: number, to: number): HostArray {
  const each = data.length / shape[0]!;
  return { shape: [to - from, ...shape.slice(1)], data: data.slice(from * each, to * each) };
}
