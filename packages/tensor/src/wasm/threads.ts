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
 * A worker that ends between parts is missed by nobody: the others take what there is. One that ends
 * with a part leaves numbers half written, so the pool ends with an error, and says so from then on.
 *
 * Left out: what workers run (worker.ts), and the main thread of a page, which may not wait. There the
 * engine belongs into a worker.
 */
import { BackendError } from '../errors.ts';
import type { Kernels } from './kernels.ts';
import { PARTS_PER_THREAD } from './parts.ts';
import {
  BITS,
  DONE,
  EXTENSIONS,
  FAILED,
  FIRST_JOB,
  JOB_WORDS,
  JOBS,
  KERNEL,
  KERNEL_FAILED,
  kernelNames,
  LEFT,
  MASK,
  type PartKernel,
  type PoolWorker,
  PULSE,
  QUEUED,
  SLEEPERS,
  SLOTS,
  SLOTS_AT,
  SPINS,
  STARTING,
  type Start,
  startWorker,
  THREAD_ENDED,
  wordOf,
} from './worker.ts';

/** The arguments of the kernel for one part. */
export type Part = readonly number[];

/**
 * A thread is late that takes longer for its part than that many parts usually take, than so many times what this
 * thread has worked on the same job, and than so many milliseconds. Where cores are merely of different speed, none is.
 */
const LATE_PARTS = 20;
const LATE_TIMES = 2;
const LATE = 1;
/** Milliseconds that being late may cost lately before the caller works alone, and how fast it forgets. */
const PATIENCE = 5;
const MEMORY = 0.97;
/** Milliseconds that the caller works alone after others were late: at first, and at most. */
const LEAST_ALONE = 10;
const MOST_ALONE = 320;
/** How fast they grow less while all is well. */
const RECOVERY = 0.99;
/** Milliseconds that the caller sleeps before it looks whether those that it waits for are still there. */
const LOOK = 100;
/**
 * Where the engine does not tell, a worker is given up that has a part for so many looks, and for so
 * many times as long as any part has taken this thread.
 */
const LOOKS = 600;
const LONGEST_PARTS = 1000;

const failures: Readonly<Record<number, string>> = {
  [KERNEL_FAILED]: 'a kernel has failed',
  [THREAD_ENDED]: 'a thread has ended in the midst of its work',
};

/** A job in the queue, as the caller runs its parts. */
interface Queued {
  readonly run: (...args: number[]) => void;
  readonly parts: readonly Part[];
}

/** Threads that run parts of jobs. */
export class ThreadPool {
  /** Threads that were started, the caller's among them. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;
  readonly #mostParts: number;
  readonly #jobs: (Queued | undefined)[] = new Array<undefined>(JOBS).fill(undefined);
  /** Milliseconds that a part takes this thread as a rule. */
  #usual = 0;
  /** Milliseconds of the longest one. */
  #longest = 0;
  /** The job that this thread had its last part of, and the milliseconds of all its parts of that. */
  #lastJob = -1;
  #ownTime = 0;
  /** Milliseconds lost lately by threads that were late. */
  #lost = 0;
  /** Until when to work alone, 0 for not, and for how long next time. */
  #aloneUntil = 0;
  #penalty = LEAST_ALONE;
  readonly #workers: readonly PoolWorker[];

  private constructor(control: SharedArrayBuffer, workers: readonly PoolWorker[], size: number) {
    this.size = size;
    this.#words = new Int32Array(control);
    this.#slots = new Float64Array(control);
    this.#mostParts = PARTS_PER_THREAD * size;
    this.#workers = workers;
  }

  /**
   * Starts size − 1 workers with what runs in them, and waits until all of them are ready. `scratchAt` is the first
   * of `size` words, the caller's, in which threads find where their scratch is.
   *
   * @throws BackendError where a worker cannot start.
   */
  static async start(
    engine: Pick<Start, 'module' | 'memory' | 'native'>,
    size: number,
    scratchAt: number,
  ): Promise<ThreadPool> {
    const mostParts = PARTS_PER_THREAD * size;
    const control = new SharedArrayBuffer(8 * (SLOTS_AT + SLOTS * JOBS * mostParts));
    const words = new Int32Array(control);
    words[STARTING] = size - 1;
    for (let index = 1; index < size; index++) words[wordOf(index)] = -1;
    const workers: PoolWorker[] = [];
    let starting = true;
    const failed = new Promise<never>((_, reject) => {
      for (let index = 1; index < size; index++) {
        const own = { own: wordOf(index), scratchAt: scratchAt + 4 * index };
        startWorker({ ...engine, control, mostParts, ...own }, reject).then(
          (worker) => {
            if (starting) workers.push(worker);
            else worker.terminate();
          },
          (cause) => reject(new BackendError(`wasm: no thread can start: ${cause}`, { cause })),
        );
      }
    });
    const ready = (async () => {
      // Polled: not every engine has waitAsync, and starting happens once.
      while (starting && (workers.length < size - 1 || Atomics.load(words, STARTING) > 0)) {
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

  /** Threads that there still are, the caller's among them. */
  get running(): number {
    return 1 + this.#workers.filter((worker) => worker.ended() !== true).length;
  }

  /** Jobs that were queued so far, counted around as 32-bit integers are. */
  get queued(): number {
    return this.#words[QUEUED]!;
  }

  /** Says where a module lies whose kernels jobs may name from now on. */
  extend(address: number, bytes: number): void {
    let at = EXTENSIONS;
    while (this.#words[at + 1]) at += 2;
    this.#words[at] = address;
    this.#words[at + 1] = bytes;
  }

  /**
   * Runs all parts (`PARTS_PER_THREAD` for each thread at most) after all jobs before, by `kernels` on
   * this thread and on the workers: sooner or later, but before `join` returns.
   *
   * @throws BackendError where it is known that something has failed, as it is after `join`.
   */
  run<K extends PartKernel>(kernel: K, parts: readonly Part[], kernels: Pick<Kernels, K>): void {
    const run: (...args: number[]) => void = kernels[kernel];
    const words = this.#words;
    this.#check();
    const queued = words[QUEUED]!;
    const empty = Atomics.load(words, DONE) === queued;
    if (
      (empty && parts.length === 1) ||
      (this.#aloneUntil && performance.now() < this.#aloneUntil)
    ) {
      if (!empty) this.join();
      for (const part of parts) this.#call(run, part);
      this.#check();
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
   * @throws BackendError where a kernel has failed, or a worker has ended with a part.
   */
  join(until = this.queued): void {
    if (((until - Atomics.load(this.#words, DONE)) | 0) > 0) this.#help(until);
    this.#check();
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
      this.#call(run, parts[part]!);
      const took = performance.now() - start;
      this.#longest = Math.max(this.#longest, took);
      // This thread has to make room as well, which it would not if it were the only one.
      this.#notice(took, done);
      this.#ownTime = took + (this.#lastJob === done ? this.#ownTime : 0);
      this.#lastJob = done;
      this.#usual += (Math.min(took, 4 * this.#usual + 0.01) - this.#usual) / 16;
      if (Atomics.sub(words, job + LEFT, 1) === 1) {
        Atomics.add(words, DONE, 1);
        this.#wake();
      }
    }
    this.#judge();
  }

  /** Runs a part. The job must come to its end, or no other would ever run; `#check` tells. */
  #call(run: Queued['run'], part: Part): void {
    try {
      run(...part);
    } catch {
      Atomics.store(this.#words, FAILED, KERNEL_FAILED);
    }
  }

  #check(): void {
    const failed = Atomics.load(this.#words, FAILED);
    if (failed === 0) return;
    throw new BackendError(
      `wasm: ${failures[failed]}, and what its memory holds is not known. Call setBackend again.`,
    );
  }

  /** Waits until more than `done` jobs are done. */
  #await(done: number): void {
    const words = this.#words;
    const start = performance.now();
    for (let i = 0; i < SPINS && Atomics.load(words, DONE) === done; i++);
    for (let looks = 0; Atomics.load(words, DONE) === done; ) {
      const pulse = Atomics.load(words, PULSE);
      Atomics.add(words, SLEEPERS, 1);
      const waits = Atomics.load(words, DONE) === done;
      const late = waits && Atomics.wait(words, PULSE, pulse, LOOK) === 'timed-out';
      Atomics.sub(words, SLEEPERS, 1);
      if (late) this.#look(done, ++looks);
    }
    this.#notice(performance.now() - start, done);
  }

  /**
   * Are those still there that have parts of this job? A part may take as long as it takes.
   *
   * @throws BackendError, having ended the others, where one is not.
   */
  #look(done: number, looks: number): void {
    const words = this.#words;
    const silent = looks > Math.max(LOOKS, (LONGEST_PARTS * this.#longest) / LOOK);
    const gone = this.#workers.some(
      (worker) => Atomics.load(words, worker.own) === done && (worker.ended() ?? silent),
    );
    if (!gone || Atomics.load(words, DONE) !== done) return;
    Atomics.store(words, FAILED, THREAD_ENDED);
    this.terminate();
    this.#check();
  }

  /**
   * Takes note of a time that is too long for a part of a job, whether this thread worked or waited. What a job takes
   * is known where this thread had a part of it before.
   */
  #notice(milliseconds: number, job: number): void {
    if (this.#lastJob !== job) return;
    const most = Math.max(LATE, LATE_PARTS * this.#usual, LATE_TIMES * this.#ownTime);
    if (milliseconds > most) this.#lost += milliseconds;
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
