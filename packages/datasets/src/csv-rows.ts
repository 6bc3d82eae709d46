/** Rows of CSV and TSV files that are larger than memory. */
import { requireOptions, requireWhole, ValueError } from '@invnet/tensor';
import { blockRows, type RowFileOptions, type RowReader, rowFileOptions } from './block-rows.ts';
import { type ByteFile, type FileLike, openFile, requireFile, withFile } from './byte-file.ts';
import {
  binaryText,
  CHUNK_BYTES,
  type CsvColumn,
  type CsvLayout,
  type CsvOptions,
  type CsvRecord,
  csvLayout,
  csvOptions,
  restOfRecord,
} from './csv-format.ts';
import type { RowSource, Rows } from './rows.ts';

/** Which columns of a table are what, and how it is read. */
export interface CsvRowsOptions extends CsvOptions, RowFileOptions {
  /** The path of a file in Node.js, or a `File`. */
  readonly file: FileLike;
  /** Columns of x. Default: all that are none of the context or the weights. */
  readonly x?: readonly CsvColumn[];
  readonly context?: readonly CsvColumn[];
  readonly weights?: CsvColumn;
}

/**
 * A source of the rows of a table, which may be larger than memory. The file is read once at first, which finds every
 * cell that is no number and where blocks of rows lie; then blocks are read in random order, as `npyRows` of
 * `@invnet/datasets/npy` does. Numbers are float64.
 *
 * Taking text apart is slow: a table that is used in many epochs is better written as an NPY file once.
 *
 * @throws CsvFormatError for a cell that is no number, with its row and column, rows of other lengths, quotes that do
 * not end, or what is no text. @throws InvNetError for a file that cannot be read. @throws ValueError for wrong
 * arguments, and columns that are not there.
 * @example
 * const source = await csvRows({ file: 'simulations.csv', x: ['mass', 'radius'], context: ['flux'] });
 */
export async function csvRows(options: CsvRowsOptions): Promise<RowSource> {
  const op = 'csvRows';
  requireOptions(op, options, [
    ...csvOptions,
    ...rowFileOptions,
    'file',
    'x',
    'context',
    'weights',
  ]);
  const { file } = options;
  requireFile(op, 'file', file);
  const { layout, parts, rows, starts } = await withFile(op, file, async (open) => {
    const head = await open.read(0, Math.min(open.size, CHUNK_BYTES));
    const layout = csvLayout(op, head, open.name, options);
    const parts = partsOf(op, layout, options);
    const rowBytes = 8 * parts.reduce((sum, { places }) => sum + places.length, 0);
    const { blockRows: rows = Math.ceil(2 ** 20 / rowBytes) } = options;
    requireWhole(op, 'blockRows', rows, 1);
    return { layout, parts, rows, starts: await startsOf(open, layout, parts, rows) };
  });
  const open = async (): Promise<RowReader> => {
    const opened = await openFile(op, file);
    return {
      async read(start, end) {
        const block = Math.floor(start / rows);
        const [from, to] = [starts.places[block]!, starts.places[Math.ceil(end / rows)]!];
        const first = start - block * rows;
        const all = layout.records(binaryText(await opened.read(from, to)));
        const records = all.slice(first, first + end - start);
        if (records.length < end - start) {
          layout.fail('has changed since it was opened; expected a file that stays as it is.');
        }
        return numbersOf(layout, parts, records, start);
      },
      close: () => opened.close(),
    };
  };
  const table = { count: starts.count, rowBytes: 1, blockRows: rows, open };
  return blockRows(op, table, { ...options, blockRows: rows });
}

/** Columns that make x, the context or the weights. */
interface Part {
  readonly name: keyof Rows;
  readonly places: readonly number[];
  /** May cells be missing? */
  readonly missing: boolean;
}

function partsOf(op: string, layout: CsvLayout, options: CsvRowsOptions): Part[] {
  const { context, weights, missing } = options;
  const keep = missing === 'keep';
  const others: Part[] = [];
  if (context !== undefined) {
    const places = layout.places('context', context);
    others.push({ name: 'context', places, missing: missing === 'mask' || keep });
  }
  if (weights !== undefined) {
    others.push({ name: 'weights', places: layout.places('weights', [weights]), missing: keep });
  }
  const taken = new Set(others.flatMap(({ places }) => places));
  const all = layout.names.map((_, place) => place).filter((place) => !taken.has(place));
  const x = options.x === undefined ? all : layout.places('x', options.x);
  const parts: Part[] = [{ name: 'x', places: x, missing: keep }, ...others];
  for (const { name, places } of parts) {
    if (places.length > 0) continue;
    throw new ValueError(`${op}: ${name} has no columns; expected some.`);
  }
  return parts;
}

/** Where blocks of rows start in the file, and last where they end; every cell that is used is read. */
async function startsOf(file: ByteFile, layout: CsvLayout, parts: readonly Part[], rows: number) {
  const places: number[] = [];
  let [count, from, text] = [0, layout.start, ''];
  for (let at = layout.start; at < file.size; ) {
    const next = Math.min(file.size, at + CHUNK_BYTES);
    text += binaryText(await file.read(at, next));
    at = next;
    // What ends with the text may go on in the file.
    const records = layout.records(text).filter(({ end }) => at === file.size || end < text.length);
    let start = 0;
    for (const record of records) {
      if (count % rows === 0) places.push(from + start);
      numbersOf(layout, parts, [record], count++);
      start = record.end;
    }
    text = restOfRecord(layout, text.slice(start));
    from += start;
  }
  if (count === 0) layout.fail('has no rows; expected some below the header.');
  return { places: [...places, file.size], count };
}

function numbersOf(
  layout: CsvLayout,
  parts: readonly Part[],
  records: readonly CsvRecord[],
  first: number,
): Rows {
  const arrays = parts.map(({ name, places }) => {
    const data = new Float64Array(records.length * places.length);
    const shape = name === 'weights' ? [records.length] : [records.length, places.length];
    return { shape, data };
  });
  for (const [row, record] of records.entries()) {
    layout.check(record, first + row);
    for (const [part, { places, missing }] of parts.entries()) {
      for (const [i, place] of places.entries()) {
        const value = layout.number(record.cells[place]!, first + row, place, missing);
        arrays[part]!.data[row * places.length + i] = value;
      }
    }
  }
  const named = Object.fromEntries(parts.map(({ name }, part) => [name, arrays[part]!]));
  return { ...named, x: arrays[0]! };
}
