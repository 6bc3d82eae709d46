/**
 * The form of CSV and TSV files: what reading whole tables and reading rows share. `papaparse` takes text apart into
 * records, and knows of quotes; what a table of numbers is, and where in the file a record lies, is here.
 *
 * Text is taken apart with a character for each byte, so that places in it are places in the file: delimiters, quotes
 * and digits are ASCII. Only names and texts are decoded as UTF-8.
 */
import {
  formatValue,
  InvNetError,
  requireBoolean,
  requireList,
  requireRecord,
  ValueError,
} from '@invnet/tensor';
import Papa from 'papaparse';
import { isGzip } from './gunzip.ts';

/** A file is no table of numbers, with row and column of what is none. */
export class CsvFormatError extends InvNetError {
  override name = 'CsvFormatError';
}

/** How a table is written. */
export interface CsvOptions {
  /** Default: a tab for files whose names end in .tsv or .tab, else a comma. */
  readonly delimiter?: string;
  /** Does the first row name the columns? Default: true; a first row of numbers alone is refused then, unless asked for. */
  readonly header?: boolean;
  /**
   * For columns of text, by name, or by place where there is no header: what may stand there. The first text becomes
   * 0, the next 1, and so on.
   */
  readonly categories?: Readonly<Record<string, readonly string[]>>;
}

/** The names of `CsvOptions`. */
export const csvOptions = ['delimiter', 'header', 'categories'];

/** A column, by name or by place from 0. */
export type CsvColumn = string | number;

/** Bytes that are read and taken apart at a time; more where a record is longer. */
export const CHUNK_BYTES = 2 ** 20;
/** Longest record. Without a limit a quote that is never closed would take all of the file. */
const MOST_RECORD_BYTES = 2 ** 26;

/** A record, and the place behind it in its text. */
export interface CsvRecord {
  readonly cells: readonly string[];
  readonly end: number;
}

/** What the start of a file says. */
export interface CsvLayout {
  /** Of columns; places where there is no header. */
  readonly names: readonly string[];
  /** Where rows start, in bytes. */
  readonly start: number;
  /** The records of text. The last one may be a part of a record. */
  records(text: string): CsvRecord[];
  /** Where columns are, in the order asked for. */
  places(name: string, columns: readonly CsvColumn[]): number[];
  /** The number of a cell; NaN where one is missing, if `missing` may be. @throws CsvFormatError */
  number(cell: string, row: number, place: number, missing: boolean): number;
  /** @throws CsvFormatError unless the record has as many cells as there are columns. */
  check(record: CsvRecord, row: number): void;
  fail(message: string, cause?: unknown): never;
}

/**
 * @param head - The first bytes of the file, `CHUNK_BYTES` of it or all.
 * @param name - What messages call the file.
 */
export function csvLayout(
  op: string,
  head: Uint8Array,
  name: string,
  options: CsvOptions,
): CsvLayout {
  const fail = (message: string, cause?: unknown): never => {
    throw new CsvFormatError(`${op}: ${name} ${message}`, { cause });
  };
  const { delimiter = /\.(tsv|tab)$/i.test(name) ? '\t' : ',', header, categories = {} } = options;
  if (typeof delimiter !== 'string' || !/^[^"\r\n\w.+-]$/.test(delimiter)) {
    throw new ValueError(
      `${op}: delimiter is ${formatValue(delimiter)}; expected one character, such as ',' or '\\t'.`,
    );
  }
  if (header !== undefined) requireBoolean(op, 'header', header);
  requireCategories(op, categories);
  if (head.length === 0) fail('is empty; expected rows of numbers.');
  const starts = (...mark: number[]) => mark.every((byte, i) => head[i] === byte);
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff)) fail('is text in UTF-16; expected UTF-8.');
  if (isGzip(head)) fail('is compressed with gzip; decompress it first.');
  const text = binaryText(head);
  if (text.includes('\0')) {
    fail(`is no text: it starts with ${formatValue(text.slice(0, 8))}; expected rows of numbers.`);
  }
  const mark = starts(0xef, 0xbb, 0xbf) ? 3 : 0;
  const newline = text.includes('\r\n') ? '\r\n' : text.includes('\n') ? '\n' : '\r';
  const records = (part: string) => recordsOf(part, delimiter, newline, fail);
  const [first] = recordsOf(text.slice(mark), delimiter, newline, fail, 1);
  if (!first) return fail('is empty; expected rows of numbers.');
  const numeric = first.cells.every((cell) => numberForm.test(cell.trim()));
  if (numeric && header === undefined) {
    fail(
      'starts with a row of numbers; expected the names of columns. Say header: false where there are none, ' +
        'and header: true where these are names.',
    );
  }
  const named = header !== false;
  const names = first.cells.map((cell, i) => (named ? decoded(cell).trim() : String(i)));
  for (const column of Object.keys(categories)) {
    if (!names.includes(column)) throw unknownColumn(op, 'categories', column, names);
  }
  return {
    names,
    start: named ? mark + first.end : mark,
    records,
    fail,
    places(what, columns) {
      requireList(op, what, columns, 'a list of columns, by name or by place');
      return columns.map((column) => {
        const place = typeof column === 'number' ? column : names.indexOf(column);
        if (names[place] === undefined) throw unknownColumn(op, what, column, names);
        if (typeof column === 'string' && names.indexOf(column, place + 1) >= 0) {
          throw new ValueError(
            `${op}: two columns are called ${formatValue(column)}; choose by place, from 0.`,
          );
        }
        return place;
      });
    },
    check({ cells }, row) {
      if (cells.length === names.length) return;
      fail(
        `has ${cells.length} cells in row ${row} (from 0, aside from the header); expected ${names.length}, ` +
          `between which stands ${formatValue(delimiter)}.`,
      );
    },
    number(cell, row, place, missing) {
      const column = names[place]!;
      const texts = Object.hasOwn(categories, column) ? categories[column] : undefined;
      const value = texts ? categoryOf(cell, texts) : numberOf(cell);
      if (Number.isFinite(value) || (missing && Number.isNaN(value))) return value!;
      const where = `in row ${row}, column ${formatValue(column)} (rows from 0, aside from the header)`;
      const came = `has ${formatValue(decoded(cell))} ${where}`;
      if (Number.isNaN(value)) return fail(`${came}, where a number is missing.`);
      if (value !== undefined) return fail(`${came}; expected finite numbers.`);
      return fail(
        texts
          ? `${came}, which is none of its categories.`
          : `${came}; expected a number. ${names.length === 1 ? `Is ${formatValue(delimiter)} the delimiter? ` : ''}` +
              'Leave the column out, or give what may stand there as categories.',
      );
    },
  };
}

/** Bytes as text of as many characters. */
export function binaryText(bytes: Uint8Array): string {
  return new TextDecoder(oneByte).decode(bytes);
}

/** An encoding in which each byte is a character, and ASCII is itself. */
const oneByte = 'latin1';

/** A part of a record that goes on in the next part of the file. @throws CsvFormatError where it is too long. */
export function restOfRecord(layout: CsvLayout, text: string): string {
  if (text.length <= MOST_RECORD_BYTES) return text;
  return layout.fail(
    `has a record of more than ${MOST_RECORD_BYTES} bytes; is there a quote that is not closed?`,
  );
}

function recordsOf(
  text: string,
  delimiter: string,
  newline: '\r\n' | '\n' | '\r',
  fail: CsvLayout['fail'],
  preview = 0,
): CsvRecord[] {
  const records: CsvRecord[] = [];
  let broken: Papa.ParseError | undefined;
  Papa.parse<string[]>(text, {
    delimiter,
    newline,
    preview,
    step({ data, errors, meta }) {
      // A quote that is open at the end of the text may be closed by what follows it.
      broken ??= errors.find(({ code }) => code === 'InvalidQuotes');
      if (data.length > 1 || data[0]?.trim()) records.push({ cells: data, end: meta.cursor });
    },
  });
  if (broken && preview === 0) fail(`has quotes that do not end well: ${broken.message}.`);
  return records;
}

const numberForm = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** As NumPy, R, pandas and spreadsheets write it. */
const missingForm = /^(|[+-]?nan|na|n\/a|null|none|\?)$/i;

/** NaN where a number is missing, nothing where there is something else. */
function numberOf(cell: string): number | undefined {
  const text = cell.trim();
  if (numberForm.test(text)) return Number(text);
  if (missingForm.test(text)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/i.test(text)) return Number.POSITIVE_INFINITY;
  return undefined;
}

/** NaN where a text is missing, nothing where it is none of those. */
function categoryOf(cell: string, texts: readonly string[]): number | undefined {
  const text = decoded(cell).trim();
  const place = texts.indexOf(text);
  if (place >= 0) return place;
  return missingForm.test(text) ? Number.NaN : undefined;
}

/** What text of one character a byte says in UTF-8. */
function decoded(binary: string): string {
  // Which bytes characters stand for: decoders do not agree on those from 0x80 to 0x9f.
  const characters = binaryText(Uint8Array.from({ length: 256 }, (_, byte) => byte));
  return new TextDecoder().decode(Uint8Array.from(binary, (char) => characters.indexOf(char)));
}

function unknownColumn(op: string, what: string, column: CsvColumn, names: readonly string[]) {
  const known = names.length > 12 ? [...names.slice(0, 12), '…'] : names;
  return new ValueError(
    `${op}: ${what} has the column ${formatValue(column)}, which is not there; expected some of ${known.join(', ')}.`,
  );
}

function requireCategories(op: string, categories: CsvOptions['categories']): void {
  requireRecord(op, 'categories', categories, 'lists of texts by column');
  for (const texts of Object.values<readonly string[]>({ ...categories })) {
    if (
      Array.isArray(texts) &&
      Array.from<unknown>(texts).every((text) => typeof text === 'string')
    )
      continue;
    throw new ValueError(`${op}: categories hold ${formatValue(texts)}; expected lists of texts.`);
  }
}
