/** Wave fields: the kernels against plain loops, with everything that one call may do; and against a formula. */
import { describe, expect, it } from 'vitest';
import {
  BackendError,
  type LeapfrogOptions,
  leapfrog,
  memory,
  type Shape,
  setBackend,
  tensor,
  WasmBackend,
  zeros,
} from '../../src/index.ts';
import { numbers, oracle, single, volume } from './harness.ts';

/** Float32 over a few dozen steps, relative to the largest number. */
const TOLERANCE = 3e-6;

const between = (shape: Shape, seed: number, low: number, high: number) =>
  tensor(
    numbers(volume(shape), seed).map((v) => low + ((high - low) * (v + 1)) / 2),
    shape,
  );

interface Case {
  readonly samples: number;
  readonly shots: number;
  readonly media: number;
  readonly size: readonly [number, number];
  readonly border: number;
  readonly steps: number;
  readonly reverse: boolean;
}

/** Runs with everything at once, and gives what it has set. */
async function everything({ samples, shots, media, size, border, steps, reverse }: Case) {
  const [height, width] = size;
  const grid = [height + 2 * border, width + 2 * border] as const;
  const inSteps = [shots, steps - 1, height, width];
  const points = [
    [0, 0],
    [height - 1, width - 1],
    [(height - 1) / 4, width - 1],
    [(height - 1) / 2, (width - 1) / 3],
  ] as const;
  const record = {
    ...{ points, every: 3 },
    series: zeros([samples, shots, Math.floor((steps - 1) / 3) + 1, 4]),
  };
  const keep = zeros([samples, ...inSteps]);
  const image = {
    sum: between([samples, shots, height, width], 1, -1, 1),
    field: between([samples, ...inSteps], 2, -1, 1),
  };
  const state = {
    previous: between([samples, shots, ...grid], 3, -1, 1),
    current: between([samples, shots, ...grid], 4, -1, 1),
  };
  const inject = {
    points: points.slice(0, 2),
    series: between([samples, shots, steps, 2], 5, -1, 1),
  };
  const scatter = {
    potential: between([samples, height, width], 6, -1, 1),
    field: between([media, ...inSteps], 7, -1, 1),
  };
  const options: LeapfrogOptions = {
    ...{ fields: [samples, shots], border, spacing: [1, 1.5], steps, reverse },
    gain: between([media, ...grid], 8, 0.1, 0.3),
    decay: between([media, ...grid], 9, 0.7, 1),
    ...{ inject, record, scatter, keep, image, state },
  };
  leapfrog(options);
  const results = [record.series, keep, image.sum, state.previous, state.current];
  const values = await Promise.all(results.map((t) => t.data()));
  const used = [options.gain, options.decay, inject.series, scatter.potential, scatter.field];
  for (const t of [...results, ...used, image.field]) t.dispose();
  return values;
}

const cases: readonly Case[] = [
  { samples: 1, shots: 1, media: 1, size: [1, 2], border: 0, steps: 2, reverse: false },
  { samples: 2, shots: 3, media: 2, size: [13, 23], border: 5, steps: 31, reverse: false },
  { samples: 2, shots: 2, media: 1, size: [9, 33], border: 2, steps: 30, reverse: true },
];

describe.each(single)('$label', ({ backends }) => {
  it('does everything as plain loops in double precision do, and leaves nothing behind', async () => {
    const backend = await backends[0]!.make();
    for (const each of cases) {
      await setBackend(oracle, { dtype: 'float64' });
      const expected = await everything(each);
      await setBackend(backend);
      const before = memory().liveBytes;
      if (backend.name === 'gpu') {
        await expect(everything(each)).rejects.toThrow(BackendError);
        return;
      }
      const found = await everything(each);
      expect(await everything(each)).toEqual(found);
      expect(memory().liveBytes).toBe(before);
      for (const [i, values] of expected.entries()) {
        const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
        const error = values.reduce((a, v, j) => Math.max(a, Math.abs(found[i]![j]! - v)), 0);
        expect(error / largest).toBeLessThan(TOLERANCE);
      }
    }
  });
});

it('has no numbers before a front, or behind, that fade into subnormal ones', async () => {
  await setBackend(new WasmBackend());
  const grid = [1, 120, 130];
  const state = { previous: zeros([1, ...grid]), current: zeros([1, ...grid]) };
  const series = tensor([1, -1], [1, 1, 2, 1]);
  const inject = { points: [[60, 65]] as const, every: 10, series };
  const [gain, decay] = [between(grid, 1, 0.2, 0.3), between(grid, 2, 0.1, 1)];
  const sizes = { fields: [1, 1], border: 0, spacing: [1, 1], steps: 20 } as const;
  leapfrog({ ...sizes, gain, decay, inject, state });
  const values = [...state.current.dataSync()].map(Math.abs);
  const least = values.filter((v) => v > 0).reduce((a, b) => Math.min(a, b));
  expect(least).toBeGreaterThanOrEqual(2 ** -108);
  expect(values.filter((v) => v === 0).length).toBeGreaterThan(1000);
});
