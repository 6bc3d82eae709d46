/**
 * Where simulations run: in this thread, or in workers that the caller starts, of Node.js or of a page. A worker that hangs
 * beyond its time, or ends, is replaced, and what it had not done yet goes to its successor.
 */
import { formatValue, requireFunction, requireOptions, ValueError } from '@invnet/tensor';
import { SimulationError } from './simulation-error.ts';
import {
  calls,
  type Outcome,
  requireSimulator,
  type SimulationJob,
  type Simulator,
} from './simulator.ts';

/** What is used of a worker, of Node.js or of a page. */
export interface SimulationWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
  /** Of Node.js. */
  on?(event: string, listener: (value: unknown) => void): unknown;
  /** Of a page. */
  addEventListener?(type: string, listener: (event: Event) => void): void;
}

/**
 * Workers to simulate in: a function that starts one, whose module calls `serveSimulator`.
 *
 * @example
 * // Node.js; in a page: new Worker(new URL('./simulator.ts', import.meta.url), { type: 'module' })
 * const simulator = { worker: () => new Worker(new URL('./simulator.js', import.meta.url)) };
 */
export interface WorkerSimulator {
  readonly worker: () => SimulationWorker;
}

/** One place where one job runs at a time. */
export interface Lane {
  run(job: SimulationJob): Promise<Outcome[]>;
  dispose(): void;
}

/** As many lanes as there are workers; one for a function, which runs in this thread. */
export function lanesOf(
  op: string,
  simulator: Simulator | WorkerSimulator,
  options: { workers: number; timeout: number; signal: AbortSignal | undefined },
): Lane[] {
  const { workers, timeout, signal } = options;
  if (typeof simulator === 'object' && simulator !== null && 'worker' in simulator) {
    requireOptions(`${op}: simulator`, simulator, ['worker']);
    requireFunction(op, 'simulator.worker', simulator.worker, 'a function that starts a worker');
    return Array.from({ length: workers }, () => new WorkerLane(simulator.worker, timeout));
  }
  const own = requireSimulator(op, simulator);
  if (workers > 1) {
    throw new ValueError(
      `${op}: workers is ${workers} for a simulator that is a function of this thread; expected 1, or a simulator ` +
        '{ worker: function that starts a worker }.',
    );
  }
  const run = async (job: SimulationJob) => {
    const made = await Promise.all(calls(own, job, timeout, signal).map((call) => call()));
    // Others have their turn between jobs, also where a simulator never waits.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return made;
  };
  return [{ run, dispose() {} }];
}

/** What a worker says: that it is there, an outcome of the job, or what is wrong with the simulator. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'error'; readonly message: string };

/** What is still to come of a job in a worker. */
interface Pending {
  readonly job: SimulationJob;
  readonly done: Outcome[];
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds in which a worker has to be there. */
const mostToStart = 60_000;

class WorkerLane implements Lane {
  readonly #start: () => SimulationWorker;
  readonly #timeout: number;
  #worker: SimulationWorker | undefined;
  #ready = false;
  #pending: Pending | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(start: () => SimulationWorker, timeout: number) {
    this.#start = start;
    this.#timeout = timeout;
  }

  run(job: SimulationJob): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      this.#pending = { job, done: [], resolve, reject };
      this.#send();
    });
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#pending = undefined;
  }

  /** Hands what is left of the job to a worker. */
  #send(): void {
    const { job, done, reject } = this.#pending!;
    try {
      this.#worker ??= this.#started();
      this.#worker.postMessage({
        ...job,
        theta: rest(job, done.length),
        first: job.first + done.length,
      });
      this.#wait();
    } catch (cause) {
      this.#pending = undefined;
      reject(cause);
    }
  }

  /** @throws ValueError for what is no worker. */
  #started(): SimulationWorker {
    const worker: SimulationWorker = this.#start();
    this.#ready = false;
    const own = (listener: (value: unknown) => void) => (value: unknown) => {
      if (this.#worker === worker) listener(value);
    };
    const onMessage = own((message) => this.#take(message as WorkerMessage));
    const onError = own((cause) => this.#lost('threw', 'the worker ended', cause));
    if (typeof worker?.on === 'function') {
      worker.on('message', onMessage);
      worker.on('error', onError);
      worker.on('exit', onError);
    } else if (typeof worker?.addEventListener === 'function') {
      worker.addEventListener('message', (event) => onMessage(Reflect.get(event, 'data')));
      worker.addEventListener('error', onError);
    } else {
      throw new ValueError(
        `simulate: simulator.worker gave ${formatValue(worker)}; expected a worker of Node.js or of a page.`,
      );
    }
    return worker;
  }

  #take(message: WorkerMessage): void {
    const pending = this.#pending;
    if (message.kind === 'ready') {
      this.#ready = true;
      if (pending) this.#wait();
      return;
    }
    if (!pending) return;
    if (message.kind === 'error') {
      this.#finish().reject(new SimulationError(message.message));
      return;
    }
    pending.done.push(message.outcome);
    if (pending.done.length < pending.job.theta.shape[0]!) this.#wait();
    else this.#finish().resolve(pending.done);
  }

  /** The worker is no more: the simulation that it was at has failed, and another one does the others. */
  #lost(reason: 'threw' | 'timeout', message: string, cause?: unknown): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    const pending = this.#pending;
    if (!pending) return;
    if (!this.#ready) {
      const problem =
        'simulate: a worker did not start; expected a module that calls serveSimulator';
      this.#finish().reject(new SimulationError(`${problem}.`, { cause }));
      return;
    }
    pending.done.push({ reason, message, cause });
    if (pending.done.length < pending.job.theta.shape[0]!) this.#send();
    else this.#finish().resolve(pending.done);
  }

  #finish(): Pending {
    clearTimeout(this.#timer);
    const pending = this.#pending!;
    this.#pending = undefined;
    return pending;
  }

  /** Watches the time of what comes next: the start, or a simulation. */
  #wait(): void {
    clearTimeout(this.#timer);
    const limit = this.#ready ? this.#timeout : mostToStart;
    if (!Number.isFinite(limit)) return;
    this.#timer = setTimeout(() => this.#lost('timeout', `gave nothing within ${limit} ms`), limit);
  }
}

/** The rows of a job that come after the first few. */
function rest({ theta: { shape, data } }: SimulationJob, done: number) {
  const [count, size] = shape;
  return { shape: [count! - done, size!], data: data.slice(done * size!) };
}
