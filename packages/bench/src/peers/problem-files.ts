/**
 * Problems as files, which other processes read: a description in JSON, and all numbers in one file of
 * float32, where each array's place is told.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '../scratch.ts';
import type { TrainingProblem } from './own-network.ts';
import type { Numbers } from './peer.ts';

/** An array's shape, and where its numbers begin. */
interface Place {
  readonly shape: readonly number[];
  readonly at: number;
}

/** Writes a problem; returns the description's path, beside which there is room for results. */
export async function writeProblem(problem: TrainingProblem): Promise<string> {
  const folder = await scratchFolder();
  const numbers = join(folder, 'numbers.bin');
  const parts: Uint8Array[] = [];
  let at = 0;
  const place = ({ shape, values }: Numbers): Place => {
    const start = at;
    parts.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    at += values.length;
    return { shape, at: start };
  };
  const placesOf = (arrays: Readonly<Record<string, Numbers>>) =>
    Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, place(array)]));
  const { network } = problem;
  const inputs = placesOf(problem.inputs);
  const parameters = placesOf(problem.parameters);
  const path = join(folder, 'problem.json');
  await writeFile(numbers, Buffer.concat(parts));
  await writeFile(path, JSON.stringify({ network, inputs, parameters, numbers }));
  return path;
}

/** Reads what `writeProblem` wrote. */
export async function readProblem(path: string): Promise<TrainingProblem> {
  const { network, inputs, parameters, numbers } = JSON.parse(await readFile(path, 'utf8'));
  const all = await readFloats(numbers);
  const arraysOf = (places: Readonly<Record<string, Place>>) =>
    Object.fromEntries(
      Object.entries(places).map(([name, { shape, at }]): [string, Numbers] => {
        const size = shape.reduce((a, b) => a * b, 1);
        return [name, { shape, values: all.subarray(at, at + size) }];
      }),
    );
  return { network, inputs: arraysOf(inputs), parameters: arraysOf(parameters) };
}

/** Arrays in one file, one behind the other. */
export async function writeFloats(
  path: string,
  arrays: readonly ArrayLike<number>[],
): Promise<void> {
  const bytes = arrays.map((a) => new Uint8Array(Float32Array.from(a).buffer));
  await writeFile(path, Buffer.concat(bytes));
}

/** The numbers of a file. */
export async function readFloats(path: string): Promise<Float32Array> {
  const { buffer, byteOffset, byteLength } = await readFile(path);
  // A small file may lie anywhere in a buffer that others share.
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}
