/**
 * Worker threads over the linear memory, woken and joined by atomics. A job is cut into parts, which
 * the caller and the workers take one after the other until none is left: a worker that is asleep, or
 * that the system runs something else instead of, holds nobody up. Which thread takes a part makes no
 * difference to its result. A call is synchronous whatever the threads do.
 *
 * Where the system has other work for the cores, threads that wait for each other are slower than
 * one. So the time that sharing saves is held against the time that waiting costs; when the balance
 * is bad the caller works alone for a while, and for longer each time.
 *
 * A worker never returns to its event loop; it ends with the process, or by `terminate`.
 *
 * Left out: the main thread of a page, which may not wait. There the engine belongs into a worker.
 */
import { BackendError } from '../errors.ts';
import type { Kernels } from './kernels.ts';

/** Kernels that threads run; a job names one by its place. */
const kernelNames = [
  'accumulate',
  'adam',
  'binary',
  'channelAffine',
  'channelAffineBack',
  'copyRuns',
  'couple',
  'coupleBack',
  'deepProduct',
  'packAhead',
  'permute',
  'product',
  'reduce',
  'shiftedProduct',
  'sumParts',
  'sumRows',
  'unary',
  'winograd',
  'winogradFilters',
] as const satisfies readonly (keyof Kernels)[];

/** Most parts of a job for each thread: more than one, so that who is faster takes more. */
export const PARTS_PER_THREAD = 2;

/** What a job's parts run. */
export type PartKernel = (typeof kernelNames)[number];

/** The arguments of the kernel for one part, `ARGUMENTS` at most. */
export type Part = readonly number[];

/**
 * Words of the control block. The ticket holds the job's number and which parts are left, from one to
 * before another, 8 bits each: who changes either has that part. As one word, it cannot be changed by
 * a thread that has not yet seen a new job. The caller takes parts from the front and workers from the
 * back, so that from one job to the next each meets the same end of the same arrays.
 */
const TICKET = 0;
const LEFT = 1;
const KERNEL = 2;
/** Behind them, for each part, how many arguments it has, and which. */
const HEAD_BYTES = 16;
const ARGUMENTS = 14;
const SLOTS = 1 + ARGUMENTS;
/** Most parts of a job, by the bits of the ticket. */
const MAX_PARTS = 254;
/**
 * Checks of a word before a thread goes to sleep, about a tenth of a millisecond: between the
 * operations of a training step threads stay awake.
 */
const SPINS = 50_000;
/** Milliseconds that waiting may cost, on balance, before the caller works alone. */
const PATIENCE = 5;
/** How fast the balance forgets, and the most that it can grow to. */
const MEMORY = 0.97;
const MOST_CREDIT = 10;
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
  /** Where the thread finds the address of its scratch. */
  readonly scratchAt: number;
}

/**
 * A worker's whole program. It is passed on as text, so it uses nothing from around it; the numbers
 * are the constants above.
 */
const program = `
const serve = ({ module, memory, control, scratchAt }) => {
  const words = new Int32Array(control, 0, 3);
  const slots = new Float64Array(control, ${HEAD_BYTES});
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  kernels.useScratchAt(scratchAt);
  const names = ${JSON.stringify(kernelNames)};
  const finish = () => {
    if (Atomics.sub(words, ${LEFT}, 1) === 1) Atomics.notify(words, ${LEFT});
  };
  finish();
  for (;;) {
    const ticket = Atomics.load(words, ${TICKET});
    const part = ((ticket >> 8) & 255) - 1;
    if (part < (ticket & 255)) {
      let i = 0;
      while (i < ${SPINS} && Atomics.load(words, ${TICKET}) === ticket) i++;
      if (i === ${SPINS}) Atomics.wait(words, ${TICKET}, ticket);
    } else if (Atomics.compareExchange(words, ${TICKET}, ticket, ticket - 256) === ticket) {
      const at = ${SLOTS} * part;
      kernels[names[words[${KERNEL}]]](...slots.subarray(at + 1, at + 1 + slots[at]));
      finish();
    }
  }
};
`;

/** Threads that run parts of jobs. */
export class ThreadPool {
  /** Threads in all, the caller's among them. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;
  #job = 0;
  /** Milliseconds that threads have saved lately, less those waited for them. */
  #credit = 0;
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
    this.#words = new Int32Array(control, 0, 3);
    this.#slots = new Float64Array(control, HEAD_BYTES);
    this.#workers = workers;
  }

  /**
   * Starts size − 1 workers, and waits until all of them are ready. `scratchAt` is the first of `size`
   * words, the caller's, in which threads find where their scratch is.
   *
   * @throws BackendError for more than 127 threads, and where a worker cannot start.
   */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    size: number,
    scratchAt: number,
  ): Promise<ThreadPool> {
    const most = MAX_PARTS / PARTS_PER_THREAD;
    if (size > most) {
      throw new BackendError(`wasm: threads is ${size}; expected at most ${most}.`);
    }
    const control = new SharedArrayBuffer(HEAD_BYTES + 8 * SLOTS * PARTS_PER_THREAD * size);
    const words = new Int32Array(control, 0, 3);
    words[LEFT] = size - 1;
    const workers: { terminate(): unknown }[] = [];
    let starting = true;
    const failed = new Promise<never>((_, reject) => {
      for (let index = 1; index < size; index++) {
        startWorker({ module, memory, control, scratchAt: scratchAt + 4 * index }, reject).then((worker) => {
          if (starting) workers.push(worker);
          else worker.terminate();
        }, reject);
      }
    });
    const ready = (async () => {
      // Polled: not every engine has waitAsync, and starting happens once.
      while (starting && Atomics.load(words, LEFT) > 0) {
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

  /** Runs all parts (`PARTS_PER_THREAD` for each thread at most), by `kernels` on this thread and on the workers, and returns when they are done. */
  run(kernel: PartKernel, parts: readonly Part[], kernels: Pick<Kernels, PartKernel>): void {
    const own: (...args: number[]) => void = kernels[kernel];
    const start = performance.now();
    if (start < this.#aloneUntil) {
      for (const part of parts) own(...part);
      return;
    }
    const words = this.#words;
    const slots = this.#slots;
    words[KERNEL] = kernelNames.indexOf(kernel);
    parts.forEach((part, i) => {
      slots[SLOTS * i] = part.length;
      slots.set(part, SLOTS * i + 1);
    });
    Atomics.store(words, LEFT, parts.length);
    this.#job = (this.#job + 1) & 0xffff;
    Atomics.store(words, TICKET, (this.#job << 16) | (parts.length << 8));
    Atomics.notify(words, TICKET);
    let taken = 0;
    for (;;) {
      const ticket = Atomics.load(words, TICKET);
      const next = ticket & 255;
      const part = parts[next];
      if (!part || next >= ((ticket >> 8) & 255)) break;
      if (Atomics.compareExchange(words, TICKET, ticket, ticket + 1) !== ticket) continue;
      own(...part);
      taken += 1;
      Atomics.sub(words, LEFT, 1);
    }
    if (taken === parts.length) return;
    const done = performance.now();
    for (let i = 0; i < SPINS && Atomics.load(words, LEFT) > 0; i++);
    for (let left = Atomics.load(words, LEFT); left > 0; left = Atomics.load(words, LEFT)) {
      Atomics.wait(words, LEFT, left);
    }
    this.#judge(done - start, performance.now() - done);
  }

  /** Weighs the time of a part, which another thread saved this one, against the time waited. */
  #judge(saved: number, waited: number): void {
    this.#credit = Math.min(MOST_CREDIT, MEMORY * this.#credit + saved - waited);
    if (this.#credit < -PATIENCE) {
      this.#credit = 0;
      this.#aloneUntil = performance.now() + this.#penalty;
      this.#penalty = Math.min(MOST_ALONE, 2 * this.#penalty);
    } else {
      this.#penalty = Math.max(LEAST_ALONE, RECOVERY * this.#penalty);
    }
  }

  /** Ends the workers; no job may run. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
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
