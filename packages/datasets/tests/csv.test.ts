import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvNetError, ValueError } from '@invnet/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvFormatError, type CsvRowsOptions, csvRows, parseCsv } from '../src/csv.ts';
import type { RowSource } from '../src/rows.ts';
import { CountingBlob } from './counting-blob.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string, options = {}) => {
  const { shape, data, names } = parseCsv(bytes(text), options);
  return { shape, data: Array.from(data), names };
};

describe('parseCsv', () => {
  it.each<[string, string, object, object]>([
    ['a table', 'a,b\n1,2\n3,-4.5e3\n', {}, { shape: [2, 2], data: [1, 2, 3, -4500] }],
    ['no newline at the end', 'a\n.5', {}, { shape: [1, 1], data: [0.5] }],
    [
      'Windows newlines, a byte order mark, spaces and empty lines',
      '\ufeffa,b\r\n 1 , +2\r\n\r\n3.,4\r\n',
      {},
      { shape: [2, 2], data: [1, 2, 3, 4], names: ['a', 'b'] },
    ],
    ['old newlines', 'a,b\r1,2\r', {}, { shape: [1, 2], data: [1, 2] }],
    [
      'quotes around what delimits',
      '"a, ""b""","c\nd"\n"1",2\n',
      {},
      { data: [1, 2], names: ['a, "b"', 'c\nd'] },
    ],
    ['tabs by the name', 'ä\tb\n1\t2\n', { name: 'x.tsv' }, { data: [1, 2], names: ['ä', 'b'] }],
    ['another delimiter', 'a;b\n1;2\n', { delimiter: ';' }, { data: [1, 2] }],
    ['no header', '1,2\n3,4', { header: false }, { data: [1, 2, 3, 4], names: ['0', '1'] }],
    ['a header of numbers', '1,2\n3,4', { header: true }, { data: [3, 4], names: ['1', '2'] }],
    ['some columns', 'a,b,c\n1,x,3', { columns: ['c', 0] }, { data: [3, 1], names: ['c', 'a'] }],
    [
      'categories',
      'a,kind\n1,größer\n2,kleiner',
      { categories: { kind: ['kleiner', 'größer'] } },
      { data: [1, 1, 2, 0] },
    ],
    [
      'what is missing, when asked',
      'a,b,c\n,NA,nan\n1,2,3',
      { missing: 'keep' },
      { data: [Number.NaN, Number.NaN, Number.NaN, 1, 2, 3] },
    ],
  ])('reads %s', (_, text, options, expected) => {
    expect(parse(text, options)).toMatchObject(expected);
  });

  it.each<[string, string, object, RegExp]>([
    [
      'text',
      'a,species\n1,2\n3,setosa\n',
      {},
      /has 'setosa' in row 1, column 'species' .*; expected a number\. .*as categories/,
    ],
    ['a missing cell', 'a,b\n1,\n', {}, /has '' in row 0, column 'b' .* a number is missing/],
    ['NaN', 'a\n1\nNaN', {}, /has 'NaN' in row 1, column 'a'/],
    ['infinity', 'a\n-inf', { missing: 'keep' }, /has '-inf' in row 0, .*finite numbers/],
    ['hexadecimal', 'a\n0x10', {}, /'0x10'/],
    ['decimal commas', 'a;b\n1,5;2', { delimiter: ';' }, /'1,5' in row 0/],
    ['another category', 'a\nz', { categories: { a: ['x'] } }, /'z' .*none of its categories/],
    ['rows of other lengths', 'a,b\n1,2\n1,2,3', {}, /has 3 cells in row 1 .*expected 2.*','/],
    ['a quote that does not end', 'a,b\n"1,2\n3,4', {}, /row 0|quotes/],
    ['no header', '1,2\n3,4', {}, /starts with a row of numbers.*header: false/],
    ['no rows', 'a,b\n', {}, /has no rows/],
    ['nothing', '', {}, /x\.csv is empty/],
    ['another delimiter', 'a;b\n1;2', {}, /'1;2' in row 0, column 'a;b' .*Is ',' the delimiter\?/],
    ['what is no text', 'PK\0\0\0', {}, /is no text: it starts with 'PK/],
  ])('refuses %s', (_, text, options, message) => {
    const read = () => parse(text, { name: 'x.csv', ...options });
    expect(read).toThrow(CsvFormatError);
    expect(read).toThrow(message);
  });

  it('refuses arguments that are none', () => {
    expect(() => parse('a\n1', { columns: ['b'] })).toThrow(
      /column 'b', which is not .*some of a\./,
    );
    expect(() => parse('a\n1', { columns: [1] })).toThrow(ValueError);
    expect(() => parse('a\n1', { columns: [] })).toThrow(/columns are \[\]/);
    expect(() => parse('a,a\n1,2', { columns: ['a'] })).toThrow(/two columns are called 'a'/);
    expect(() => parse('a\n1', { delimiter: ',,' })).toThrow(/delimiter is ',,'/);
    expect(() => parse('a\n1', { categories: { b: [] } })).toThrow(/categories has the column 'b'/);
    expect(() => parse('a\n1', { missing: 'drop' })).toThrow(/missing is 'drop'/);
    expect(() => parseCsv(Uint8Array.of(0xff, 0xfe, 65, 0))).toThrow(/UTF-16/);
    expect(() => parseCsv(Uint8Array.of(0x1f, 0x8b, 8, 0))).toThrow(/compressed with gzip/);
  });
});

describe('csvRows', () => {
  const stored = async (source: RowSource) => {
    const rows: number[][] = [];
    const options = { batchSize: 3, seed: 1, epoch: 0, shuffle: false };
    for await (const { x, context, weights } of source.batches(options)) {
      const [d, c] = [x.shape[1]!, context?.shape[1] ?? 0];
      for (let i = 0; i < x.shape[0]!; i++) {
        const row = x.data.subarray(i * d, (i + 1) * d);
        const of = context?.data.subarray(i * c, (i + 1) * c) ?? [];
        rows.push([...row, ...of, ...(weights ? [weights.data[i]!] : [])]);
      }
    }
    return rows;
  };

  it('reads the same as parseCsv, wherever blocks and quotes fall', async () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map(String);
    const cell = fc.oneof(
      number,
      number.map((text) => `"${text}"`),
      fc.constant('"\n 7"'),
    );
    const table = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 30 });
    const property = fc.asyncProperty(
      table,
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom('\n', '\r\n'),
      async (cells, blockRows, newline) => {
        const text = [['é', 'b'], ...cells].map((row) => row.join(',')).join(newline);
        const table = parseCsv(bytes(text));
        const source = await csvRows({ file: new Blob([text]), blockRows });
        expect([source.count, source.shapes]).toEqual([cells.length, { x: [2] }]);
        expect((await stored(source)).flat()).toEqual(Array.from(table.data));
        const shuffled: number[] = [];
        for await (const { x } of source.batches({ batchSize: 4, seed: 1, epoch: 0 })) {
          shuffled.push(...x.data);
        }
        const sorted = (numbers: ArrayLike<number>) => Float64Array.from(numbers).sort();
        expect(sorted(shuffled)).toEqual(sorted(table.data));
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  it('chooses columns, and masks what contexts lack when asked', async () => {
    const text = 'w,a,b,c\n1,2,3,4\n5,6,,8\n';
    const read = async (options: Partial<CsvRowsOptions>) =>
      stored(await csvRows({ file: new Blob([text]), ...options }));
    const asked = { context: ['b'], weights: 'w', missing: 'mask' } as const;
    expect(await read(asked)).toEqual([
      [2, 4, 3, 1, 1],
      [6, 8, 0, 0, 5],
    ]);
    expect(await read({ x: ['c', 1] })).toEqual([
      [4, 2],
      [8, 6],
    ]);
    expect(await read({ x: ['b'], missing: 'keep' })).toEqual([[3], [Number.NaN]]);
    for (const range of [
      [0, 1],
      [1, 2],
    ] as const) {
      const whole = await read({ x: ['a'] });
      for (const blockRows of [1, 2]) {
        expect(await read({ x: ['a'], range, blockRows })).toEqual(whole.slice(...range));
      }
    }
    await expect(read({ context: ['b'] })).rejects.toThrow(/'' in row 1, column 'b'/);
    await expect(read({})).rejects.toThrow(/csvRows: .*'' in row 1, column 'b'/);
    await expect(read({ x: [] })).rejects.toThrow(/x has no columns/);
  });

  it('holds a part of the file at a time, and finds what is wrong at once', async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `${i},"${String(2 * i).padStart(60)}"`);
    const file = new CountingBlob([['a,b', ...lines].join('\n')]);
    const [blockRows, windowBlocks] = [1000, 2];
    const source = await csvRows({ file, blockRows, windowBlocks });
    expect(file.sizes.length).toBeGreaterThan(3);
    expect(Math.max(...file.sizes)).toBeLessThanOrEqual(2 ** 20);
    const opened = file.read;
    let given = 0;
    for await (const { x } of source.batches({ batchSize: 500, seed: 1, epoch: 0 })) {
      expect(x.data.every((value, i) => i % 2 === 0 || value === 2 * x.data[i - 1]!)).toBe(true);
      given += x.shape[0]!;
      // A row is 69 bytes at most.
      expect(file.read - opened).toBeLessThan(69 * (given + (windowBlocks + 1) * blockRows));
    }
    expect(given).toBe(lines.length);
    const wrong = new Blob([['a,b', ...lines, '1,x'].join('\n')]);
    await expect(csvRows({ file: wrong })).rejects.toThrow(/'x' in row 30000, column 'b'/);
  });

  it('reads paths, and says which file is wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'invnet-csv-'));
    try {
      const file = join(folder, 'x.tsv');
      await writeFile(file, 'a\tb\n1\t2\n3\t4\n');
      const source = await csvRows({ file });
      expect(await stored(source)).toEqual([
        [1, 2],
        [3, 4],
      ]);
      await writeFile(file, 'a\tb\n1\t2\n\n\n\n\n');
      await expect(stored(source)).rejects.toThrow(/x\.tsv (has changed|ends before)/);
      await expect(csvRows({ file: join(folder, 'y.csv') })).rejects.toThrow(InvNetError);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
