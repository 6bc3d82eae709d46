/**
 * The program of a process in which operations of ours, of the machine or of jax-js run: see process.ts.
 * Called with what to serve, and what that takes.
 */

import process from 'node:process';
import { createInterface } from 'node:readline';
import { timing } from '../contest.ts';
import { makeOwnBackend } from '../own-backends.ts';
import { peakOperation, vectors } from '../peak.ts';
import { profileTraining } from '../profile.ts';
import { jaxJsGlow } from './jax.ts';
import { ownTraining } from './own-network.ts';
import type { Operation } from './peer.ts';
import { readProblem, writeFloats } from './problem-files.ts';
import type { Offered } from './process.ts';

/** Operations, and what else is answered. */
interface Serving {
  readonly operations: readonly Operation[];
  readonly others?: Readonly<Record<string, () => Promise<object>>>;
}

const kinds: Readonly<Record<string, (...args: string[]) => Promise<Serving>>> = {
  /** A training step on a backend of ours. */
  training: async (path, backendName, threads) => {
    const backend = await makeOwnBackend(backendName!, Number(threads));
    const problem = await readProblem(path!);
    const operations = await ownTraining(backend, problem);
    return { operations, others: { profile: () => profileTraining(backend, problem) } };
  },
  /** The multiply-add peak of as many threads, in vectors as a backend of ours has them. */
  peak: async (backendName, threads) => {
    // Which has the engine make such vectors from then on.
    await makeOwnBackend(backendName!, 1);
    const { bits } = vectors.find(({ backend }) => backend === backendName)!;
    return { operations: [await peakOperation(Number(threads), bits)] };
  },
  jax: async (path) => ({ operations: [await jaxJsGlow(await readProblem(path!))] }),
};

async function main([kind, ...args]: readonly string[]): Promise<void> {
  const { operations, others = {} } = await kinds[kind!]!(...args);
  // What is compiled when it first runs is part of loading.
  for (const { run } of operations) await run();
  say(operations.map(({ name, result }): Offered => ({ name, compared: result !== undefined })));
  for await (const line of createInterface({ input: process.stdin })) {
    const [, request, i, file] = /^(\w+)(?: (\d+))?(?: (.*))?$/.exec(line) ?? [];
    try {
      say(await answer(request!, Number(i), file));
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) });
    }
  }

  async function answer(request: string, i: number, file: string | undefined): Promise<object> {
    if (request === 'result') {
      const arrays = await operations[i]!.result!();
      await writeFloats(file!, arrays);
      return { lengths: arrays.map((a) => a.length) };
    }
    if (request !== 'run') return others[request]!();
    const { time, run } = operations[i]!;
    return { milliseconds: await (time ?? timing(run))() };
  }
}

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

await main(process.argv.slice(2)).catch((error) => {
  say({ error: error instanceof Error ? error.message : String(error) });
});
process.exit();
