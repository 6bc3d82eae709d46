/** An example as a command: flags, backend, Ctrl-C, errors and exit codes, around what it does. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import '@invnet/native';
import '@invnet/tensor/gpu';
import { InvNetError, setBackend } from '@invnet/tensor';
import type { Flags } from './flags.ts';
import { type App, helpOf, type NoFlags, type Options, parseOptions } from './options.ts';
import { checkpointPath } from './run.ts';

/** What an example starts from. */
export interface Started<C extends Flags, F extends Flags> {
  readonly options: Options<C, F>;
  /** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
}

/** A signal asked the program to stop. */
class Interrupted extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super('interrupted');
    this.exitCode = exitCode;
  }
}

/**
 * Runs an example by the arguments of this process. Errors that a user can act on are one line on stderr
 * and exit code 1; a program that was stopped says how to go on.
 *
 * @example await program(app, async ({ options, signal }) => { … });
 */
export async function program<C extends Flags, F extends Flags = NoFlags>(
  app: App<C, F>,
  main: (started: Started<C, F>) => Promise<void>,
): Promise<void> {
  let out: string | undefined;
  try {
    const options = parseOptions(app, process.argv.slice(2));
    if (!options) {
      console.log(helpOf(app));
      return;
    }
    out = options.out;
    const { backend, threads } = options;
    await setBackend(backend, { threads, wide: true });
    await main({ options, signal: stopSignal() });
  } catch (error) {
    process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
    if (!(error instanceof Interrupted)) console.error(describe(error));
    else if (
      out !== undefined &&
      existsSync(app.goesOnFrom ? join(out, app.goesOnFrom) : checkpointPath(out))
    ) {
      console.error(`To go on: npx -y pnpm@12 app ${app.name} --resume --out ${out}`);
    }
  }
}

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new Interrupted(130)));
  process.once('SIGTERM', () => controller.abort(new Interrupted(143)));
  return controller.signal;
}

/** One line for what a user can act on; a stack for what is a mistake of ours. */
function describe(error: unknown): string {
  const known = error instanceof InvNetError || (error instanceof Error && 'code' in error);
  if (known) return `Error: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
