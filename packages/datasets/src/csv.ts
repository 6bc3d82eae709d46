/**
 * Tables of numbers in CSV and TSV files, by `papaparse`, which who wants this entry installs. Quotes, delimiters in
 * quotes, empty lines and any newline are taken; what is no number is refused with row and column.
 *
 * Left out: compressed files, dates, commas as decimal points, other encodings than UTF-8, and writing.
 */
import { requireBytes, requireOneOf, requireOptions, ValueError } from '@invnet/tensor';
import {
  binaryText,
  type CsvColumn,
  type CsvOptions,
  csvLayout,
  csvOptions,
} from './csv-format.ts';
import type { HostArray } from './host-array.ts';

export type { CsvColumn, CsvOptions } from './csv-format.ts';
export { CsvFormatError } from './csv-format.ts';
export type { CsvRowsOptions } from './csv-rows.ts';
export { csvRows } from './csv-rows.ts';
export type { HostArray } from './host-array.ts';

/** How to read a table into memory. */
export interface ParseCsvOptions extends CsvOptions {
  /** Which columns, in this order. Default: all. */
  readonly columns?: readonly CsvColumn[];
  /** Empty cells, NaN and NA are refused with row and column, `'refuse'`, the default; or become NaN, `'keep'`. */
  readonly missing?: 'refuse' | 'keep';
  /** What messages call the file, such as its path. Default: 'the file'. */
  readonly name?: string;
}

/** A table of numbers. */
export interface CsvTable extends HostArray {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly data: Float64Array;
  /** What the columns are called; their places where there is no header. */
  readonly names: readonly string[];
}

/**
 * Reads a whole table.
 *
 * @param bytes - The file.
 * @throws CsvFormatError for a cell that is no number, with its row and column, rows of other lengths, quotes that do
 * not end, or what is no text. @throws ValueError for wrong arguments, and columns that are not there.
 * @example
 * const { shape, data, names } = parseCsv(await readFile('iris.csv'), {
 *   categories: { species: ['setosa', 'versicolor', 'virginica'] },
 * }); // shape [150, 5]
 */
export function parseCsv(bytes: Uint8Array, options: ParseCsvOptions = {}): CsvTable {
  const op = 'parseCsv';
  requireBytes(op, 'bytes', bytes);
  requireOptions(op, options, [...csvOptions, 'columns', 'missing', 'name']);
  const { columns, missing = 'refuse', name = 'the file' } = options;
  requireOneOf(op, 'missing', missing, ['refuse', 'keep']);
  const layout = csvLayout(op, bytes, name, options);
  const places = columns
    ? layout.places('columns', columns)
    : layout.names.map((_, place) => place);
  if (places.length === 0) throw new ValueError(`${op}: columns are []; expected some.`);
  const records = layout.records(binaryText(bytes.subarray(layout.start)));
  if (records.length === 0) layout.fail('has no rows; expected some below the header.');
  const data = new Float64Array(records.length * places.length);
  let to = 0;
  for (const [row, record] of records.entries()) {
    layout.check(record, row);
    for (const place of places) {
      data[to++] = layout.number(record.cells[place]!, row, place, missing === 'keep');
    }
  }
  const names = places.map((place) => layout.names[place]!);
  return { shape: [records.length, places.length], data, names };
}
