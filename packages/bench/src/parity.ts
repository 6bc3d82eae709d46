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

/** What errors are to stay below. */
export const bounds = { float32: 1e-5, float64: 1e-10 } as const;

/** One layer of a library. */
export interface ParityRow {
  readonly library: string;
  readonly layer: string;
  /** What it is here. */
  readonly here: string;
  /** On wasm. */
  readonly float32: Errors;
  /** On the reference backend. */
  readonly float64: Errors;
  readonly holds: boolean;
}

/** What `bench parity` found. */
export interface ParityReport {
  readonly suite: 'parity';
  readonly results: readonly ParityRow[];
  /** Libraries that are not there, and why. */
  readonly missing: readonly { readonly library: string; readonly reason: string }[];
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
  const results = await compareAll(recordings);
  const missing = recorded.flatMap(({ library, missing }) =>
    missing === undefined ? [] : [{ library, reason: missing }],
  );
  return { suite: 'parity', results, missing, figures: [], holds: results.every((r) => r.holds) };
}

/** Rows of recorded layers. @throws Error for one that has no counterpart in `libraries`. */
export async function compareAll(recordings: readonly Recording[]): Promise<readonly ParityRow[]> {
  await setBackend('wasm');
  const single = recordings.map((r) => compareOf(r, 'float32'));
  await setBackend('reference', { dtype: 'float64' });
  return recordings.map((recording, i): ParityRow => {
    const { library, layer } = recording;
    const [float32, float64] = [single[i]!, compareOf(recording, 'float64')];
    const holds = worstOf(float32) < bounds.float32 && worstOf(float64) < bounds.float64;
    const here = nameOf(buildOf(recording)((name) => recording.numbers(`given.${name}`)));
    return { library, layer, here, float32, float64, holds };
  });
}

/** The report as a table, what does not hold marked and said in full. */
export function describeParity({ results, missing }: ParityReport): string {
  const rows = results.map((r) => [
    r.library,
    r.layer,
    r.here,
    worstOf(r.float32).toExponential(1),
    worstOf(r.float64).toExponential(1),
    r.holds ? '' : '✗',
  ]);
  const header = ['library', 'layer', 'here', 'float32', 'float64', ''];
  const broken = results.filter((r) => !r.holds);
  const details = broken.map(
    (r) => `✗ ${r.library} ${r.layer}: float32 ${said(r.float32)}; float64 ${said(r.float64)}`,
  );
  return [
    formatTable(header, rows),
    '',
    `Worst errors |a − b|/(1 + |b|); bounds ${bounds.float32} and ${bounds.float64}. ` +
      `${results.length - broken.length} of ${results.length} layers hold.`,
    ...details,
    ...missing.map((m) => `${m.library} was left out: ${m.reason}`),
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

function compareOf(recording: Recording, dtype: keyof typeof bounds): Errors {
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
