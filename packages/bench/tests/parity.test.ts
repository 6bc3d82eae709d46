import { readdirSync, readFileSync } from 'node:fs';
import { setBackend } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { compare, Recording } from '../src/parity/compare.ts';
import { compareAll, describeParity, libraries, type ParityRow } from '../src/parity.ts';

/** Written by `python3 packages/bench/src/peers/parity/record.py packages/bench/tests/recorded FrEIA:… nflows:… …` */
const folder = new URL('recorded/', import.meta.url);
const recordings = readdirSync(folder).map(
  (file) => new Recording(readFileSync(new URL(file, folder))),
);
const named = (layer: string) => recordings.find((r) => r.layer === layer)!;

describe('layers beside those of other libraries', () => {
  it('have their outputs, log-determinants, inverses and gradients', async () => {
    const { results } = await compareAll(recordings);
    expect(results.filter((r) => !r.holds)).toEqual([]);
    expect(new Set(results.map((r) => r.library)).size).toBe(5);
    expect(
      Object.keys(results.find((r) => r.layer === 'AffineCouplingTransform')!.errors.reference!),
    ).toEqual(['y', 'logdet', 'inverse', '∂x', '∂context', '∂parameters']);
  });

  it('are marked where they are others', async () => {
    const [{ holds, ...row }] = (await compareAll([named('LULinearPermute')])).results as [
      ParityRow,
    ];
    expect(holds).toBe(true);
    const results = [{ ...row, holds: false }];
    const missing = [{ name: 'zuko', reason: 'No module named zuko' }];
    const table = describeParity({ suite: 'parity', results, missing, figures: [], holds: false });
    expect(table).toContain('0 of 1 layers hold');
    expect(table).toMatch(/✗ normflows LULinearPermute: wasm y \d/);
    expect(table).toContain('zuko was left out: No module named zuko');
  });

  it.each([
    ['another layer', 'AdditiveCouplingTransform', 'LULinearPermute', 'the recording has no'],
    ['one of fewer parameters', 'ReversePermutation', 'LULinearPermute', 'the layer has no'],
  ])('are not taken for %s', async (_, build, layer, message) => {
    await setBackend('reference', { dtype: 'float64' });
    expect(() => compare(libraries.nflows![build]!, named(layer), 'float64')).toThrow(message);
  });

  it('are told from those with another scale, whose every result differs', async () => {
    await setBackend('reference', { dtype: 'float64' });
    const recording = named('AffineCoupling, AffineAdapterSigmoid');
    const errors = compare(
      libraries.memcnn!['AffineCoupling, AffineAdapterNaive']!,
      recording,
      'float64',
    );
    expect(Math.min(...Object.values(errors))).toBeGreaterThan(1e-3);
  });
});
