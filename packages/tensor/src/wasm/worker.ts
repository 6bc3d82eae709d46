/**
 * The workers' side of the thread pool: the words of the control block, which all threads share, the
 * program that workers run, and how they are started and watched.
 *
 * A worker never returns to its event loop; it ends with the process, or by `terminate`.
 *
 * Left out: the caller's side (threads.ts).
 */
import { BackendError } from '../errors.ts';
import type { Kernels } from './kernels.ts';
import { PARTS_PER_THREAD } from './parts.ts';

/** Kernels that threads run; a job names one by its place. */
export const kernelNames = [
  'accumulate',
  'accumulateRows',
  'adam',
  'addRows',
  'binary',
  'channelAffine',
  'channelAffineBack',
  'channelGradients',
  'channelLogdet',
  'copyRuns',
  'couple',
  'coupleBack',
  'deepProduct',
  'fill',
  'leapfrog',
  'packAhead',
  'permute',
  'power',
  'product',
  'reduce',
  'reflections',
  'reflectionsBack',
  'shiftedProduct',
  'spline',
  'splineBack',
  'sumParts',
  'sumRows',
  'unary',
  'winograd',
  'winogradFilters',
  'winogradGrad',
  'winogradGradBack',
] as const satisfies readonly (keyof Kernels)[];

/** What a job's parts run. */
export type PartKernel = (typeof kernelNames)[number];

/** Most jobs in the queue, a power of two; the caller helps until half of them are done. */
export const JOBS = 32;
/** Bits of a number of parts in a job's ticket. */
export const BITS = 7;
export const MASK = 2 ** BITS - 1;
/** Most threads of a pool, the caller's among them. */
export const MOST_THREADS = Math.floor(MASK / PARTS_PER_THREAD);

/**
 * Words of the control block, those that different threads write in different lines of the cache: how
 * many jobs were queued and how many are done, counted on from 0 and around; how many threads sleep,
 * and what they wait for a change of; what has failed; how many workers have yet to start.
 */
export const QUEUED = 0;
export const DONE = 16;
export const SLEEPERS = 32;
export const PULSE = 33;
export const FAILED = 34;
export const STARTING = 35;
/** Where further modules lie, and of how many bytes, up to a module of none. */
export const EXTENSIONS = 36;
/** What FAILED says: a kernel did, or a thread that ended with a part. */
export const KERNEL_FAILED = 1;
export const THREAD_ENDED = 2;
/** A word of each worker: the number of the job that it has a part of, or is about to take one of. */
const FIRST_WORKER = 48;
const LINE_WORDS = 16;
/**
 * Words of each job: its ticket, how many parts are not finished, and its kernel. The ticket holds the
 * job's number and which parts are left, from one to before another, 7 bits each: who changes either
 * has that part. As one word, it cannot be changed by a thread that has not yet seen a new job. The
 * caller takes parts from the front and workers from the back, so that from one job to the next each
 * meets the same end of the same arrays.
 */
export const FIRST_JOB = FIRST_WORKER + LINE_WORDS * MOST_THREADS;
export const JOB_WORDS = LINE_WORDS;
export const LEFT = 1;
export const KERNEL = 2;
/** Behind the jobs, for each part of each, how many arguments it has, and which (15 at most). */
export const SLOTS = 16;
export const SLOTS_AT = (FIRST_JOB + JOB_WORDS * JOBS) / 2;
/**
 * Checks of a word before a thread goes to sleep, about a tenth of a millisecond: between the
 * operations of a training step threads stay awake.
 */
export const SPINS = 50_000;

/** What a worker is given. */
export interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Native kernels, in place of the module's own. */
  readonly native?: { readonly path: string; readonly build: string } | undefined;
  readonly control: SharedArrayBuffer;
  /** Most parts of a job. */
  readonly mostParts: number;
  /** Where the thread finds the address of its scratch. */
  readonly scratchAt: number;
  /** The worker's own word of the control block. */
  readonly own: number;
}

/** A worker, as the caller sees it. */
export interface PoolWorker {
  /** Its own word of the control block. */
  readonly own: number;
  terminate(): unknown;
  /**
   * Has it ended? Told at once, to a caller that never comes back to its event loop; undefined where
   * the engine does not tell.
   */
  ended(): boolean | undefined;
}

/** The own word of a pool's worker, counted from 1. */
export function wordOf(worker: number): number {
  return FIRST_WORKER + LINE_WORDS * (worker - 1);
}

/**
 * A worker's whole program. It is passed on as text, so it uses nothing from around it; the numbers
 * are the constants above. `next` gives the ticket of the first job that is not done, if it has parts
 * left; a ticket that was read while that job was still not done is its own. A thread says which job it
 * takes from before it takes a part: one that ends must not have a part that nobody knows of. Before it
 * sleeps it looks again, now that whoever changes `done` will wake it. No comments stand in the text, which
 * pages load.
 */
const program = `
const serve = ({ module, memory, native, control, mostParts, scratchAt, own }) => {
  const words = new Int32Array(control);
  const slots = new Float64Array(control);
  let kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  kernels.useScratchAt(scratchAt);
  if (native) {
    const addon = process.getBuiltinModule('node:module').createRequire(process.execPath)(native.path);
    kernels = { ...kernels, ...addon.bind(native.build, new Uint8Array(memory.buffer), scratchAt) };
  }
  const names = ${JSON.stringify(kernelNames)};
  const extensions = () => {
    const found = {};
    for (let i = ${EXTENSIONS}; words[i + 1]; i += 2) {
      const start = words[i] >>> 0;
      const bytes = new Uint8Array(memory.buffer).slice(start, start + words[i + 1]);
      Object.assign(found, new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports);
    }
    return found;
  };
  const at = (done) => ${FIRST_JOB} + ${JOB_WORDS} * (done & ${JOBS - 1});
  const next = (done) => {
    if (done === Atomics.load(words, ${QUEUED})) return -1;
    const ticket = Atomics.load(words, at(done));
    if ((ticket & ${MASK}) >= ((ticket >> ${BITS}) & ${MASK})) return -1;
    return Atomics.load(words, ${DONE}) === done ? ticket : -1;
  };
  Atomics.sub(words, ${STARTING}, 1);
  for (let idle = 0; ; idle++) {
    const done = Atomics.load(words, ${DONE});
    const ticket = next(done);
    if (ticket !== -1) {
      const job = at(done);
      Atomics.store(words, own, done);
      if (Atomics.compareExchange(words, job, ticket, ticket - ${MASK + 1}) !== ticket) {
        Atomics.store(words, own, done - 1);
        continue;
      }
      const part = ((ticket >> ${BITS}) & ${MASK}) - 1;
      const slot = ${SLOTS_AT} + ${SLOTS} * ((done & ${JOBS - 1}) * mostParts + part);
      try {
        const name = names[words[job + ${KERNEL}]];
        if (!kernels[name]) kernels = { ...kernels, ...extensions() };
        kernels[name](...slots.subarray(slot + 1, slot + 1 + slots[slot]));
      } catch {
        Atomics.store(words, ${FAILED}, ${KERNEL_FAILED});
      }
      if (Atomics.sub(words, job + ${LEFT}, 1) === 1) {
        Atomics.add(words, ${DONE}, 1);
        if (Atomics.load(words, ${SLEEPERS}) > 0) {
          Atomics.add(words, ${PULSE}, 1);
          Atomics.notify(words, ${PULSE});
        }
      }
      Atomics.store(words, own, done - 1);
      idle = 0;
    } else if (idle > ${SPINS}) {
      const pulse = Atomics.load(words, ${PULSE});
      Atomics.add(words, ${SLEEPERS}, 1);
      if (Atomics.load(words, ${DONE}) === done && next(done) === -1) {
        Atomics.wait(words, ${PULSE}, pulse);
      }
      Atomics.sub(words, ${SLEEPERS}, 1);
      idle = 0;
    }
  }
};
`;

/** Can threads share memory here, and may this one wait for others? */
export function canUseThreads(): boolean {
  const page = 'document' in globalThis;
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated ?? true;
  return typeof SharedArrayBuffer === 'function' && isolated && !page;
}

/** Starts a worker. `onEnd` is told of its end, if the thread that calls ever hears of it. */
export async function startWorker(
  start: Start,
  onEnd: (error: Error) => void,
): Promise<PoolWorker> {
  const end = (cause: unknown) =>
    onEnd(
      new BackendError(`wasm: a thread ended: ${cause instanceof Error ? cause.message : cause}.`),
    );
  if (typeof process === 'object' && process.versions?.node) {
    // By a variable, so that bundlers for pages leave it alone.
    const name = 'node:worker_threads';
    const { Worker: NodeWorker }: typeof import('node:worker_threads') = await import(
      /* @vite-ignore */ /* webpackIgnore: true */ name
    );
    // Whether the text is taken for a module depends on the process's flags; this works in both.
    const code = `${program} import('${name}').then(({ workerData }) => serve(workerData));`;
    const worker = new NodeWorker(code, { eval: true, workerData: start });
    worker.on('error', end);
    worker.on('exit', (code) => end(`exit code ${code}`));
    // Before it is, nothing is measured, which below would say that it has ended.
    await new Promise((online) => worker.once('online', online));
    // A waiting thread does not keep the process alive.
    worker.unref();
    return {
      own: start.own,
      terminate: () => worker.terminate(),
      ended: () => {
        // Of a thread that has ended, the time that it was idle is −1, or nothing is measured.
        const measured = worker.performance?.eventLoopUtilization();
        return measured && (measured.idle < 0 || measured.active <= 0);
      },
    };
  }
  const code = `${program} onmessage = ({ data }) => serve(data);`;
  const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const worker = new Worker(url);
  // A worker that is not even loaded, as where a policy forbids blob: addresses, has no message.
  worker.onerror = (event) =>
    end(event.message ?? 'the page does not let it start; its policy needs worker-src blob:');
  worker.postMessage(start);
  const terminate = () => {
    worker.terminate();
    URL.revokeObjectURL(url);
  };
  return { own: start.own, terminate, ended: () => undefined };
}
