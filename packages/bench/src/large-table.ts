/**
 * Training from disk: a flow is fitted to the rows of an NPY file that is larger than the memory it is allowed, in a
 * process whose peak must not grow with the file.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Figure } from './figures.ts';
import { formatTable } from './table.ts';
import { writeTableFile } from './table-file.ts';
import type { TableRun, TableRunOptions } from './table-run.ts';

/** A file of so many rows. */
export interface TableResult extends TableRun {
  readonly rows: number;
  readonly fileBytes: number;
}

/** What `bench table` measured. */
export interface TableReport {
  readonly suite: 'table';
  readonly columns: number;
  readonly threads: number;
  readonly results: readonly TableResult[];
  /** Is the peak of the largest file that of the smallest, to what a garbage collector leaves? */
  readonly flat: boolean;
  readonly figures: readonly Figure[];
}

/** MB that JavaScript's own memory may have; arrays are counted apart. */
const HEAP = 64;
/** Bytes by which peaks may differ: a collector does not run at the same moments twice. */
const SLACK = 48e6;

/** Runs the suite: makes each file, and removes it. */
export async function measureTable(
  options: {
    readonly threads?: number;
    readonly sizes?: readonly number[];
    readonly columns?: number;
  } = {},
): Promise<TableReport> {
  const { threads = 2, sizes = [1e6, 1e7], columns = 8 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'invnet-table-'));
  const results: TableResult[] = [];
  try {
    for (const rows of sizes) {
      const path = join(folder, 'table.npy');
      await writeTableFile(path, { rows, columns, seed: 1 });
      const { size: fileBytes } = await stat(path);
      results.push({ rows, fileBytes, ...(await run({ path, rows, columns, threads })) });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const peaks = results.map(({ peak }) => peak);
  const figures = results.map(({ rows, peak }): Figure => {
    return { name: `peak, ${rows} rows`, unit: 'bytes', value: peak, low: peak, high: peak };
  });
  const flat = peaks.at(-1)! - peaks[0]! < SLACK;
  return { suite: 'table', columns, threads, results, flat, figures };
}

/** The table. */
export function describeTable({ columns, threads, results, flat }: TableReport): string {
  const mega = (n: number) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0);
  const rows = results.map((r) => [
    String(r.rows),
    mega(r.fileBytes),
    mega(r.readRate),
    (r.fitRate / 1e3).toFixed(0),
    mega(r.peak),
    r.loss.toFixed(3),
  ]);
  const header = ['rows', 'file, MB', 'read, 10⁶/s', 'fit, 10³/s', 'peak, MB', 'loss, nats'];
  return [
    `A flow of ${columns} numbers fitted from disk for an epoch, on ${threads} threads; peak of the whole process.`,
    '',
    formatTable(header, rows),
    ...(flat ? [] : ['', 'The peak grows with the file.']),
  ].join('\n');
}

async function run(options: TableRunOptions): Promise<TableRun> {
  const program = fileURLToPath(new URL('./table-run.ts', import.meta.url));
  const args = [`--max-old-space-size=${HEAP}`, program, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}
