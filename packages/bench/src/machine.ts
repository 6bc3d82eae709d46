/** The machine as a contestant: its multiply-add peaks, measured in turns with everything else. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Timing } from './contest.ts';
import { peakFlops, peakName, vectors } from './peak.ts';
import { type Served, serve, start } from './peers/process.ts';
import { scratchFolder } from './scratch.ts';

/** Median GFLOP/s of all threads together, by the bits of the vectors. */
export type Peaks = Readonly<Record<number, number>>;

/** What starts the peak's processes, by bits. Those of 512 need a C compiler, `cc`. */
export function peakProcesses(threads: number): ReadonlyMap<number, () => Promise<Served>> {
  return new Map([
    ...vectors.map(({ bits, backend }): [number, () => Promise<Served>] => {
      return [bits, () => serve('peak', backend, String(threads))];
    }),
    [512, () => startWidest(threads)],
  ]);
}

/** The peaks among the results of a contest. */
export function peaksOf(results: readonly Timing[], threads: number): Peaks {
  const told = [...peakProcesses(threads).keys()].flatMap((bits): [number, number][] => {
    const time = results.find((r) => r.op === peakName(bits))?.milliseconds;
    return time === undefined ? [] : [[bits, (threads * peakFlops(bits)) / time / 1e6]];
  });
  return Object.fromEntries(told);
}

/** What shares are taken of: the peak in 256 bits, or in 128 where there is none. */
export function commonPeak(peaks: Peaks): number {
  return peaks[256] ?? peaks[128] ?? Number.NaN;
}

/** The peaks in words. */
export function describePeaks(peaks: Peaks): string {
  const told = Object.entries(peaks).map(([bits, rate]) => `${rate.toFixed(1)} in ${bits} bits`);
  return `${told.join(', ')} (GFLOP/s)`;
}

/** @throws Error without a C compiler, or vectors of 512 bits. */
async function startWidest(threads: number): Promise<Served> {
  const source = fileURLToPath(new URL('./peak512.c', import.meta.url));
  const program = join(await scratchFolder(), 'peak');
  await promisify(execFile)('cc', ['-O3', '-pthread', '-o', program, source]);
  return start(program, [String(threads)]);
}
