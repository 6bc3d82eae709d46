/**
 * Contestants that take turns: every library computes each operation on the same numbers, its result
 * is compared with that of the first, and then all are timed once in each repeat, after runs that
 * are not timed, so that whatever else the machine does meets all of them alike.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { type Operation, type Results, relativeDifference } from './peers/peer.ts';

/** The operations of a library on a backend. */
export interface Contestant {
  readonly library: string;
  readonly backend: string;
  readonly load: () => Promise<readonly Operation[]>;
}

/** Milliseconds of one operation by one library on one of its backends. */
export interface Timing extends Spread {
  readonly op: string;
  readonly library: string;
  readonly backend: string;
  /**
   * Of the result from that of the first, relative to the largest number; the worst of its arrays.
   * Null where the library computes something else, and nothing was compared.
   */
  readonly difference: number | null;
}

/** Times of some repeats: the median, and how far they lie apart. */
export interface Spread {
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly repeats: number;
}

/** Why a library, or one operation of it, has no time. */
export interface Note {
  readonly op?: string;
  readonly library: string;
  readonly backend: string;
  readonly note: string;
}

/** Limits of a contest. */
export interface ContestOptions {
  readonly repeats: number;
  /** Milliseconds after which an operation takes no further turn, but for its first three. Default: no limit. */
  readonly patience?: number;
  /** Milliseconds of runs before the one that is timed. Default: 25. */
  readonly warmUp?: number;
}

interface Entry {
  readonly op: string;
  readonly library: string;
  readonly backend: string;
  readonly difference: number | null;
  readonly run: Operation['run'];
  readonly time: Operation['time'];
  readonly times: number[];
  spent: number;
}

/** Milliseconds between turns. */
const pause = 30;
/** Milliseconds beyond which a first run, compilation included, is the only one. */
const tooSlow = 15_000;
/** Turns that all take whose first run was not too slow. */
const leastTurns = 3;
/** Results differ by rounding only; more than this, and the times are of something else. */
const tolerance = 1e-3;

/** Loads all, compares and times them. */
export async function hold(
  contestants: readonly Contestant[],
  { repeats, patience = Number.POSITIVE_INFINITY, warmUp = 25 }: ContestOptions,
): Promise<{ results: Timing[]; notes: Note[] }> {
  const { entries, notes } = await enter(contestants);
  const finished = await takeTurns(entries, { repeats, patience, warmUp }, notes);
  const results = finished.map(({ op, library, backend, difference, times }): Timing => {
    return { op, library, backend, difference, ...spreadOf(times) };
  });
  return { results, notes };
}

/** The median of times, with their extremes. */
export function spreadOf(times: readonly number[]): Spread {
  return {
    milliseconds: median(times),
    fastest: Math.min(...times),
    slowest: Math.max(...times),
    repeats: times.length,
  };
}

/** The value in the middle, or between the two there. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2;
}

/** Loads all, runs each operation once or twice, and keeps those whose result is that of the first. */
async function enter(contestants: readonly Contestant[]) {
  const entries: Entry[] = [];
  const notes: Note[] = [];
  const expected = new Map<string, Results>();
  for (const { library, backend, load } of contestants) {
    let operations: readonly Operation[] = [];
    try {
      operations = await load();
    } catch (error) {
      notes.push({ library, backend, note: reasonOf(error) });
    }
    for (const { name: op, run, time, result } of operations) {
      try {
        let difference: number | null = null;
        const start = performance.now();
        if (result) {
          const values = await result();
          const first = expected.get(op) ?? values;
          expected.set(op, first);
          difference = relativeDifference(first, values);
          if (difference > tolerance) {
            throw new Error(`not timed: its result is ${difference} from ours, relative.`);
          }
        }
        const first = performance.now() - start;
        // One that takes so long is not asked again: its first run is what there is.
        const slow = first > tooSlow;
        if (!slow) await run();
        const [times, spent] = slow ? [[first], Number.POSITIVE_INFINITY] : [[], 0];
        entries.push({ op, library, backend, difference, run, time, times, spent });
      } catch (error) {
        notes.push({ op, library, backend, note: reasonOf(error) });
      }
    }
  }
  return { entries, notes };
}

/** Times every entry once in each repeat; one that fails leaves with a note. */
async function takeTurns(
  entries: readonly Entry[],
  { repeats, patience, warmUp }: Required<ContestOptions>,
  notes: Note[],
) {
  const failed = new Set<Entry>();
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const entry of entries) {
      if (failed.has(entry) || isDone(entry, patience)) continue;
      try {
        // The threads of whoever came before may spin for a while.
        await rest(pause);
        // A core that slept takes milliseconds until the system has it at work again.
        const warm = performance.now() + warmUp;
        do await entry.run();
        while (performance.now() < warm);
        const time = await (entry.time ?? timing(entry.run))();
        entry.times.push(time);
        entry.spent += time;
      } catch (error) {
        const { op, library, backend } = entry;
        notes.push({ op, library, backend, note: reasonOf(error) });
        failed.add(entry);
      }
    }
  }
  return entries.filter((entry) => !failed.has(entry));
}

/** Whatever disturbs a turn or two, others follow; but for what is too slow from the first. */
function isDone({ times, spent }: Entry, patience: number): boolean {
  return spent > patience && (times.length >= leastTurns || spent === Number.POSITIVE_INFINITY);
}

/** A run as its milliseconds. */
export function timing(run: Operation['run']): () => Promise<number> {
  return async () => {
    const start = performance.now();
    await run();
    return performance.now() - start;
  };
}

/** The first line of what an error says. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
