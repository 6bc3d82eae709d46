/**
 * A user's simulator, in whichever form it comes, and one call of it: what it threw, gave or never gave becomes an outcome,
 * and no failure is lost. Runs in a page, in Node.js and in workers of both.
 */
import type { HostArray } from '@invnet/datasets';
import { formatValue, RandomStream, requireOptions, sizeOf, ValueError } from '@invnet/tensor';

/** What a simulator gets beside the parameters. */
export interface SimulationContext {
  /** Noise for this simulation, or this batch of them: the same for a seed, whatever the number of workers. */
  readonly random: RandomStream;
  /** Fires when the time is over, or nobody wants the result any more. */
  readonly signal: AbortSignal;
}

/** One observation: numbers, or an array with the shape of one observation, without an axis for the batch. */
export type Observation = ArrayLike<number> | HostArray;

/** Simulates one observation of parameters θ. */
export type SimulateOne = (
  theta: Float64Array,
  context: SimulationContext,
) => Observation | Promise<Observation>;

/** Simulates observations [N, …] of parameters [N, D] at once. */
export type SimulateBatch = (
  theta: HostArray,
  context: SimulationContext,
) => HostArray | Promise<HostArray>;

/**
 * A function of one parameter vector, or, in a record, of a batch of them; each may return a promise.
 *
 * @example
 * const one: Simulator = ([a, b], { random }) => [a + 0.1 * random.normalArray(1)[0]!, a * b];
 * const many: Simulator = { batch: async ({ shape, data }) => ({ shape: [shape[0]!, 1], data: await run(data) }) };
 */
export type Simulator = SimulateOne | { readonly batch: SimulateBatch };

/** Some parameters to simulate: rows that follow each other in a whole. */
export interface SimulationJob {
  /** The index of the first row. */
  readonly first: number;
  readonly theta: HostArray;
  readonly seed: number;
}

/** All that there are. */
export const failureReasons = ['threw', 'timeout', 'not finite'] as const;

/** Why a simulation gave nothing to learn from. */
export type FailureReason = (typeof failureReasons)[number];

/** What became of one simulation. */
export type Outcome =
  | { readonly x: HostArray }
  | { readonly reason: FailureReason; readonly message: string; readonly cause?: unknown };

/** The simulator itself. @throws ValueError unless it is a function, or a record of one. */
export function requireSimulator(op: string, simulator: Simulator): Simulator {
  if (typeof simulator === 'function') return simulator;
  const isRecord = typeof simulator === 'object' && simulator !== null && 'batch' in simulator;
  if (isRecord) requireOptions(`${op}: simulator`, simulator, ['batch']);
  if (isRecord && typeof simulator.batch === 'function') return simulator;
  throw new ValueError(
    `${op}: simulator is ${formatValue(simulator)}; expected a function of parameters, { batch: function }, or ` +
      '{ worker: function that starts a worker }.',
  );
}

/** Blocks of the random stream that are a simulation's own: 2²⁶ numbers. */
const blocksEach = 2 ** 24;

/**
 * What makes the outcome of each row of a job, in their order; those of a batch simulator share one call.
 *
 * @param timeout - Milliseconds for a row, or for a batch. Who never gives way to the event loop cannot be stopped.
 */
export function calls(
  simulator: Simulator,
  { first, theta, seed }: SimulationJob,
  timeout: number,
  signal: AbortSignal | undefined,
): (() => Promise<Outcome>)[] {
  const [count, size] = [theta.shape[0]!, theta.shape[1]!];
  const stream = (index: number) => new RandomStream(seed, index * blocksEach);
  const indices = Array.from({ length: count }, (_, i) => i);
  if (typeof simulator !== 'function') {
    const call = (context: SimulationContext) => simulator.batch(theta, context);
    let all: Promise<Attempt<HostArray>> | undefined;
    return indices.map((i) => async () => {
      all ??= attempt(call, stream(first), timeout, signal);
      const made = await all;
      return 'value' in made ? rowOf(made.value, i, count) : made;
    });
  }
  const promised = new Set<unknown>();
  let running = 0;
  return indices.map((i) => async () => {
    const row = Float64Array.from(theta.data.subarray(i * size, (i + 1) * size));
    const call = (context: SimulationContext) => {
      const given = simulator(row, context);
      // At once, for the next simulation may write into the same array.
      if (!(given instanceof Promise)) return oneOf(given);
      // One after the other, as in a worker, they may share it as well.
      if (running === 0) promised.clear();
      running += 1;
      return given
        .then((x) => ownOf(x, promised))
        .finally(() => {
          running -= 1;
        });
    };
    const made = await attempt(call, stream(first + i), timeout, signal);
    return 'value' in made ? finite(made.value) : made;
  });
}

/** What is no observation is the simulator's mistake, and no failure of one simulation. */
class ObservationError extends ValueError {}

/** An observation that was promised: where several are at once, an array that they share holds the last one alone. */
function ownOf(value: Observation, promised: Set<unknown>): HostArray {
  const data = isHostArray(value) ? value.data : value;
  if (promised.has(data)) {
    throw new ObservationError(
      'simulate: the simulator gave one array for two observations that run at the same time; expected an array of its own ' +
        'for each promise.',
    );
  }
  promised.add(data);
  return oneOf(value);
}

type Attempt<T> = { readonly value: T } | Exclude<Outcome, { x: HostArray }>;

/** A call that ends: by its value, by an error, or when its time is over. */
async function attempt<T>(
  call: (context: SimulationContext) => T | Promise<T>,
  random: RandomStream,
  timeout: number,
  outer: AbortSignal | undefined,
): Promise<Attempt<T>> {
  const inner = new AbortController();
  const stop = () => inner.abort(outer?.reason);
  outer?.addEventListener('abort', stop, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const result = call({ random, signal: inner.signal });
    if (!(result instanceof Promise)) return { value: result };
    const late = new Promise<Attempt<T>>((resolve) => {
      if (!Number.isFinite(timeout)) return;
      timer = setTimeout(() => {
        const message = `gave nothing within ${timeout} ms`;
        resolve({ reason: 'timeout', message });
        inner.abort(new Error(message));
      }, timeout);
    });
    return await Promise.race([result.then((value) => ({ value })), late]);
  } catch (cause) {
    if (cause instanceof ObservationError) throw cause;
    return { reason: 'threw', message: messageOf(cause), cause };
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', stop);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : formatValue(cause);
}

/** A copy of an observation, as an array of floats with its shape. @throws ValueError for what is no observation. */
function oneOf(value: Observation): HostArray {
  if (isHostArray(value)) {
    const { shape, data } = value;
    if (sizeOf(shape) === data.length) return { shape: [...shape], data: data.slice() };
    throw notObservation(value);
  }
  if (value instanceof Float32Array || value instanceof Float64Array) {
    return { shape: [value.length], data: value.slice() };
  }
  const numbers = typeof value === 'object' && value !== null && 'length' in value;
  if (!numbers || typeof value.length !== 'number' || value.length === 0) {
    throw notObservation(value);
  }
  const list: readonly unknown[] = Array.from(value);
  if (!list.every((number) => typeof number === 'number')) throw notObservation(value);
  return { shape: [list.length], data: Float64Array.from(list) };
}

function rowOf(all: HostArray, i: number, count: number): Outcome {
  if (!isHostArray(all) || all.shape[0] !== count || sizeOf(all.shape) !== all.data.length) {
    throw new ValueError(
      `simulate: the simulator gave ${formatValue(all)} for a batch of ${count}; expected { shape: [${count}, …], data } ` +
        'of floats.',
    );
  }
  const size = all.data.length / count;
  return finite({ shape: all.shape.slice(1), data: all.data.slice(i * size, (i + 1) * size) });
}

function isHostArray(value: unknown): value is HostArray {
  if (typeof value !== 'object' || value === null) return false;
  if (!('shape' in value && 'data' in value)) return false;
  const { shape, data } = value;
  return Array.isArray(shape) && (data instanceof Float32Array || data instanceof Float64Array);
}

function notObservation(value: unknown): ObservationError {
  return new ObservationError(
    `simulate: the simulator gave ${formatValue(value)} for one observation; expected numbers, or { shape, data } of floats.`,
  );
}

function finite(x: HostArray): Outcome {
  const at = x.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return { x };
  return { reason: 'not finite', message: `number ${at} of the observation is ${x.data[at]}` };
}
