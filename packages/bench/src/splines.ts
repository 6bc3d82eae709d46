/**
 * Training steps (loss, gradients, Adam) of two couplings by rational-quadratic splines, beside affine ones with the
 * same conditioners but for what they give, on our backends with one thread and with several; and beside nflows, which
 * computes the same from our parameters, and zuko, on as many threads.
 */
import { getBackend, setBackend } from '@invnet/tensor';
import { type Contestant, hold, type Note, type Timing } from './contest.ts';
import type { Figure } from './figures.ts';
import { labelOf, makeOwnBackend, threadsInWords } from './own-backends.ts';
import {
  describeSplineCase,
  makeSplineProblem,
  ownSplines,
  type SplineCase,
  writeSplineProblem,
} from './peers/own-splines.ts';
import { type Served, start } from './peers/process.ts';
import { splineProgram } from './peers/python.ts';
import { formatTable } from './table.ts';

/** What `bench splines` measured. */
export interface SplinesReport {
  readonly suite: 'splines';
  readonly threads: number;
  readonly results: readonly Timing[];
  readonly notes: readonly Note[];
  readonly figures: readonly Figure[];
}

/** Points of the plane, and rows of a table. */
const cases: readonly SplineCase[] = [
  { batch: 512, features: 2, hidden: 64, bins: 8 },
  { batch: 1024, features: 16, hidden: 256, bins: 8 },
];
const backends = ['native', 'wasm'];
const [splines, affine] = ['invnet splines', 'invnet affine'];
/** Milliseconds of turns after which a contestant takes no further one, and of steps before one is timed. */
const [patience, warmUp] = [4000, 100];

/** Runs the suite. */
export async function measureSplines(
  options: {
    threads?: number;
    repeats?: number;
    peers?: boolean;
    chosen?: readonly SplineCase[];
  } = {},
): Promise<SplinesReport> {
  const { threads = 2, repeats = 15, peers = true, chosen = cases } = options;
  const before = getBackend();
  const results: Timing[] = [];
  const notes: Note[] = [];
  for (const sizes of chosen) {
    const problem = await makeSplineProblem(sizes);
    const running: Served[] = [];
    const own = backends.flatMap((name) =>
      [...new Set([threads, 1])].flatMap((count) =>
        [splines, affine].map((library): Contestant => {
          const kind = library === splines ? 'splines' : 'affine';
          const load = async () => ownSplines(await makeOwnBackend(name, count), problem, kind);
          return { library, backend: labelOf(name, count), load };
        }),
      ),
    );
    const path = peers ? await writeSplineProblem(problem) : '';
    const others = (peers ? ['nflows', 'zuko'] : []).map((library): Contestant => {
      const load = async () => {
        const args = ['-B', '-W', 'ignore', splineProgram, library, path, String(threads)];
        const served = await start('python3', args);
        running.push(served);
        return served.operations;
      };
      return { library, backend: threadsInWords(threads), load };
    });
    const turns = { repeats, patience, warmUp };
    const found = await hold([...own, ...others], turns);
    for (const served of running) served.close();
    const named = <T extends { readonly op?: string }>(entry: T) => ({
      ...entry,
      op: describeSplineCase(sizes),
    });
    results.push(...found.results.map(named));
    notes.push(...found.notes.map(named));
  }
  await setBackend(before);
  const figures = results
    .filter(({ library }) => library.startsWith('invnet'))
    .map(({ op, library, backend, milliseconds, fastest, slowest }): Figure => {
      const name = `${library}, ${op}, ${backend}`;
      return { name, unit: 'ms', value: milliseconds, low: fastest, high: slowest };
    });
  return { suite: 'splines', threads, results, notes, figures };
}

/** The report as a table. */
export function describeSplines({ results, notes }: SplinesReport): string {
  const time = (r: Timing | undefined) =>
    r
      ? `${r.milliseconds.toFixed(2)} (${r.fastest.toFixed(2)} – ${r.slowest.toFixed(2)})`
      : 'not measured';
  const rows = [...new Set(results.map((r) => `${r.op}: ${r.backend}`))].map((row) => {
    const of = (library: string) =>
      results.find((r) => r.library === library && `${r.op}: ${r.backend}` === row);
    const [spline, scale] = [of(splines), of(affine)];
    const peer = results.find(
      (r) => !r.library.startsWith('invnet') && `${r.op}: ${r.backend}` === row,
    );
    if (!spline && !scale && peer) {
      const at = row.replace(peer.backend, '');
      return results
        .filter((r) => `${r.op}: ${r.backend}` === row)
        .map((r) => [`${at}${r.library}, ${r.backend}`, time(r), '', '']);
    }
    const ratio = spline && scale ? (spline.milliseconds / scale.milliseconds).toFixed(2) : '';
    return [[row, time(spline), time(scale), ratio]];
  });
  return [
    'Milliseconds of a training step: medians, with the fastest and the slowest turn.',
    '',
    formatTable(['case', 'splines', 'affine', 'ratio'], rows.flat()),
    ...notes.map(({ op, library, backend, note }) => `${op}: ${library}, ${backend}: ${note}`),
  ].join('\n');
}
