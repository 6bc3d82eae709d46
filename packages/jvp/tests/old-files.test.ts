/**
 * Files of weights alone, which version 0.0 of the library wrote before files were whole models, with what
 * the networks computed then (files/expected.json).
 */
import { readFileSync } from 'node:fs';
import { isInitialized } from '@invnet/layers';
import { setBackend } from '@invnet/tensor';
import { CheckpointError, modelFromBytes, restoreCheckpoint } from '@invnet/train';
import { beforeEach, describe, expect, it } from 'vitest';
import { contextOf, inputOf, rows } from './rows.ts';

const read = (name: string) => readFileSync(new URL(`files/${name}`, import.meta.url));
const expected: { row: string; file: string; y: number[]; logdet: number[] }[] = JSON.parse(
  read('expected.json').toString(),
);

beforeEach(() => setBackend('wasm'));

describe.each(expected)('$row, saved before', ({ row: name, file, y, logdet }) => {
  it('computes what it computed', async () => {
    const row = rows.find((r) => r.name === name)!;
    const f = row.make();
    restoreCheckpoint(read(file), f);
    expect(isInitialized(f)).toBe(true);
    const result = f.forward(inputOf(row), contextOf(row));
    const found = [[...(await result.y.data())], [...(await result.logdet.data())]];
    // A machine with other instructions may round otherwise.
    for (const [i, values] of [y, logdet].entries()) {
      values.forEach((v, k) => {
        expect(found[i]![k]).toBeCloseTo(v, 4);
      });
    }
    expect(() => modelFromBytes(read(file), { modules: [] })).toThrow(CheckpointError);
  });
});
