/**
 * Convolutions of many shapes, each in all three directions on each of our backends, on one thread and on several:
 * where more threads, wider vectors or native code make an operation slower, and where the input gradient of a
 * strided convolution takes longer than its forward.
 *
 * Shapes are drawn, the same in every run, from channels of 1 to 1024 on both sides, images of 1 to 128 along
 * each axis, kernels of 1, 3, 5 and 7, strides of 1, 2 and 4 and one to three axes, as many for each combination of
 * the last three; those that take too long or too little are left out. The worst are measured again, so that what
 * is told is no accident of one moment.
 */
import { cpus } from 'node:os';
import process from 'node:process';
import { RandomStream } from '@invnet/tensor';
import { type Note, reasonOf } from './contest.ts';
import type { Figure } from './figures.ts';
import { ownBackends, threadsInWords } from './own-backends.ts';
import {
  type ConvCase,
  convFlops,
  type Direction,
  describeCase,
  directions,
  outputSide,
} from './peers/conv-case.ts';
import { type Served, serve } from './peers/process.ts';
import { formatTable } from './table.ts';

/** The least milliseconds of a case's directions, by backend and threads. */
export interface SweptCase {
  readonly shape: ConvCase;
  /** Keys are those of `keyOf`. */
  readonly times: Record<string, Record<Direction, number>>;
}

/** One time over another. */
export interface SweepRatio {
  readonly kind: string;
  readonly operation: string;
  readonly value: number;
  /** Milliseconds of both. */
  readonly above: number;
  readonly below: number;
}

/** What `bench ops --sweep` measured. */
export interface SweepReport {
  readonly suite: 'sweep';
  readonly threads: number;
  readonly cases: readonly SweptCase[];
  /** The worst first, of each kind. */
  readonly worst: Readonly<Record<string, readonly SweepRatio[]>>;
  /** How many of how many are above the bound of their kind. */
  readonly above: Readonly<Record<string, readonly [count: number, of: number]>>;
  readonly notes: readonly Note[];
  readonly figures: readonly Figure[];
}

/** How many shapes of each combination, and how many of each kind are told. */
export interface SweepOptions {
  readonly perCombination?: number;
  readonly told?: number;
  readonly threads?: number;
  /** Flops of a case, at least and at most. */
  readonly flops?: readonly [number, number];
}

const channels = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];
const sides = [1, 2, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 48, 56, 64, 96, 128];
const batches = [1, 2, 4];
const kernels = [1, 3, 5, 7];
const strides = [1, 2, 4];
const dimensions = [1, 2, 3] as const;
/** Numbers of an operand: more, and memory is what is measured. */
const mostNumbers = 2 ** 22;
/** Draws for a shape before a combination has no more. */
const mostDraws = 2000;

/** From what a ratio counts as bad: strided gradients are allowed half as much again as their forward. */
const bounds: Readonly<Record<string, number>> = { strided: 1.5 };
/** What all else may be slower by in a single measurement. */
const noise = 1.1;

/** The shapes, the same in every run. */
export function drawCases(
  perCombination: number,
  [least, most]: readonly [number, number],
): readonly ConvCase[] {
  const random = new RandomStream(1);
  const pick = <T>(choices: readonly T[]): T => {
    const [share] = random.uniformArray(1);
    return choices[Math.floor(share! * choices.length)]!;
  };
  const cases = new Map<string, ConvCase>();
  for (const ndims of dimensions) {
    for (const kernel of kernels) {
      for (const stride of strides) {
        let drawn = 0;
        for (let i = 0; i < mostDraws && drawn < perCombination; i++) {
          const c: ConvCase = {
            ...{ batch: pick(batches), inChannels: pick(channels), outChannels: pick(channels) },
            ...{ side: pick(sides), ndims, kernel, stride },
          };
          const flops = convFlops(c);
          if (flops < least || flops > most || numbersOf(c) > mostNumbers) continue;
          if (cases.has(describeCase(c))) continue;
          cases.set(describeCase(c), c);
          drawn += 1;
        }
      }
    }
  }
  return [...cases.values()];
}

/** Of the largest operand. */
function numbersOf(c: ConvCase): number {
  return Math.max(
    c.batch * c.inChannels * c.side ** c.ndims,
    c.batch * c.outChannels * outputSide(c) ** c.ndims,
    c.inChannels * c.outChannels * c.kernel ** c.ndims,
  );
}

/** Runs the sweep. */
export async function measureSweep(options: SweepOptions = {}): Promise<SweepReport> {
  const { perCombination = 10, told = 8, threads = Math.min(2, cpus().length) } = options;
  const { flops = [1e5, 1e8] } = options;
  const notes: Note[] = [];
  const running = new Map<string, Served>();
  for (const backend of ownBackends) {
    try {
      for (const count of new Set([1, threads])) {
        running.set(keyOf(backend, count), await serve('cases', backend, String(count)));
      }
    } catch (error) {
      notes.push({ library: 'invnet', backend, note: reasonOf(error) });
    }
  }
  try {
    const cases = drawCases(perCombination, flops).map(
      (shape): SweptCase => ({ shape, times: {} }),
    );
    await measureCases(cases, running);
    // Twice more, of what looks worst: the least of all times is what counts.
    for (let again = 0; again < 2; again++) {
      const suspects = Object.values(worstOf(ratiosOf(cases, threads), 2 * told)).flat();
      const named = new Set(suspects.map(({ operation }) => operation));
      await measureCases(
        cases.filter(({ shape }) => named.has(describeCase(shape))),
        running,
      );
    }
    const ratios = ratiosOf(cases, threads);
    const worst = worstOf(ratios, told);
    const above = Object.fromEntries(
      [...byKind(ratios)].map(([kind, all]): [string, [number, number]] => {
        return [kind, [all.filter(({ value }) => value > boundOf(kind)).length, all.length]];
      }),
    );
    const figures = Object.entries(worst).map(([kind, [first]]): Figure => {
      return { name: kind, unit: '×', value: first!.value, low: first!.value, high: first!.value };
    });
    return { suite: 'sweep', threads, cases, worst, above, notes, figures };
  } finally {
    for (const served of running.values()) served.close();
  }
}

/** Measures each case everywhere, and keeps the least times. */
async function measureCases(
  cases: readonly SweptCase[],
  running: ReadonlyMap<string, Served>,
): Promise<void> {
  for (const [i, { shape, times }] of cases.entries()) {
    if (i % 100 === 0) process.stderr.write(`bench: shape ${i + 1} of ${cases.length} …\n`);
    for (const [key, served] of running) {
      const measured = (await served.ask(`case ${JSON.stringify(shape)}`)) as Record<
        Direction,
        number
      >;
      const before = times[key];
      times[key] = measured;
      for (const direction of directions) {
        measured[direction] = Math.min(measured[direction], before?.[direction] ?? Infinity);
      }
    }
  }
}

/** All ratios of the kinds that are told. */
function ratiosOf(cases: readonly SweptCase[], threads: number): SweepRatio[] {
  const ratios: SweepRatio[] = [];
  for (const { shape, times } of cases) {
    const add = (kind: string, direction: Direction, above?: number, below?: number) => {
      if (above === undefined || below === undefined) return;
      const operation = describeCase(shape);
      ratios.push({ kind: `${kind}: ${direction}`, operation, value: above / below, above, below });
    };
    for (const backend of ownBackends) {
      const [one, several] = [times[keyOf(backend, 1)], times[keyOf(backend, threads)]];
      for (const direction of directions) {
        if (threads > 1) {
          add(
            `${backend}, ${threadsInWords(threads)} over one`,
            direction,
            several?.[direction],
            one?.[direction],
          );
        }
        if (backend === ownBackends[0]) continue;
        const narrow = times[keyOf(ownBackends[0]!, 1)];
        add(`${backend} over ${ownBackends[0]}`, direction, one?.[direction], narrow?.[direction]);
      }
      if (shape.stride > 1) {
        const direction = 'input gradient';
        add(`${backend}, strided over forward`, direction, one?.[direction], one?.forward);
      }
    }
  }
  return ratios;
}

/** So many of each kind, the worst first. */
function worstOf(ratios: readonly SweepRatio[], count: number): Record<string, SweepRatio[]> {
  const sorted = [...byKind(ratios)].map(([kind, all]): [string, SweepRatio[]] => {
    return [kind, all.toSorted((a, b) => b.value - a.value).slice(0, count)];
  });
  return Object.fromEntries(sorted);
}

function byKind(ratios: readonly SweepRatio[]): Map<string, SweepRatio[]> {
  const kinds = new Map<string, SweepRatio[]>();
  for (const ratio of ratios) {
    const known = kinds.get(ratio.kind);
    if (known) known.push(ratio);
    else kinds.set(ratio.kind, [ratio]);
  }
  return kinds;
}

function boundOf(kind: string): number {
  return Object.entries(bounds).find(([word]) => kind.includes(word))?.[1] ?? noise;
}

function keyOf(backend: string, threads: number): string {
  return `${backend}, ${threads}`;
}

/** The report as one table for each kind. */
export function describeSweep({ cases, worst, above, threads, notes }: SweepReport): string {
  const tables = Object.entries(worst).flatMap(([kind, ratios]) => {
    const [count, of] = above[kind]!;
    const rows = ratios.map((r) => [
      r.operation,
      r.value.toFixed(2),
      r.above.toFixed(3),
      r.below.toFixed(3),
    ]);
    return [
      '',
      `${kind}; ${count} of ${of} above ${boundOf(kind)}`,
      '',
      formatTable(['shape', 'ratio', 'ms', 'of ms'], rows),
    ];
  });
  return [
    `${cases.length} shapes of convolutions, each in three directions, on one and on ` +
      `${threadsInWords(threads)}; the worst ratios of least times.`,
    ...tables,
    ...notes.map((n) => `\n${n.library}, ${n.backend}: ${n.note}`),
  ].join('\n');
}
