/**
 * The program of a process in which operations of ours, of the machine or of jax-js run: see process.ts.
 * Called with what to serve, and what that takes.
 */

import process from 'node:process';
import { createInterface } from 'node:readline';
import { setBackend } from '@invnet/tensor';
import { timing } from '../contest.ts';
import { makeOwnBackend } from '../own-backends.ts';
import { peakOperation, vectors } from '../peak.ts';
import { profileTraining } from '../profile.ts';
import {
  type ConvCase,
  caseOperations,
  directions,
  makeConvCase,
  timeDirection,
} from './conv-case.ts';
import { jaxJsGlow } from './jax.ts';
import { makeProblem, ownOperations } from './ours.ts';
import { ownTraining } from './own-network.ts';
import { type Operation, wantedOps } from './peer.ts';
import { readProblem, writeFloats } from './problem-files.ts';
import type { Offered } from './process.ts';

/** Operations, and what else is answered. */
interface Serving {
  readonly operations: readonly Operation[];
  readonly others?: Readonly<Record<string, (rest: string) => Promise<object>>>;
}

const kinds: Readonly<Record<string, (...args: string[]) => Promise<Serving>>> = {
  /** A training step on a backend of ours. */
  training: async (path, backendName, threads) => {
    const backend = await makeOwnBackend(backendName!, Number(threads));
    const problem = await readProblem(path!);
    const operations = await ownTraining(backend, problem);
    return { operations, others: { profile: () => profileTraining(backend, problem) } };
  },
  /** What `bench ops` measures on a backend of ours. */
  ops: async (backendName, threads, channels, side, shapes) => {
    const backend = await makeOwnBackend(backendName!, Number(threads));
    const problem = await makeProblem(backend, { channels: Number(channels), side: Number(side) });
    const operations = await ownOperations(backend, problem, wantedOps);
    const cases: ConvCase[] = JSON.parse(shapes!);
    return { operations: [...operations, ...cases.flatMap(caseOperations)] };
  },
  /** Convolutions of any shape on a backend of ours. */
  cases: async (backendName, threads) => {
    await setBackend(await makeOwnBackend(backendName!, Number(threads)));
    const measure = async (shape: string) => {
      const { compute, dispose } = makeConvCase(JSON.parse(shape));
      const times: Record<string, number> = {};
      for (const direction of directions) {
        times[direction] = await timeDirection(compute[direction]);
      }
      dispose();
      return times;
    };
    return { operations: [], others: { case: measure } };
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
    const [, request, rest] = /^(\w+) ?(.*)$/.exec(line) ?? [];
    try {
      say(await answer(request!, rest!));
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) });
    }
  }

  async function answer(request: string, rest: string): Promise<object> {
    const [i, file] = rest.split(' ');
    if (request === 'result') {
      const arrays = await operations[Number(i)]!.result!();
      await writeFloats(file!, arrays);
      return { lengths: arrays.map((a) => a.length) };
    }
    if (request !== 'run') return others[request]!(rest);
    const { time, run } = operations[Number(i)]!;
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
