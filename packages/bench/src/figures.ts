/** Figures of a run, stored and compared with those of another. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import process from 'node:process';
import { formatTable } from './table.ts';

/** One figure, of which less is better, and how far its repeats lay apart. */
export interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 'bytes' | 'KB' | '×';
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** What a stored run holds. */
export interface StoredRun {
  readonly suite: string;
  readonly machine: ReturnType<typeof describeMachine>;
  readonly figures: readonly Figure[];
}

/** Ratio of medians from which a change is told, provided that the new one lies outside the spread. */
const noticeable = 1.05;

/** What the figures were measured on. */
export function describeMachine() {
  return { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
}

/** Writes a report with the machine that it is of. */
export async function saveRun(path: string, report: object): Promise<void> {
  const text = JSON.stringify({ machine: describeMachine(), ...report }, undefined, 2);
  await writeFile(path, `${text}\n`);
}

/** @throws Error unless the file holds a run of this suite. */
export async function loadRun(path: string, suite: string): Promise<StoredRun> {
  let parsed: Partial<StoredRun>;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new Error(`cannot read a run from '${path}': ${(error as Error).message}.`);
  }
  if (parsed.suite !== suite || !Array.isArray(parsed.figures) || !parsed.machine) {
    throw new Error(`'${path}' is no stored run of ${suite}; write one with --save.`);
  }
  return parsed as StoredRun;
}

/**
 * Says what changed from an earlier run: slower (or larger) where the median has grown by more than
 * 5 % and beyond all repeats of the earlier run; faster likewise.
 */
export function compareRuns(before: StoredRun, after: readonly Figure[]): string {
  const old = new Map(before.figures.map((f) => [f.name, f]));
  const rows = after.map((f) => {
    const was = old.get(f.name);
    old.delete(f.name);
    if (!was) return [f.name, '—', `${show(f)}`, '—', 'new'];
    const ratio = f.value / was.value;
    let change = '';
    if (ratio > noticeable && f.value > was.high) change = f.unit === 'ms' ? 'SLOWER' : 'LARGER';
    if (ratio < 1 / noticeable && f.value < was.low)
      change = f.unit === 'ms' ? 'faster' : 'smaller';
    return [f.name, show(was), show(f), ratio.toFixed(2), change];
  });
  for (const gone of old.values()) rows.push([gone.name, show(gone), '—', '—', 'gone']);
  const here = describeMachine();
  const other = before.machine.cpu !== here.cpu || before.machine.node !== here.node;
  return [
    'Compared with the stored run' +
      (other
        ? `, which is of another machine (${before.machine.cpu}, ${before.machine.node})`
        : ''),
    '',
    formatTable(['figure', 'before', 'now', 'ratio', ''], rows),
  ].join('\n');
}

function show({ value, unit }: Figure): string {
  return unit === 'bytes' ? `${(value / 2 ** 20).toFixed(2)} MiB` : `${value.toFixed(2)} ${unit}`;
}
