/**
 * Worker threads over the linear memory, woken and joined by atomics. The caller takes the first
 * part of a job itself and waits for the others, so a call is synchronous whatever the threads do.
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
  'permute',
  'product',
  'reduce',
  'shiftedProduct',
  'sumParts',
  'unary',
] as const satisfies readonly (keyof Kernels)[];

/** What a job's parts run. */
export type PartKernel = (typeof kernelNames)[number];

/** A thread's arguments of the kernel, `ARGUMENTS` at most. */
export type Part = readonly number[];

/** Words of the control block: the job's number, how many parts are left, the kernel. */
const JOB = 0;
const LEFT = 1;
const KERNEL = 2;
/** Behind them, for each thread, how many arguments its part has (none: no part), and which. */
const HEAD_BYTES = 16;
const ARGUMENTS = 14;
const SLOTS = 1 + ARGUMENTS;
/**
 * Checks of a word before a thread goes to sleep: some tenths of a millisecond. Waking takes one, as
 * long as a small product; between the operations of a training step threads stay awake.
 */
const SPINS = 50_000;

/** What a worker is given. */
interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  readonly index: number;
}

/**
 * A worker's whole program. It is passed on as text, so it uses nothing from around it; the numbers
 * are the constants above.
 */
const program = `
const serve = ({ module, memory, control, index }) => {
  const words = new Int32Array(control, 0, 3);
  const slots = new Float64Array(control, ${HEAD_BYTES} + ${8 * SLOTS} * index, ${SLOTS});
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const names = ${JSON.stringify(kernelNames)};
  let job = 0;
  if (Atomics.sub(words, ${LEFT}, 1) === 1) Atomics.notify(words, ${LEFT});
  for (;;) {
    for (let i = 0; i < ${SPINS} && Atomics.load(words, ${JOB}) === job; i++);
    while (Atomics.load(words, ${JOB}) === job) Atomics.wait(words, ${JOB}, job);
    job = Atomics.load(words, ${JOB});
    if (slots[0]) kernels[names[words[${KERNEL}]]](...slots.subarray(1, 1 + slots[0]));
    if (Atomics.sub(words, ${LEFT}, 1) === 1) Atomics.notify(words, ${LEFT});
  }
};
`;

/** Threads that run parts of jobs. */
export class ThreadPool {
  /** Threads in all, the caller's among them. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #slots: Float64Array;
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
   * Starts size − 1 workers, and waits until all of them are ready.
   *
   * @throws BackendError where a worker cannot start.
   */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    size: number,
  ): Promise<ThreadPool> {
    const control = new SharedArrayBuffer(HEAD_BYTES + 8 * SLOTS * size);
    const words = new Int32Array(control, 0, 3);
    words[LEFT] = size - 1;
    const workers: { terminate(): unknown }[] = [];
    const failed = new Promise<never>((_, reject) => {
      for (let index = 1; index < size; index++) {
        startWorker({ module, memory, control, index }, reject).then(
          (worker) => workers.push(worker),
          reject,
        );
      }
    });
    const ready = (async () => {
      // Polled: not every engine has waitAsync, and starting happens once.
      while (Atomics.load(words, LEFT) > 0) await new Promise((done) => setTimeout(done, 1));
    })();
    const pool = new ThreadPool(control, workers, size);
    try {
      await Promise.race([ready, failed]);
    } catch (error) {
      pool.terminate();
      throw error;
    }
    return pool;
  }

  /** Runs all parts, the first by `kernels` on this thread, and returns when they are done. */
  run(kernel: PartKernel, parts: readonly Part[], kernels: Pick<Kernels, PartKernel>): void {
    const words = this.#words;
    const slots = this.#slots;
    words[KERNEL] = kernelNames.indexOf(kernel);
    for (let index = 1; index < this.size; index++) {
      const part = parts[index];
      slots[SLOTS * index] = part?.length ?? 0;
      if (part) slots.set(part, SLOTS * index + 1);
    }
    Atomics.store(words, LEFT, this.size - 1);
    Atomics.add(words, JOB, 1);
    Atomics.notify(words, JOB);
    const own: (...args: number[]) => void = kernels[kernel];
    own(...parts[0]!);
    for (let i = 0; i < SPINS && Atomics.load(words, LEFT) > 0; i++);
    for (let left = Atomics.load(words, LEFT); left > 0; left = Atomics.load(words, LEFT)) {
      Atomics.wait(words, LEFT, left);
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
  worker.onerror = (event) => fail(event.message);
  worker.postMessage(start);
  return worker;
}
