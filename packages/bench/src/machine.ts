/** The machine as a contestant: its multiply-add peaks, measured in turns with everything else. */
import type { Timing } from './contest.ts';
import { peakFlops, peakName, vectors } from './peak.ts';
import { type Served, serve } from './peers/process.ts';

/** Median GFLOP/s of all threads together, by the bits of the vectors. */
export type Peaks = Readonly<Record<number, number>>;

/** What starts the peak's processes, by bits. */
export function peakProcesses(threads: number): ReadonlyMap<number, () => Promise<Served>> {
  return new Map(
    vectors.map(({ bits, backend }) => [bits, () => serve('peak', backend, String(threads))]),
  );
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
