/**
 * Speed of wave fields, in updates of a cell a second: modelling, Born's approximation and its adjoint by `AcousticWave`, at
 * the sizes of the seismic example and of the experiment that it follows, on our backends with one thread and
 * with several.
 *
 * Counted are all cells of the grid, those of the border too, at every step. Times are of whole calls, a warm-up before.
 */
import { AcousticWave, ricker } from '@invnet/operators';
import { full, getBackend, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { type Spread, spreadOf } from './contest.ts';
import type { Figure } from './figures.ts';
import { labelOf, makeOwnBackend } from './own-backends.ts';
import { formatTable } from './table.ts';

/** A survey that is timed: images of so many cells, a shot of each sample. */
export interface WaveCase {
  readonly size: readonly [height: number, width: number];
  readonly samples: number;
  readonly steps: number;
}

/** One operation of a survey on a backend. */
export interface WaveTiming extends Spread {
  readonly operation: string;
  readonly survey: string;
  readonly backend: string;
  readonly threads: number;
  /** Millions of updates a second at the median. */
  readonly updates: number;
}

/** What `bench waves` measured. */
export interface WavesReport {
  readonly suite: 'waves';
  readonly results: readonly WaveTiming[];
  /** Why a backend has no times. */
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
}

const backends = ['wasm', 'native'];
const surveys: readonly WaveCase[] = [
  { size: [64, 96], samples: 8, steps: 480 },
  { size: [120, 400], samples: 1, steps: 800 },
];
/** Cells of the border, as `AcousticWave` has it by itself. */
const border = 20;

/** Runs the suite. */
export async function measureWaves(
  options: { threads?: number; repeats?: number; cases?: readonly WaveCase[] } = {},
): Promise<WavesReport> {
  const { threads = 2, repeats = 7, cases = surveys } = options;
  const before = getBackend();
  const results: WaveTiming[] = [];
  const notes: string[] = [];
  for (const backend of backends) {
    for (const count of new Set([1, threads])) {
      try {
        await setBackend(await makeOwnBackend(backend, count));
      } catch (error) {
        notes.push(`${labelOf(backend, count)}: ${error instanceof Error ? error.message : error}`);
        continue;
      }
      for (const survey of cases) {
        results.push(...(await measure(survey, repeats, { backend, threads: count })));
      }
      getBackend().dispose();
    }
  }
  await setBackend(before);
  const figures = results.map(
    ({ operation, survey, backend, threads, milliseconds, fastest, slowest }): Figure => ({
      name: `${operation}, ${survey}, ${labelOf(backend, threads)}`,
      ...{ unit: 'ms', value: milliseconds, low: fastest, high: slowest },
    }),
  );
  return { suite: 'waves', results, notes, figures };
}

/** The report as a table. */
export function describeWaves({ results, notes }: WavesReport): string {
  const columns = [...new Set(results.map((r) => labelOf(r.backend, r.threads)))];
  const rows = [...new Set(results.map((r) => `${r.survey}: ${r.operation}`))].map((row) => [
    row,
    ...results
      .filter((r) => `${r.survey}: ${r.operation}` === row)
      .map((r) => r.updates.toFixed(0)),
  ]);
  return [
    'Millions of updates of a cell a second, 30 operations of arithmetic each; medians.',
    '',
    formatTable(['survey', ...columns], rows),
    ...notes,
  ].join('\n');
}

async function measure(
  { size, samples, steps }: WaveCase,
  repeats: number,
  where: { readonly backend: string; readonly threads: number },
): Promise<WaveTiming[]> {
  const [height, width] = size;
  const timing = { timeStep: 2, steps };
  const random = new RandomStream(1);
  using background = full([1, 1, ...size], 1 / 2.5 ** 2);
  using weights = random.normal([samples, 1, 8]);
  using m = full([samples, 1, ...size], 1 / 2.5 ** 2);
  using dm = random.normal([samples, 1, ...size], 1e-3);
  using wave = new AcousticWave({
    ...{ size, spacing: 25, border, ...timing, background, weights },
    sources: Array.from({ length: 8 }, (_, i) => [25, (i * 25 * (width - 1)) / 7] as const),
    receivers: Array.from({ length: width }, (_, i) => [25, 25 * i] as const),
    wavelet: ricker({ ...timing, peakFrequency: 0.008 }),
  });
  // Models and keeps the background's field.
  using data = wave.born.forward(dm);
  const operations: Record<string, () => Tensor> = {
    modelling: () => wave.forward(m),
    Born: () => wave.born.forward(dm),
    adjoint: () => wave.born.adjoint(data),
  };
  const updates = samples * steps * (height + 2 * border) * (width + 2 * border);
  const results: WaveTiming[] = [];
  for (const [operation, run] of Object.entries(operations)) {
    const times: number[] = [];
    for (let i = -1; i < repeats; i++) {
      const start = performance.now();
      using result = run();
      await result.data();
      if (i >= 0) times.push(performance.now() - start);
    }
    const spread = spreadOf(times);
    const survey = `${samples} × ${height} × ${width}, ${steps} steps`;
    const rate = updates / spread.milliseconds / 1e3;
    results.push({ ...spread, ...where, operation, survey, updates: rate });
  }
  return results;
}
