/**
 * Conformance of the passes over invertible layers, where a backend has them, with their formulas in
 * double precision; and of Adam on many tensors at once.
 */
import { describe, expect, it } from 'vitest';
import type { Backend, FusedPasses, Storage } from '../../src/backend.ts';
import { numbers, oracle, single } from './harness.ts';

/** Sums in float32 of some thousand terms of about one. */
const TOLERANCE = 2e-4;

const couplings = [
  { batch: 1, kept: 0, size: 1 },
  { batch: 3, kept: 5, size: 7 },
  { batch: 2, kept: 300, size: 300 },
  // In pieces, whose sums are added up.
  { batch: 2, kept: 1000, size: 9001 },
];
const channelShapes = [
  { batch: 1, channels: 1, positions: 1 },
  { batch: 3, channels: 5, positions: 7 },
  { batch: 2, channels: 300, positions: 3 },
  { batch: 3, channels: 2, positions: 3001 },
];
const directions = [false, true];

describe.each(single)('$label', async ({ backends }) => {
  const backend = await backends[0]!.make();
  const { fused } = backend;
  // What a backend does not have is no test that was left out.
  const passes = fused && it;

  /** What `compute` makes of the inputs, which with it are freed; twice, with the same bits. */
  const twice = async (
    inputs: readonly Float32Array[],
    compute: (fused: FusedPasses, inputs: readonly Storage[]) => readonly Storage[],
  ): Promise<Float32Array[]> => {
    const once = async () => {
      const uploaded = inputs.map((data) => backend.upload(data, 'float32'));
      const made = compute(fused!, uploaded);
      const values = await Promise.all(made.map((x) => backend.read(x)));
      for (const x of new Set([...uploaded, ...made])) backend.free(x);
      return values.map((v) => Float32Array.from(v));
    };
    const before = backend.memory.info().liveBytes;
    const first = await once();
    expect(await once()).toEqual(first);
    expect(backend.memory.info().liveBytes).toBe(before);
    return first;
  };

  passes?.('couples and goes back, in both directions', async () => {
    for (const inverse of directions) {
      for (const shape of couplings) {
        const g = { inverse, low: 0.5, high: 1.75, ...shape };
        const { batch, kept, size } = g;
        const sample = kept + size;
        const x = numbers(batch * sample, 1);
        const dy = numbers(batch * sample, 2);
        const rt = numbers(2 * batch * size, 3).map((v) => 3 * v);
        const dl = numbers(batch, 4);
        const expected = {
          y: new Float64Array(x),
          logdet: new Float64Array(batch),
          x: new Float64Array(x),
          dx: new Float64Array(dy),
          drt: new Float64Array(rt.length),
        };
        for (let n = 0; n < batch; n++) {
          for (let i = 0; i < size; i++) {
            const [at, r] = [n * sample + kept + i, 2 * n * size + i];
            const sigma = 1 / (1 + Math.exp(-rt[r]!));
            const [s, t] = [g.low + (g.high - g.low) * sigma, rt[r + size]!];
            const slope = (g.high - g.low) * sigma * (1 - sigma);
            const [v, d] = [x[at]!, dy[at]!];
            // Backward takes x as the result of the map whose argument it recomputes.
            const [there, back] = [s * v + t, (v - t) / s];
            expected.y[at] = inverse ? back : there;
            expected.x[at] = inverse ? there : back;
            expected.logdet[n]! += inverse ? -Math.log(s) : Math.log(s);
            expected.dx[at] = inverse ? d / s : s * d;
            const ds = inverse ? -((d / s) * v + dl[n]! / s) : d * back + dl[n]! / s;
            expected.drt[r] = ds * slope;
            expected.drt[r + size] = inverse ? -d / s : d;
          }
        }
        const forward = await twice([x, rt], (f, [x, rt]) => f.couple(x!, rt!, g));
        close(forward[0]!, expected.y);
        close(forward[1]!, expected.logdet);
        const backward = await twice([x, dy, rt, dl], (f, [y, dy, rt, dl]) =>
          f.coupleBack(y!, dy!, rt!, dl, g),
        );
        close(backward[0]!, expected.x);
        close(backward[1]!, expected.dx);
        close(backward[2]!, expected.drt);
        const alone = await twice([x, dy, rt], (f, [y, dy, rt]) =>
          f.coupleBack(y!, dy!, rt!, undefined, g),
        );
        const none = await twice([x, dy, rt, dl.fill(0)], (f, [y, dy, rt, dl]) =>
          f.coupleBack(y!, dy!, rt!, dl, g),
        );
        expect(alone).toEqual(none);
      }
    }
  });

  passes?.('adds to the first numbers of each sample', async () => {
    for (const [batch, pitch, size] of [
      [1, 5, 3],
      [3, 7, 7],
      [4, 1001, 500],
    ] as const) {
      const [target, x] = [numbers(batch * pitch, 1), numbers(batch * size, 2)];
      const expected = new Float64Array(target);
      for (let i = 0; i < x.length; i++) {
        expected[Math.floor(i / size) * pitch + (i % size)]! += x[i]!;
      }
      const [sum] = await twice([target, x], (f, [target, x]) => {
        f.addToFirst(target!, x!, batch);
        return [target!];
      });
      close(sum!, expected);
    }
    const x = numbers(12, 1);
    const [twofold] = await twice([x], (f, [x]) => {
      f.addToFirst(x!, x!, 3);
      return [x!];
    });
    close(
      twofold!,
      Float64Array.from(x, (v) => 2 * v),
    );
  });

  passes?.('scales and shifts channels and goes back, in both directions', async () => {
    for (const inverse of directions) {
      for (const shape of channelShapes) {
        const g = { inverse, ...shape };
        const { batch, channels, positions } = g;
        const x = numbers(batch * channels * positions, 1);
        const dy = numbers(x.length, 2);
        const scale = numbers(channels, 3).map((v) => (v < 0 ? v - 0.5 : v + 0.5));
        const shift = numbers(channels, 4);
        const dl = numbers(batch, 5);
        const sign = inverse ? -1 : 1;
        const logdet = sign * positions * sum(Array.from(scale, (s) => Math.log(Math.abs(s))));
        const weight = sign * positions * sum(Array.from(dl));
        const expected = {
          y: new Float64Array(x.length),
          x: new Float64Array(x.length),
          dx: new Float64Array(x.length),
          dscale: Float64Array.from(scale, (s) => weight / s),
          dshift: new Float64Array(channels),
        };
        for (let at = 0; at < x.length; at++) {
          const c = Math.floor(at / positions) % channels;
          const [s, b, v, d] = [scale[c]!, shift[c]!, x[at]!, dy[at]!];
          const [there, back] = [s * v + b, (v - b) / s];
          expected.y[at] = inverse ? back : there;
          expected.x[at] = inverse ? there : back;
          expected.dx[at] = inverse ? d / s : s * d;
          expected.dscale[c]! += inverse ? -(d / s) * v : d * back;
          expected.dshift[c]! += inverse ? -d / s : d;
        }
        const forward = await twice([x, scale, shift], (f, [x, scale, shift]) =>
          f.channelAffine(x!, scale!, shift!, g),
        );
        close(forward[0]!, expected.y);
        close(forward[1]!, new Float64Array(batch).fill(logdet));
        const backward = await twice([x, dy, scale, shift, dl], (f, [y, dy, scale, shift, dl]) =>
          f.channelAffineBack(y!, dy!, scale!, shift!, dl, g),
        );
        close(backward[0]!, expected.x);
        close(backward[1]!, expected.dx);
        close(backward[2]!, expected.dscale);
        close(backward[3]!, expected.dshift);
      }
    }
  });

  passes?.('multiplies reflections, with the gradients of the vectors', async () => {
    for (const size of [1, 2, 5, 48, 300]) {
      const v = [numbers(size, 1), numbers(size, 2), numbers(size, 3)];
      const g = numbers(size * size, 4);
      const [w] = await twice(v, (f, [v1, v2, v3]) => [f.reflections([v1!, v2!, v3!])]);
      close(w!, reflections(v.map((x) => new Float64Array(x))));
      if (size > 48) continue;
      const gradients = await twice([...v, g], (f, [v1, v2, v3, g]) =>
        f.reflectionsBack([v1!, v2!, v3!], g!),
      );
      // Central differences of ⟨W, G⟩ in double precision.
      const loss = (moved: readonly Float64Array[]) =>
        sum(Array.from(reflections(moved), (w, i) => w * g[i]!));
      const step = 1e-5;
      gradients.forEach((gradient, k) => {
        const expected = Float64Array.from({ length: size }, (_, i) => {
          const [up, down] = [step, -step].map((by) => {
            const moved = v.map((x) => new Float64Array(x));
            moved[k]![i]! += by;
            return loss(moved);
          });
          return (up! - down!) / (2 * step);
        });
        close(gradient, expected);
      });
    }
  });

  it('takes Adam steps on many tensors at once, each with steps of its own', async () => {
    const settings = {
      learningRate: 2 ** -5,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 2 ** -26,
      gradientScale: 0.5,
      targetScale: 0.875,
    };
    const sizes = [1, 3, 64, 1000, 5, 7, 8, 2, 70_000];
    const run = async (backend: Backend, dtype: 'float32' | 'float64') => {
      const upload = (size: number, seed: number, map = (v: number) => v) =>
        backend.upload(numbers(size, seed).map(map), dtype);
      const states = sizes.map((size, i) => ({
        target: upload(size, i),
        m: upload(size, i + 20),
        v: upload(size, i + 40, Math.abs),
        grad: upload(size, i + 60),
        step: i + 1,
      }));
      // One of them twice: its second step comes after the first.
      backend.adam([...states, states[3]!], settings);
      const all = states.flatMap(({ target, m, v, grad }) => [target, m, v, grad]);
      const values = await Promise.all(all.map((x) => backend.read(x)));
      for (const x of all) backend.free(x);
      return values;
    };
    const [found, expected] = [await run(backend, 'float32'), await run(oracle, 'float64')];
    found.forEach((values, i) => {
      close(Float32Array.from(values), Float64Array.from(expected[i]!));
    });
    expect(await run(backend, 'float32')).toEqual(found);
  });
});

function close(found: Float32Array, expected: Float64Array): void {
  expect(found.length).toBe(expected.length);
  const largest = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  for (let i = 0; i < expected.length; i++) {
    // Of sums with cancellation: relative to the largest, or to one.
    const allowed = TOLERANCE * Math.max(1, largest);
    if (!(Math.abs(found[i]! - expected[i]!) <= allowed)) {
      expect.fail(`entry ${i}: got ${found[i]}, expected ${expected[i]} within ${allowed}`);
    }
  }
}

/** H(v₁)H(v₂)H(v₃), row by row. */
function reflections(v: readonly Float64Array[]): Float64Array {
  const size = v[0]!.length;
  const w = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = new Float64Array(size);
    row[i] = 1;
    for (const u of v) {
      const along =
        (2 * sum(Array.from(u, (u, j) => u * row[j]!))) / sum(Array.from(u, (u) => u * u));
      for (let j = 0; j < size; j++) row[j]! -= along * u[j]!;
    }
    w.set(row, i * size);
  }
  return w;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
