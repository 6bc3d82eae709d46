import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNpy } from '@invnet/datasets/npy';
import { expect, test } from 'vitest';
import { describeTable, measureTable } from '../src/large-table.ts';
import { writeTableFile } from '../src/table-file.ts';

test('a file follows from its seed, whatever its blocks', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'invnet-table-'));
  const path = join(folder, 'table.npy');
  const made = async (rows: number, seed: number) => {
    await writeTableFile(path, { rows, columns: 2, seed });
    return parseNpy(await readFile(path));
  };
  try {
    const { shape, data } = await made(70_000, 1);
    expect(shape).toEqual([70_000, 2]);
    expect(await made(70_000, 1)).toEqual({ shape, data });
    expect((await made(70_000, 2)).data).not.toEqual(data);
    const first = Array.from(data, Number).filter((_, i) => i % 2 === 0);
    expect(Math.abs(first.reduce((a, b) => a + b)) / first.length).toBeLessThan(0.02);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a flow is fitted from files of any size in a process of its own', async () => {
  const report = await measureTable({ threads: 1, sizes: [1000, 2000], columns: 2 });
  expect(report.results.map(({ rows, fileBytes }) => [rows, fileBytes])).toEqual([
    [1000, 8128],
    [2000, 16128],
  ]);
  for (const { loss, readRate, peak } of report.results) {
    expect(loss).toBeLessThan(4);
    expect(Math.min(readRate, peak)).toBeGreaterThan(0);
  }
  expect(report.flat).toBe(true);
  expect(describeTable(report).split('\n').length).toBe(6);
  expect(describeTable({ ...report, flat: false })).toMatch(/The peak grows with the file/);
});
