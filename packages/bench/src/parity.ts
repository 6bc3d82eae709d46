/**
 * Agreement with other libraries: with the same weights, layers here and theirs have the same outputs, log-determinants,
 * inverses and gradients, those by the parameters as well.
 *
 * `peers/parity/record.py` says what they compute, and what our parameters are as functions of theirs. Left out:
 * how fast they are, and whole models, whose files `@invnet/weights` reads.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setBackend } from '@invnet/tensor';
import type { Figure } from './figures.ts';
import { makeOwnBackend } from './own-backends.ts';
import { type Build, type Builds, nameOf } from './parity/case.ts';
import { compare, type Errors, Recording } from './parity/compare.ts';
import { freia } from './parity/freia.ts';
import { memcnn } from './parity/memcnn.ts';
import { nflows } from './parity/nflows.ts';
import { normflows } from './parity/normflows.ts';
import { zuko } from './parity/zuko.ts';
import { scratchFolder } from './scratch.ts';
import { formatTable } from './table.ts';

const program = fileURLToPath(new URL('./peers/parity/record.py', import.meta.url));

/** Layers here by library, and in it by the layer there. */
export const libraries: Readonly<Record<string, Builds>> = {
  FrEIA: freia,
  memcnn,
  nflows,
  normflows,
  zuko,
};

/** Where layers here run: a backend of ours, its precision, and what errors are to stay below. */
const runs = [
  { name: 'wasm', dtype: 'float32', bound: 1e-5, make: () => makeOwnBackend('wasm', 1) },
  { name: 'native', dtype: 'float32', bound: 1e-5, make: () => makeOwnBackend('native', 1) },
  { name: 'reference', dtype: 'float64', bound: 1e-10, make: () => 'reference' as const },
] as const;

/** One layer of a library. */
export interface ParityRow {
  readonly library: string;
  readonly layer: string;
  /** What it is here. */
  readonly here: string;
  /** By the backend; in float32, but for `reference`. */
  readonly errors: Readonly<Record<string, Errors>>;
  readonly holds: boolean;
}

interface Missing {
  readonly name: string;
  readonly reason: string;
}

/** What `bench parity` found. */
export interface ParityReport {
  readonly suite: 'parity';
  readonly results: readonly ParityRow[];
  /** Libraries and backends that are not there, and why. */
  readonly missing: readonly Missing[];
  readonly figures: readonly Figure[];
  readonly holds: boolean;
}

/** What `record.py` prints of a library. */
interface Recorded {
  readonly library: string;
  readonly layers: readonly { readonly name: string; readonly file: string }[];
  readonly missing?: string;
}

/** Runs the suite. @throws Error where Python fails, or a layer has no counterpart in `libraries`. */
export async function measureParity(): Promise<ParityReport> {
  const folder = await scratchFolder();
  const recorded = await record(folder);
  const files = recorded.flatMap(({ layers }) => layers.map(({ file }) => join(folder, file)));
  const recordings = await Promise.all(
    files.map(async (file) => new Recording(await readFile(file))),
  );
  requireAll(recorded);
  const { results, missing: backends } = await compareAll(recordings);
  const absent = recorded.flatMap(({ library, missing }) =>
    missing === undefined ? [] : [{ name: library, reason: missing }],
  );
  const missing = [...absent, ...backends];
  return { suite: 'parity', results, missing, figures: [], holds: results.every((r) => r.holds) };
}

/** Rows of recorded layers, on every backend that is there. @throws Error for one that has no counterpart here. */
export async function compareAll(
  recordings: readonly Recording[],
): Promise<Pick<ParityReport, 'results' | 'missing'>> {
  const missing: Missing[] = [];
  const errors = recordings.map((): Record<string, Errors> => ({}));
  for (const { name, dtype, make } of runs) {
    try {
      await setBackend(await make(), { dtype });
    } catch (error) {
      missing.push({ name, reason: error instanceof Error ? error.message : `${error}` });
      continue;
    }
    for (const [i, recording] of recordings.entries()) {
      errors[i]![name] = compareOf(recording, dtype);
    }
  }
  const results = recordings.map((recording, i): ParityRow => {
    const { library, layer } = recording;
    const here = nameOf(buildOf(recording)((name) => recording.numbers(`given.${name}`)));
    const found = errors[i]!;
    const holds = runs.every(({ name, bound }) => !found[name] || worstOf(found[name]) < bound);
    return { library, layer, here, errors: found, holds };
  });
  return { results, missing };
}

/** The report as a table, what does not hold marked and said in full. */
export function describeParity({ results, missing }: ParityReport): string {
  const rows = results.map((r) => [
    r.library,
    r.layer,
    r.here,
    ...runs.map(({ name }) => (r.errors[name] ? worstOf(r.errors[name]).toExponential(1) : '—')),
    r.holds ? '' : '✗',
  ]);
  const header = ['library', 'layer', 'here', ...runs.map((r) => `${r.dtype}, ${r.name}`), ''];
  const broken = results.filter((r) => !r.holds);
  const details = broken.map((r) => {
    const each = Object.entries(r.errors).map(([name, errors]) => `${name} ${said(errors)}`);
    return `✗ ${r.library} ${r.layer}: ${each.join('; ')}`;
  });
  return [
    formatTable(header, rows),
    '',
    `Worst errors |a − b|/(1 + |b|); bounds 1e-5 in float32 and 1e-10 in float64. ` +
      `${results.length - broken.length} of ${results.length} layers hold.`,
    ...details,
    ...missing.map((m) => `${m.name} was left out: ${m.reason}`),
  ].join('\n');
}

/** What Python has recorded; nothing, with the reason, where it has no numbers to record with. */
async function record(folder: string): Promise<readonly Recorded[]> {
  const args = ['-B', '-W', 'ignore', program, folder];
  try {
    const { stdout } = await promisify(execFile)('python3', args, { maxBuffer: 2 ** 24 });
    return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
  } catch (error) {
    const said = error instanceof Error ? error.message.trimEnd().split('\n').at(-1)! : `${error}`;
    if (!/ENOENT|ModuleNotFoundError/.test(said)) throw new Error(`python3 failed: ${said}`);
    return Object.keys(libraries).map((library) => ({ library, layers: [], missing: said }));
  }
}

/** @throws Error where a layer here has nothing to be compared with, though its library is there. */
function requireAll(recorded: readonly Recorded[]): void {
  for (const { library, layers, missing } of recorded) {
    const names = layers.map(({ name }) => name);
    const left = Object.keys(libraries[library] ?? {}).filter((name) => !names.includes(name));
    if (missing === undefined && left.length > 0) {
      throw new Error(`${library} has not recorded ${left.join(', ')}.`);
    }
  }
}

function buildOf({ library, layer }: Recording): Build {
  const build = libraries[library]?.[layer];
  if (!build) throw new Error(`${library} ${layer} is recorded, but has no layer here.`);
  return build;
}

function compareOf(recording: Recording, dtype: 'float32' | 'float64'): Errors {
  try {
    return compare(buildOf(recording), recording, dtype);
  } catch (error) {
    const said = error instanceof Error ? error.message : error;
    throw new Error(`${recording.library} ${recording.layer}: ${said}`);
  }
}

function worstOf(errors: Errors): number {
  return Math.max(...Object.values(errors));
}

function said(errors: Errors): string {
  return Object.entries(errors)
    .map(([name, e]) => `${name} ${e.toExponential(1)}`)
    .join(', ');
}
