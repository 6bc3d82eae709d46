/** A run's folder: what it was begun with and how long it has learned, in a file that `--resume` goes on from. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EstimatorName } from '@invnet/inference';
import { FlagError, type Options } from 'example-kit';
import { type config, type flags, runFile } from './app.ts';

/** What the command line says. */
export type Started = Options<typeof config, typeof flags>;

/** What is known of a run beside its models. */
export interface Run {
  readonly config: Started['config'];
  /** Of training, of all starts together. */
  readonly seconds: { [name in EstimatorName]?: number };
}

/** The run that the command line begins, or that it goes on with. @throws FlagError where they contradict. */
export async function runOf(options: Started): Promise<Run> {
  const { config, given, out, resume, overwrite } = options;
  const path = join(out, runFile);
  if (!resume) {
    if (existsSync(path) && !overwrite) {
      throw new FlagError(
        `${out} has a run; go on with --resume, replace it by --overwrite, or give another --out.`,
      );
    }
    return { config, seconds: {} };
  }
  if (!existsSync(path))
    throw new FlagError(`there is no run in ${out} to go on with; leave --resume out.`);
  const saved: Started['config'] & Partial<Run> = JSON.parse(await readFile(path, 'utf8'));
  const { seconds = {}, ...before } = saved;
  for (const [name, value] of Object.entries(config)) {
    const begun = Object.entries(before).find(([key]) => key === name)?.[1];
    if (given.has(name) && begun !== value) {
      throw new FlagError(`the run in ${out} was begun with another --${name}: ${begun}.`);
    }
  }
  return { config: before, seconds };
}

/** Writes what is known of a run into its folder. */
export async function saveRun(out: string, { config, seconds }: Run): Promise<void> {
  await mkdir(out, { recursive: true });
  const text = JSON.stringify({ ...config, seconds }, undefined, 2);
  await writeFile(join(out, runFile), `${text}\n`);
}
