/** The other end of `{ worker }`: what the module of a worker calls, in Node.js and in pages. */

import { InvNetError } from '@invnet/tensor';
import type { WorkerMessage } from './lanes.ts';
import {
  calls,
  type Outcome,
  requireSimulator,
  type SimulationJob,
  type Simulator,
} from './simulator.ts';

/**
 * Makes a simulator answer whoever started this worker.
 *
 * @throws ValueError for what is no simulator. @throws InvNetError outside of workers.
 * @example
 * // simulator.js, started by { worker: () => new Worker(new URL('./simulator.js', import.meta.url)) }
 * serveSimulator(([mass, drag], { random }) => trajectory(mass, drag, random));
 */
export function serveSimulator(simulator: Simulator): void {
  const own = requireSimulator('serveSimulator', simulator);
  // Of Node.js; in a page the worker's global scope is the port.
  const port = globalThis.process?.getBuiltinModule?.('node:worker_threads').parentPort;
  if (!port && typeof globalThis.addEventListener !== 'function') {
    throw new InvNetError(
      'serveSimulator: this is no worker; expected a call in the module of one.',
    );
  }
  const say = (message: WorkerMessage) => {
    if (port) port.postMessage(message);
    else globalThis.postMessage(message);
  };
  const answer = async (job: SimulationJob) => {
    try {
      // Who started the worker watches the time.
      for (const call of calls(own, job, Number.POSITIVE_INFINITY, undefined)) {
        say({ kind: 'outcome', outcome: sendable(await call()) });
      }
    } catch (error) {
      say({ kind: 'error', message: error instanceof Error ? error.message : String(error) });
    }
  };
  if (port) port.on('message', answer);
  else globalThis.addEventListener('message', ({ data }) => answer(data));
  say({ kind: 'ready' });
}

/** An outcome that can be copied to another thread: causes may be anything. */
function sendable(outcome: Outcome): Outcome {
  return 'x' in outcome ? outcome : { reason: outcome.reason, message: outcome.message };
}
