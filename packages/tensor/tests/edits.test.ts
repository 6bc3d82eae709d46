import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findEdits } from '../scripts/find-edits.mjs';
import { bytesOf, textOf } from '../src/wasm/byte-text.ts';
import { applyEdits } from '../src/wasm/edits.ts';
import { baselineEdits, text, wideEdits } from '../src/wasm/kernels.generated.ts';

// Few values, so that much is alike; long runs, so that counts have several digits.
const bytes = fc
  .array(fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 60 })), { maxLength: 12 })
  .map((runs) => Uint8Array.from(runs.flatMap(([value, count]) => new Array(count).fill(value))));

test('edits lead from any bytes to any others', () => {
  fc.assert(
    fc.property(bytes, bytes, (from, to) => {
      expect(applyEdits(from, findEdits(from, to))).toEqual(to);
    }),
  );
});

test('text stands for any bytes, and needs no escape', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(bytesOf(textOf(all))).toEqual(all);
  expect(textOf(all)).not.toMatch(/["'`$<\\\n]/);
});

test('further builds of the kernels are a small part of what pages load', () => {
  expect(baselineEdits.length).toBeLessThan(text.length / 10);
  expect(wideEdits.length).toBeLessThan(text.length / 8);
});
