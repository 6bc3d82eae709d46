/**
 * Wave fields on the wasm backend (assembly/wave.ts): planes are laid out with their zeros around them, and work is
 * parted, by fields or, where those are fewer than threads, by rows, one step after the other.
 */
import { HALO, laplacianWeights, type WaveChannels, type WaveRun } from '../wave.ts';
import { unaryCodes } from './codes.ts';
import { CACHE_LINE, CHEAP_ELEMENTS, PARTS_PER_THREAD, ranges } from './parts.ts';
import type { Runtime } from './runtime.ts';
import { baselineEdits, sharedFlagAt, text } from './wave.generated.ts';

/** Words of the kernel's plan, and of what it says of points. */
const PLAN_WORDS = 32;
const POINTS_WORDS = 7;

export function leapfrog(r: Runtime, run: WaveRun): void {
  r.extend('leapfrog', { text, baselineEdits, sharedFlagAt });
  const { samples, shots, height, width, border, media, state } = run;
  const fields = samples * shots;
  const [rows, columns] = [height + 2 * border, width + 2 * border];
  const pitch = CACHE_LINE * Math.ceil((columns + HALO) / CACHE_LINE);
  const plane = 4 * (rows + 2 * HALO) * pitch;
  const medium = 4 * rows * pitch;
  const parts = partsOf(r, run, rows, pitch);
  const bytes = 2 * fields * plane + 2 * media * medium + 4 * pitch * parts.length;
  r.inScratch(bytes, (planes) => {
    const decay = planes + 2 * fields * plane;
    const gain = decay + media * medium;
    const lines = gain + media * medium;
    r.start('fill', [[planes, (lines - planes) / 4, 0]]);
    const [from, to] = [4 * columns, 4 * pitch];
    r.start('copyRuns', [[r.at(run.decay), from, decay, to, from, media * rows]]);
    r.start('copyRuns', [[r.at(run.gain), from, gain, to, from, media * rows]]);
    r.start('unary', [[unaryCodes.affine, gain, gain, (lines - gain) / 4, 1 / cellOf(run), 0]]);
    const at = { previous: planes + HALO * to, current: planes + plane + HALO * to };
    for (let field = 0; state && field < fields; field++) {
      for (const name of ['previous', 'current'] as const) {
        const source = r.at(state[name]) + field * rows * from;
        r.start('copyRuns', [[source, from, at[name] + 2 * field * plane, to, from, rows]]);
      }
    }
    const table = r.make(tableWords(run));
    try {
      writeTable(r, table, run, { planes, decay, gain, rows, pitch });
      const plan = r.at(table);
      const own = parts.map(
        ([first, last, top, bottom], i) =>
          (begin: number, end: number) =>
            [plan, first, last, begin, end, top, bottom, lines + 4 * pitch * i] as const,
      );
      const wholeFields = parts.every(([, , top, bottom]) => top === 0 && bottom === rows);
      const stride = wholeFields ? run.steps : 1;
      for (let step = 0; step < run.steps; step += stride) {
        r.start(
          'leapfrog',
          own.map((part) => part(step, step + stride)),
        );
      }
    } finally {
      r.free(table);
    }
    // The planes take turns, and after an odd number of steps the newer one is the other one.
    const newer = run.steps % 2 === 0 ? at : { previous: at.current, current: at.previous };
    for (let field = 0; state && field < fields; field++) {
      for (const name of ['previous', 'current'] as const) {
        const target = r.at(state[name]) + field * rows * from;
        r.start('copyRuns', [[newer[name] + 2 * field * plane, to, target, from, from, rows]]);
      }
    }
  });
}

/**
 * The area of a cell, which kernels have as their unit, so that the weights of the Laplacian are about 1, and products
 * with small numbers of a field no smaller ones still.
 */
function cellOf({ spacing: [z, x] }: WaveRun): number {
  return z * x;
}

/** Parts as fields and rows, from one to before another. */
function partsOf(
  r: Runtime,
  { samples, shots, steps }: WaveRun,
  rows: number,
  pitch: number,
): [first: number, last: number, top: number, bottom: number][] {
  const fields = samples * shots;
  const cells = fields * rows * pitch;
  const threads = r.threads(cells * steps, CHEAP_ELEMENTS);
  if (fields >= threads) {
    const count = threads === 1 ? 1 : Math.min(fields, PARTS_PER_THREAD * threads);
    return ranges(fields, count).map(([first, last]) => [first, last, 0, rows]);
  }
  // Each step is a job then, which has to be worth one.
  return ranges(rows, r.threads(cells, CHEAP_ELEMENTS)).map(([top, bottom]) => [
    0,
    fields,
    top,
    bottom,
  ]);
}

function tableWords({ inject, record }: WaveRun): number {
  const words = [inject, record].map((channels) =>
    channels ? POINTS_WORDS + 2 * channels.points.cells.length : 0,
  );
  return PLAN_WORDS + words[0]! + words[1]!;
}

interface Layout {
  readonly planes: number;
  readonly decay: number;
  readonly gain: number;
  readonly rows: number;
  readonly pitch: number;
}

/** Writes the plan, and behind it the points, as assembly/wave.ts reads them. */
function writeTable(
  r: Runtime,
  table: ReturnType<Runtime['make']>,
  run: WaveRun,
  { planes, decay, gain, rows, pitch }: Layout,
): void {
  const floats = r.view(table);
  const words = new Int32Array(floats.buffer, floats.byteOffset, floats.length);
  let taken = PLAN_WORDS;
  const points = (channels: WaveChannels | undefined, scale: number): number => {
    if (!channels) return 0;
    const { points, every, times, series } = channels;
    const begin = taken;
    const cells = begin + POINTS_WORDS;
    const weights = cells + points.cells.length;
    taken = weights + points.weights.length;
    const [cellsAt, weightsAt] = [r.at(table) + 4 * cells, r.at(table) + 4 * weights];
    const { channels: count, taps } = points;
    words.set([r.at(series), times, count, taps, every, cellsAt, weightsAt], begin);
    words.set(points.cells, cells);
    floats.set(
      points.weights.map((weight) => scale * weight),
      weights,
    );
    return r.at(table) + 4 * begin;
  };
  const { scatter, image, keep } = run;
  const [c0 = 0, ...others] = laplacianWeights;
  const cell = cellOf(run);
  const [z, x] = run.spacing.map((h) => cell / h ** 2) as [number, number];
  const sizes = [run.border, run.height, run.width, run.steps, run.reverse ? 1 : 0];
  words.set([planes, decay, gain, run.media, run.shots, rows, pitch, ...sizes]);
  floats.set([c0 * (z + x), ...others.map((c) => c * z), ...others.map((c) => c * x)], 12);
  words.set([points(run.inject, cell), points(run.record, 1)], 21);
  words.set(
    [
      ...(scatter
        ? [r.at(scatter.potential), r.at(scatter.field.storage), scatter.field.fields]
        : [0, 0, 1]),
      keep ? r.at(keep) : 0,
      ...(image ? [r.at(image.sum), r.at(image.field.storage), image.field.fields] : [0, 0, 1]),
    ],
    23,
  );
}
