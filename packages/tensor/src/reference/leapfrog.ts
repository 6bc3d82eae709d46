/**
 * Wave fields on the reference backend: plain loops in double precision, which say what `leapfrog` computes. They
 * are the oracle of assembly/wave.ts.
 */
import type { Storage } from '../backend.ts';
import { HALO, laplacianWeights, type WaveChannels, type WaveRun } from '../wave.ts';
import type { ReferenceBackend } from './backend.ts';

export function leapfrog(backend: ReferenceBackend, run: WaveRun): void {
  const { samples, shots, height, width, border, steps, reverse, media } = run;
  const { inject, record, scatter, keep, image, state } = run;
  const fields = samples * shots;
  const size = height * width;
  const [rows, columns] = [height + 2 * border, width + 2 * border];
  const cells = rows * columns;
  const values = (storage: Storage) => Float64Array.from(backend.readSync(storage));
  const [gain, decay] = [values(run.gain), values(run.decay)];
  const potential = scatter && values(scatter.potential);
  const scattered = scatter && values(scatter.field.storage);
  const correlated = image && values(image.field.storage);
  const driven = inject && values(inject.series);
  const targets = [record?.series, keep, image?.sum, state?.previous, state?.current] as const;
  const [recorded, kept, sum, older, newer] = targets.map((target) => target && values(target));
  recorded?.fill(0);
  /** Where a cell of the image lies in the grid. */
  const place = (cell: number) =>
    (Math.floor(cell / width) + border) * columns + (cell % width) + border;

  for (let field = 0; field < fields; field++) {
    const sample = Math.floor(field / shots);
    const medium = Math.min(sample, media - 1) * cells;
    let previous = older?.slice(field * cells, (field + 1) * cells) ?? new Float64Array(cells);
    let current = newer?.slice(field * cells, (field + 1) * cells) ?? new Float64Array(cells);
    for (let step = 0; step < steps; step++) {
      // The field at time t is there, and the equation of number e gives the next one.
      const t = reverse ? steps - 1 - step : step;
      const e = reverse ? t - 1 : t;
      const within = e >= 0 && e < steps - 1;
      if (record && recorded && t % record.every === 0) {
        forEachTap(record, field, t, (at, weight, cell) => {
          recorded[at]! += weight * current[place(cell)]!;
        });
      }
      const acceleration = laplacian(current, rows, columns, run.spacing);
      for (let i = 0; i < cells; i++) acceleration[i]! *= gain[medium + i]!;
      if (inject && driven && t % inject.every === 0) {
        forEachTap(inject, field, t, (at, weight, cell) => {
          acceleration[place(cell)]! += gain[medium + place(cell)]! * weight * driven[at]!;
        });
      }
      if (within && scatter && potential && scattered) {
        const from = ((field % scatter.field.fields) * (steps - 1) + e) * size;
        for (let cell = 0; cell < size; cell++) {
          acceleration[place(cell)]! += potential[sample * size + cell]! * scattered[from + cell]!;
        }
      }
      if (within && kept) {
        const to = (field * (steps - 1) + e) * size;
        for (let cell = 0; cell < size; cell++) kept[to + cell] = acceleration[place(cell)]!;
      }
      const next = current.map(
        (u, i) => u + decay[medium + i]! * (u - previous[i]!) + acceleration[i]!,
      );
      if (within && image && correlated && sum) {
        const from = ((field % image.field.fields) * (steps - 1) + e) * size;
        for (let cell = 0; cell < size; cell++) {
          sum[field * size + cell]! += next[place(cell)]! * correlated[from + cell]!;
        }
      }
      [previous, current] = [current, next];
    }
    older?.set(previous, field * cells);
    newer?.set(current, field * cells);
  }
  for (const [i, result] of [recorded, kept, sum, older, newer].entries()) {
    const target = targets[i];
    if (!target || !result) continue;
    const made = backend.upload(result, target.dtype);
    backend.assign(target, made);
    backend.free(made);
  }
}

/** Calls back with the place of each number of time t in the series, and each of its cells with its weight. */
function forEachTap(
  { points, every, times }: WaveChannels,
  field: number,
  t: number,
  use: (at: number, weight: number, cell: number) => void,
): void {
  const { channels, taps, cells, weights } = points;
  for (let c = 0; c < channels; c++) {
    for (let tap = c * taps; tap < (c + 1) * taps; tap++) {
      use((field * times + t / every) * channels + c, weights[tap]!, cells[tap]!);
    }
  }
}

/** Δu, with u = 0 around the grid. */
function laplacian(
  u: Float64Array,
  rows: number,
  columns: number,
  spacing: readonly [number, number],
): Float64Array {
  const [z, x] = [1 / spacing[0] ** 2, 1 / spacing[1] ** 2];
  return u.map((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = laplacianWeights[0]! * (z + x) * value;
    for (let d = 1; d <= HALO; d++) {
      const above = row >= d ? u[i - d * columns]! : 0;
      const below = row + d < rows ? u[i + d * columns]! : 0;
      const left = column >= d ? u[i - d]! : 0;
      const right = column + d < columns ? u[i + d]! : 0;
      sum += laplacianWeights[d]! * (z * (above + below) + x * (left + right));
    }
    return sum;
  });
}
