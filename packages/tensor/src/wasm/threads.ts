/**
 * Worker threads over the linear memory, and the queue of jobs that they and the caller share.
 *
 * The caller puts jobs into the queue and goes on; they run one after the other, in order. A job is cut
 * into parts, which threads take one by one until none is left: a worker that is asleep, or that the
 * system runs something else instead of, holds nobody up. When the queue is full, or its results are
 * asked for, the caller takes parts as well. So while workers compute, the caller prepares what comes
 * next. Which thread takes a part makes no difference to its result.
 *
 * Where the system has other work for the cores, threads that wait for each other are slower than
 * one. So the caller watches for parts that take far too long, while which the system has run something
 * else; when that costs too much it works alone for a while, and for longer each time.
 *
 * A worker never returns to its event loop; it ends with the process, or by `terminate`.
 *
 * Left out: the main thread of a page, which may not wait. There the engine belongs into a worker.
 */
import { BackendError } from '../errors.ts';
import type { Kernels } from './kernels.ts';
import { PARTS_PER_THREAD } from './parts.ts';

/** Kernels that threads run; a job names one by its place. */
const kernelNames = [
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
  'packAhead',
  'permute',
  'product',
  'reduce',
  'reflections',
  'reflectionsBack',
  'shiftedProduct',
  'sumParts',
  'sumRows',
  'unary',
  'winograd',
  'winogradFilters',
] as const satisfies readonly (keyof Kernels)[];

/** What a job's parts run. */
export type PartKernel = (typeof kernelNames)[number];

/** The arguments of the kernel for one part, `ARGUMENTS` at most. */
export type Part = readonly number[];

/** Most jobs in the queue, a power of two; the caller helps until half of them are done. */
const JOBS = 32;

/**
 * Words of the control block, those that different threads write in different lines of the cache: how
 * many jobs were queued and how many are done, counted on from 0 and around; how many threads sleep,
 * and what they wait for a change of; did a kernel fail; how many workers have yet to start.
 */
const QUEUED = 0;
const DONE = 16;
const SLEEPERS = 32;
const PULSE = 33;
const FAILED = 34;
const STARTING = 35;
/**
 * Words of each job: its ticket, how many parts are not finished, and its kernel. The ticket holds the
 * job's number and which parts are left, from one to before another, 7 bits each: who changes either
 * has that part. As one word, it cannot be changed by a thread that has not yet seen a new job. The
 * caller takes parts from the front and workers from the back, so that from one job to the next each
 * meets the same end of the same arrays.
 */
const FIRST_JOB = 48;
const JOB_WORDS = 16;
const LEFT = 1;
const KERNEL = 2;
const BITS = 7;
const MASK = 2 ** BITS - 1;
/** Behind the jobs, for each part of each, how many arguments it has, and which. */
const ARGUMENTS = 15;
const SLOTS = 1 + ARGUMENTS;
const SLOTS_AT = (FIRST_JOB + JOB_WORDS * JOBS) / 2;
/**
 * Checks of a word before a thread goes to sleep, about a tenth of a millisecond: between the
 * operations of a training step threads stay awake.
 */
const SPINS = 50_000;
/**
 * A thread is late that takes longer for its part than that many parts usually take, and longer than so
 * many milliseconds.
 */
const LATE_PARTS = 20;
const LATE = 1;
/** Milliseconds that being late may cost lately before the caller works alone, and how fast it forgets. */
const PATIENCE = 5;
const MEMORY = 0.97;
/** Milliseconds that the caller works alone after others were late: at first, and at most. */
const LEAST_ALONE = 10;
const MOST_ALONE = 320;
/** How fast they grow less while all is well. */
const RECOVERY = 0.99;

/** What a worker is given. */
interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** Most parts of a job. */
  readonly mostParts: number;
  /** Where the thread finds the address of its scratch. */
  readonly scratchAt: number;
}

/**
 * A worker's whole program. It is passed on as text, so it uses nothing from around it; the numbers
 * are the constants above. `next` gives the ticket of the first job that is not done, if it has parts
 * left; a ticket that was read while that job was still not done is its own.
 */
const program = `
const serve = ({ module, memory, control, mostParts, scratchAt }) => {
  const words = new Int32Array(control);
  const slots = new Float64Array(control);
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  kernels.useScratchAt(scratchAt);
  const names = ${JSON.stringify(kernelNames)};
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
      if (Atomics.compareExchange(words, job, ticket, ticket - ${MASK + 1}) !== ticket) continue;
      const part = ((ticket >> ${BITS}) & ${MASK}) - 1;
      const slot = ${SLOTS_AT} + ${SLOTS} * ((done & ${JOBS - 1}) * mostParts + part);
      try {
        kernels[names[words[job + ${KERNEL}]]](...slots.subarray(slot + 1, slot + 1 + slots[slot]));
      } catch {
        Atomics.store(words, ${FAILED}, 1);
      }
      if (Atomics.sub(words, job + ${LEFT}, 1) === 1) {
        Atomics.add(words, ${DONE}, 1);
        if (Atomics.load(words, ${SLEEPERS}) > 0) {
          Atomics.add(words, ${PULSE}, 1);
          Atomics.notify(words, ${PULSE});
        }
      }
      idle = 0;
    } else if (idle > ${SPINS}) {
      const pulse = Atomics.load(words, ${PULSE});
      Atomics.add(words, ${SLEEPERS}, 1);
      // Looked at again, now that whoever changes it will wake this thread.
      if (Atomics.load(words, ${DONE}) === done && next(done) === -1) {
        Atomics.wait(words, ${PULSE}, pulse);
      }
      Atomics.sub(words, ${SLEEPERS}, 1);
      idle = 0;
    }
  }
};
`;

/** A job in the queue, as the caller runs its parts. */
interface Queued {
  readonly run: (...args: number[]) => void;
  readonly parts: readonly Part[];
}

/** Threads that run parts of jobs. */
export class ThreadPool {
  /** Threads in all, the caller's among them. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;
  readonly #mostParts: number;
  readonly #jobs: (Queued | undefined)[] = new Array<undefined>(JOBS).fill(undefined);
  /** Milliseconds that a part takes this thread as a rule. */
  #usual = 0;
  /** Milliseconds lost lately by threads that were late. */
  #lost = 0;
  /** Until when to work alone, and for how long next time. */
  #aloneUntil = 0;
  #penalty = LEAST_ALONE;
  readonly #workers: readonly { terminate(): unknown }[];

  private constructor(
    control: SharedArrayBuffer,
    workers: readonly { terminate(): unknown }[],
    size: number,
  ) {
    this.size = size;
    this.#words = new Int32Array(control);
    this.#slots = new Float64Array(control);
    this.#mostParts = PARTS_PER_THREAD * size;
    this.#workers = workers;
  }

  /**
   * Starts size − 1 workers, and waits until all of them are ready. `scratchAt` is the first of `size`
   * words, the caller's, in which threads find where their scratch is.
   *
   * @throws BackendError for more than 31 threads, and where a worker cannot start.
   */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    size: number,
    scratchAt: number,
  ): Promise<ThreadPool> {
    const most = Math.floor(MASK / PARTS_PER_THREAD);
    if (size > most) {
      throw new BackendError(`wasm: threads is ${size}; expected at most ${most}.`);
    }
    const mostParts = PARTS_PER_THREAD * size;
    const control = new SharedArrayBuffer(8 * (SLOTS_AT + SLOTS * JOBS * mostParts));
    const words = new Int32Array(control);
    words[STARTING] = size - 1;
    const workers: { terminate(): unknown }[] = [];
    let starting = true;
    const failed = new Promise<never>((_, reject) => {
      for (let index = 1; index < size; index++) {
        const own = { module, memory, control, mostParts, scratchAt: scratchAt + 4 * index };
        startWorker(own, reject).then((worker) => {
          if (starting) workers.push(worker);
          else worker.terminate();
        }, reject);
      }
    });
    const ready = (async () => {
      // Polled: not every engine has waitAsync, and starting happens once.
      while (starting && Atomics.load(words, STARTING) > 0) {
        await new Promise((done) => setTimeout(done, 1));
      }
    })();
    const pool = new ThreadPool(control, workers, size);
    try {
      await Promise.race([ready, failed]);
    } catch (error) {
      starting = false;
      pool.terminate();
      throw error;
    }
    return pool;
  }

  /** Jobs that were queued so far, counted around as 32-bit integers are. */
  get queued(): number {
    return this.#words[QUEUED]!;
  }

  /**
   * Runs all parts (`PARTS_PER_THREAD` for each thread at most) after all jobs before, by `kernels` on
   * this thread and on the workers: sooner or later, but before `join` returns.
   */
  run(kernel: PartKernel, parts: readonly Part[], kernels: Pick<Kernels, PartKernel>): void {
    const run: (...args: number[]) => void = kernels[kernel];
    const words = this.#words;
    const queued = words[QUEUED]!;
    const empty = Atomics.load(words, DONE) === queued;
    if ((empty && parts.length === 1) || performance.now() < this.#aloneUntil) {
      if (!empty) this.join();
      for (const part of parts) run(...part);
      return;
    }
    if (this.#waiting(queued) === JOBS) this.#help(queued - JOBS / 2);
    const slots = this.#slots;
    const place = queued & (JOBS - 1);
    let slot = SLOTS_AT + SLOTS * this.#mostParts * place;
    for (const part of parts) {
      slots[slot] = part.length;
      for (let i = 0; i < part.length; i++) slots[slot + 1 + i] = part[i]!;
      slot += SLOTS;
    }
    this.#jobs[place] = { run, parts };
    const job = FIRST_JOB + JOB_WORDS * place;
    words[job + KERNEL] = kernelNames.indexOf(kernel);
    Atomics.store(words, job + LEFT, parts.length);
    Atomics.store(words, job, (queued << (2 * BITS)) | (parts.length << BITS));
    Atomics.store(words, QUEUED, queued + 1);
    this.#wake();
  }

  /**
   * Returns when all jobs have run, or those before the one of a number, as `queued` counts.
   *
   * @throws BackendError where a kernel has failed.
   */
  join(until = this.queued): void {
    if (((until - Atomics.load(this.#words, DONE)) | 0) > 0) this.#help(until);
    if (Atomics.load(this.#words, FAILED) !== 0) {
      throw new BackendError(
        'wasm: a kernel has failed, and what its memory holds is not known. Call setBackend again.',
      );
    }
  }

  /** Ends the workers. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
  }

  /** Takes parts of jobs until `until` of them are done. */
  #help(until: number): void {
    const words = this.#words;
    for (;;) {
      const done = Atomics.load(words, DONE);
      if (((until - done) | 0) <= 0) break;
      const place = done & (JOBS - 1);
      const job = FIRST_JOB + JOB_WORDS * place;
      const ticket = Atomics.load(words, job);
      const part = ticket & MASK;
      // As in `next` of the workers' program.
      const mine =
        part < ((ticket >> BITS) & MASK) &&
        Atomics.load(words, DONE) === done &&
        Atomics.compareExchange(words, job, ticket, ticket + 1) === ticket;
      if (!mine) {
        if (part >= ((ticket >> BITS) & MASK)) this.#await(done);
        continue;
      }
      const { run, parts } = this.#jobs[place]!;
      const start = performance.now();
      try {
        run(...parts[part]!);
      } catch {
        // The job must come to its end, or no other would ever run; `join` tells.
        Atomics.store(words, FAILED, 1);
      }
      const took = performance.now() - start;
      // This thread has to make room as well, which it would not if it were the only one.
      this.#notice(took);
      this.#usual += (Math.min(took, 4 * this.#usual + 0.01) - this.#usual) / 16;
      if (Atomics.sub(words, job + LEFT, 1) === 1) {
        Atomics.add(words, DONE, 1);
        this.#wake();
      }
    }
    this.#judge();
  }

  /** Waits until more than `done` jobs are done. */
  #await(done: number): void {
    const words = this.#words;
    const start = performance.now();
    for (let i = 0; i < SPINS && Atomics.load(words, DONE) === done; i++);
    while (Atomics.load(words, DONE) === done) {
      const pulse = Atomics.load(words, PULSE);
      Atomics.add(words, SLEEPERS, 1);
      if (Atomics.load(words, DONE) === done) Atomics.wait(words, PULSE, pulse);
      Atomics.sub(words, SLEEPERS, 1);
    }
    this.#notice(performance.now() - start);
  }

  /** Takes note of a time that is too long for a part, whether this thread worked or waited. */
  #notice(milliseconds: number): void {
    if (milliseconds > Math.max(LATE, LATE_PARTS * this.#usual)) this.#lost += milliseconds;
  }

  #waiting(queued: number): number {
    return (queued - Atomics.load(this.#words, DONE)) | 0;
  }

  #wake(): void {
    if (Atomics.load(this.#words, SLEEPERS) === 0) return;
    Atomics.add(this.#words, PULSE, 1);
    Atomics.notify(this.#words, PULSE);
  }

  /** Decides whether to work alone. */
  #judge(): void {
    this.#lost *= MEMORY;
    if (this.#lost > PATIENCE) {
      this.#lost = 0;
      this.#aloneUntil = performance.now() + this.#penalty;
      this.#penalty = Math.min(MOST_ALONE, 2 * this.#penalty);
    } else {
      this.#penalty = Math.max(LEAST_ALONE, RECOVERY * this.#penalty);
    }
  }
}

/** Can threads share memory here, and may this one wait for others? */
export function canUseThreads(): boolean {
  const page = 'document' in globalThis;
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated ?? true;
  return typeof SharedArrayBuffer === 'function' && isolated && !page;
}

async function startWorker(
  start: Start,
  onError: (error: Error) => void,
): Promise<{ terminate(): unknown }> {
  const fail = (cause: unknown) =>
    onError(
      new BackendError(`wasm: a thread ended: ${cause instanceof Error ? cause.message : cause}.`),
    );
  if (typeof process === 'object' && process.versions?.node) {
    // By a variable, so that bundlers for pages leave it alone.
    const name = 'node:worker_threads';
    const { Worker: NodeWorker }: typeof import('node:worker_threads') = await import(
      /* @vite-ignore */ name
    );
    // Whether the text is taken for a module depends on the process's flags; this works in both.
    const code = `${program} import('${name}').then(({ workerData }) => serve(workerData));`;
    const worker = new NodeWorker(code, { eval: true, workerData: start });
    worker.on('error', fail);
    // A waiting thread does not keep the process alive.
    worker.unref();
    return worker;
  }
  const code = `${program} onmessage = ({ data }) => serve(data);`;
  const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
  const worker = new Worker(url);
  // A worker that is not even loaded, as where a policy forbids blob: addresses, has no message.
  worker.onerror = (event) => fail(event.message ?? 'the page does not let it start');
  worker.postMessage(start);
  return worker;
}
