import { type ConvGeometry, ReferenceBackend, ShapeError, type Triple } from '@invnet/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HaloConv, inputHalo, outputHalo } from '../src/halo.ts';

/** Depth of the whole volume is cut in slabs; the rest is 2 × 3, with 2 and 3 channels. */
const depth = 0;
const plane = 6;
const [batch, inputs, outputs] = [2, 2, 3];

const geometry = (rows: number, kernel: number, stride: number, padding: number): ConvGeometry => {
  const out = Math.floor((rows + 2 * padding - kernel) / stride) + 1;
  const triple = (value: number, rest: Triple): Triple => [value, rest[1], rest[2]];
  return {
    batch,
    inputChannels: inputs,
    outputChannels: outputs,
    input: triple(rows, [0, 2, 3]),
    output: triple(out, [0, 2, 3]),
    kernel: triple(kernel, [0, 3, 3]),
    stride: triple(stride, [0, 1, 1]),
    padding: triple(padding, [0, 1, 1]),
  };
};

/** Rows of [count, rows, plane]; zeros where there are none. */
function rowsOf(x: ArrayLike<number>, count: number, start: number, length: number): Float64Array {
  const rows = x.length / (count * plane);
  const y = new Float64Array(count * length * plane);
  for (let i = 0; i < count; i++) {
    for (let row = Math.max(0, start); row < Math.min(rows, start + length); row++) {
      for (let j = 0; j < plane; j++) {
        y[(i * length + row - start) * plane + j] = x[(i * rows + row) * plane + j]!;
      }
    }
  }
  return y;
}

const backend = new ReferenceBackend();
const put = (x: ArrayLike<number>) => backend.upload(x, 'float64');
const numbers = (size: number, seed: number) =>
  Float64Array.from({ length: size }, (_, i) => Math.sin(1 + seed + i * i));

/** What a rank sees: its slab, its neighbours' rows, and rows of zeros beyond them. */
function wide(x: ArrayLike<number>, count: number, start: number, rows: number, halo: HaloConv) {
  const { before, after, zerosBefore, zerosAfter } = halo;
  const seen = rowsOf(x, count, start - before, before + rows + after);
  return put(rowsOf(seen, count, -zerosBefore, zerosBefore + before + rows + after + zerosAfter));
}

test('a convolution and its adjoints in slabs are those of the whole', () => {
  const cases = fc
    .record({
      kernel: fc.integer({ min: 1, max: 6 }),
      stride: fc.integer({ min: 1, max: 4 }),
      slack: fc.nat(),
      slabs: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    })
    .map(({ kernel, stride, slack, slabs }) => {
      const least = Math.ceil(Math.max(0, kernel - stride) / 2);
      const most = Math.ceil(kernel / 2) - 1;
      const padding = least + (slack % Math.max(1, most - least + 1));
      return { kernel, stride, padding, slabs: slabs.map((n) => n * stride) };
    })
    .filter(({ kernel, padding }) => 2 * padding < kernel);
  fc.assert(
    fc.property(cases, ({ kernel, stride, padding, slabs }) => {
      const total = slabs.reduce((a, b) => a + b, 0);
      const whole = geometry(total, kernel, stride, padding);
      const w = put(numbers(outputs * inputs * kernel * 9, 1));
      const x = numbers(batch * inputs * total * plane, 2);
      const dy = numbers(batch * outputs * whole.output[depth] * plane, 3);
      const y = backend.readSync(backend.conv(put(x), w, undefined, 'none', whole));
      const relu = put(x);
      const dx = backend.readSync(backend.convInputGrad(put(dy), w, relu, whole));
      const dw = backend.readSync(backend.convFilterGrad(put(x), put(dy), whole));
      const summed = new Float64Array(dw.length);
      let start = 0;
      for (const rows of slabs) {
        const own = geometry(rows, kernel, stride, padding);
        const [first, out] = [start / stride, own.output[depth]];
        const halo = inputHalo(own, depth);
        const seen = wide(x, batch * inputs, start, rows, halo);
        const slab = backend.conv(seen, w, undefined, 'none', halo.geometry);
        close(backend.readSync(slab), rowsOf(y, batch * outputs, first, out));
        const ownDy = put(rowsOf(dy, batch * outputs, first, out));
        backend
          .readSync(backend.convFilterGrad(seen, ownDy, halo.geometry))
          .forEach((v: number, i: number) => {
            summed[i] = summed[i]! + v;
          });
        const back = outputHalo(own, depth);
        const ownRelu = put(rowsOf(x, batch * inputs, start, rows));
        const seenDy = wide(dy, batch * outputs, first, out, back);
        const grad = backend.convInputGrad(seenDy, w, ownRelu, back.geometry);
        close(backend.readSync(grad), rowsOf(dx, batch * inputs, start, rows));
        start += rows;
      }
      close(summed, dw);
    }),
    { numRuns: 200 },
  );
});

test('the geometry of an adjoint says the sizes that backends compute with', () => {
  for (const [kernel, stride, padding] of [
    [3, 2, 1],
    [4, 2, 1],
    [5, 2, 2],
    [5, 3, 1],
    [1, 2, 0],
  ]) {
    const { geometry: g } = outputHalo(geometry(12, kernel!, stride!, padding!), depth);
    const expected = Math.floor((12 + 2 * g.padding[0] - kernel!) / stride!) + 1;
    expect([g.input[0], g.output[0]]).toEqual([12, expected]);
  }
});

test('what does not join is refused', () => {
  expect(() => inputHalo(geometry(8, 3, 1, 0), depth)).toThrow(ShapeError);
  expect(() => outputHalo(geometry(8, 3, 1, 2), depth)).toThrow(
    /padding of at least 1, and less than 1.5/,
  );
  expect(() => inputHalo(geometry(7, 3, 2, 1), depth)).toThrow(/multiple of 2/);
});

function close(a: ArrayLike<number>, b: ArrayLike<number>): void {
  expect(a.length).toBe(b.length);
  const worst = Array.from(a, (v, i) => Math.abs(v - b[i]!));
  expect(Math.max(0, ...worst)).toBeLessThan(1e-12);
}
