/**
 * Where a training step's time goes, by operation: the backend's primitives and fused passes one by one,
 * on one thread, where each has run when its call returns.
 *
 * Left out: what layers do between the operations, which is told as a whole.
 */
import type { AdamUpdate, Backend, ConvGeometry, FusedPasses, Storage } from '@invnet/tensor';
import { setBackend } from '@invnet/tensor';
import { spreadOf } from './contest.ts';
import { optimizing, type TrainingProblem, trainingOf } from './peers/own-network.ts';
import { formatTable } from './table.ts';

/** All calls of one operation with one shape in a step. */
export interface ProfileRow {
  readonly operation: string;
  readonly shape: string;
  calls: number;
  milliseconds: number;
  /** Of the direct method; 0 where bytes are what counts. */
  flops: number;
  /** Read and written. */
  bytes: number;
}

/** What `profileTraining` measured, all of it per step. */
export interface Profile {
  /** Of a step without a clock in it; and of the loss and its gradients, and of the forward pass, therein. */
  readonly step: number;
  readonly differentiation: number;
  readonly forward: number;
  /** Of convolutions and products. */
  readonly flops: number;
  /** Of the step with the clock, the operations' time included. */
  readonly clocked: number;
  readonly rows: readonly ProfileRow[];
}

/** What a call is, and what it computes and moves. */
interface Cost {
  readonly operation: string;
  readonly shape?: string;
  readonly flops?: number;
  readonly bytes: number;
}

/** The cost of a call from its arguments and its result. */
type Costs<T> = {
  readonly [K in keyof T]?: T[K] extends (...args: infer A) => infer R
    ? (result: R, ...args: A) => Cost
    : never;
};

const floatBytes = 4;
const bytesOf = (...storages: readonly (Storage | undefined)[]) =>
  storages.reduce((sum, s) => sum + floatBytes * (s?.size ?? 0), 0);

const costs: Costs<Backend> = {
  upload: (y) => ({ operation: 'upload', bytes: bytesOf(y) }),
  fill: (y) => ({ operation: 'fill', bytes: bytesOf(y) }),
  unary: (y, op, x) => ({ operation: op, bytes: bytesOf(x, y) }),
  binary: (y, op, a, b) => ({ operation: op, bytes: bytesOf(a, b, y) }),
  reduce: (y, op, x) => ({ operation: op, bytes: bytesOf(x, y) }),
  permute: (y) => ({ operation: 'permute', bytes: bytesOf(y, y) }),
  slice: (y) => ({ operation: 'slice', bytes: bytesOf(y, y) }),
  concat: (y) => ({ operation: 'concat', bytes: bytesOf(y, y) }),
  matmul: (y, a, b, { batch, m, k, n }) => ({
    operation: 'product',
    shape: `${batch} of ${m} × ${k} × ${n}`,
    flops: 2 * batch * m * k * n,
    bytes: bytesOf(a, b, y),
  }),
  conv: (y, x, w, _bias, _activation, g) => ({
    ...convolution('convolution', g),
    bytes: bytesOf(x, w, y),
  }),
  convInputGrad: (dx, dy, w, relu, g) => ({
    ...convolution('input gradient', g),
    bytes: bytesOf(dy, w, relu, dx),
  }),
  convFilterGrad: (dw, x, dy, g) => ({
    ...convolution('filter gradient', g),
    bytes: bytesOf(x, dy, dw),
  }),
  accumulate: (_, target, x) => ({ operation: 'accumulate', bytes: bytesOf(target, target, x) }),
  assign: (_, target, x) => ({ operation: 'assign', bytes: bytesOf(target, x) }),
  adam: (_, updates: readonly AdamUpdate[]) => ({
    operation: 'Adam',
    // All but the gradient are read and written.
    bytes: 7 * updates.reduce((sum, { grad }) => sum + bytesOf(grad), 0),
  }),
};

const fusedCosts: Costs<FusedPasses> = {
  couple: ([y, logdet], x, rt) => ({ operation: 'coupling', bytes: bytesOf(x, rt, y, logdet) }),
  coupleBack: (results, y, dy, rt) => ({
    operation: 'coupling, backward',
    bytes: bytesOf(y, dy, rt, ...results),
  }),
  addToFirst: (_, _target, x) => ({ operation: 'add to first channels', bytes: bytesOf(x, x, x) }),
  channelAffine: ([y, logdet], x) => ({ operation: 'ActNorm', bytes: bytesOf(x, y, logdet) }),
  channelAffineBack: (results, y, dy) => ({
    operation: 'ActNorm, backward',
    bytes: bytesOf(y, dy, ...results),
  }),
  reflections: (w, v) => ({ operation: 'reflections', bytes: bytesOf(...v, w) }),
  reflectionsBack: (dv, v, g) => ({
    operation: 'reflections, backward',
    bytes: bytesOf(...v, g, ...dv),
  }),
};

function convolution(
  direction: string,
  g: ConvGeometry,
): Pick<Cost, 'operation' | 'shape' | 'flops'> {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  // Leading axes of one position are those of images with fewer axes.
  const cross = (sizes: readonly number[]) => {
    const from = g.input.findIndex((size) => size > 1);
    return sizes.slice(from < 0 ? 2 : from).join('×');
  };
  const stride = product(g.stride) > 1 ? `, stride ${cross(g.stride)}` : '';
  const kernel = product(g.kernel) === 1 ? '1' : cross(g.kernel);
  return {
    operation: `${direction} ${kernel}${stride}`,
    shape: `[${g.batch}, ${g.inputChannels}, ${cross(g.input)}] to ${g.outputChannels}`,
    flops: 2 * g.batch * g.inputChannels * g.outputChannels * product(g.kernel) * product(g.output),
  };
}

/** A backend of the same numbers that notes each call. */
export function profiled(backend: Backend): { backend: Backend; rows: Map<string, ProfileRow> } {
  const rows = new Map<string, ProfileRow>();
  const fused = backend.fused && noting(backend.fused, fusedCosts, rows);
  const noted = noting(backend, costs, rows);
  const whole = new Proxy(noted, {
    get: (target, name) => (name === 'fused' ? fused : Reflect.get(target, name)),
  });
  return { backend: whole, rows };
}

/** An object whose methods that cost something are timed. */
function noting<T extends object>(inner: T, costs: Costs<T>, rows: Map<string, ProfileRow>): T {
  const methods = new Map<string | symbol, unknown>();
  const methodOf = (name: string | symbol, method: (...args: unknown[]) => unknown) => {
    const cost: ((result: unknown, ...args: unknown[]) => Cost) | undefined = Reflect.get(
      costs,
      name,
    );
    const bound = method.bind(inner);
    if (!cost) return bound;
    return (...args: unknown[]) => {
      const start = performance.now();
      const result = bound(...args);
      const milliseconds = performance.now() - start;
      const { operation, shape = '', flops = 0, bytes } = cost(result, ...args);
      const key = `${operation} ${shape}`;
      const row = rows.get(key) ?? {
        operation,
        shape,
        calls: 0,
        milliseconds: 0,
        flops: 0,
        bytes: 0,
      };
      row.calls += 1;
      row.milliseconds += milliseconds;
      row.flops += flops;
      row.bytes += bytes;
      rows.set(key, row);
      return result;
    };
  };
  return new Proxy(inner, {
    get: (target, name) => {
      // Of the object itself: getters read what only it has.
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const known = methods.get(name) ?? methodOf(name, value as () => unknown);
      methods.set(name, known);
      return known;
    },
  });
}

/** Profiles the training step of a problem on a backend of one thread. */
export async function profileTraining(
  backend: Backend,
  problem: TrainingProblem,
  repeats = 5,
): Promise<Profile> {
  await setBackend(backend);
  const plain = trainingOf(problem);
  const steps = optimizing(plain);
  const differentiation = async () => {
    using loss = plain.differentiate();
    await loss.data();
  };
  const times = {
    step: await median(steps, repeats),
    differentiation: await median(differentiation, repeats),
    forward: await median(() => plain.forward(), repeats),
  };
  const { backend: clock, rows } = profiled(backend);
  await setBackend(clock);
  const step = optimizing(trainingOf(problem));
  await step();
  rows.clear();
  const start = performance.now();
  for (let repeat = 0; repeat < repeats; repeat++) await step();
  const clocked = (performance.now() - start) / repeats;
  await setBackend(backend);
  const perStep = [...rows.values()].map(({ operation, shape, ...sums }): ProfileRow => {
    const { calls, milliseconds, flops, bytes } = sums;
    return {
      ...{ operation, shape, calls: calls / repeats, milliseconds: milliseconds / repeats },
      ...{ flops: flops / repeats, bytes: bytes / repeats },
    };
  });
  perStep.sort((a, b) => b.milliseconds - a.milliseconds);
  const flops = perStep.reduce((sum, row) => sum + row.flops, 0);
  return { ...times, flops, clocked, rows: perStep };
}

async function median(run: () => Promise<void>, repeats: number): Promise<number> {
  await run();
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return spreadOf(times).milliseconds;
}

/** Operations whose share is less are told together. */
const leastShare = 0.01;

/** The profile as a table, operations of all shapes together. */
export function describeProfile({ rows, clocked, ...times }: Profile): string {
  const byOperation = new Map<string, ProfileRow>();
  const add = (name: string, { calls, milliseconds, flops, bytes }: ProfileRow) => {
    const sum = byOperation.get(name) ?? {
      ...{ operation: name, shape: '', calls: 0, milliseconds: 0, flops: 0, bytes: 0 },
    };
    sum.calls += calls;
    sum.milliseconds += milliseconds;
    sum.flops += flops;
    sum.bytes += bytes;
    byOperation.set(name, sum);
  };
  for (const row of rows) add(row.operation, row);
  const all = [...byOperation.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  byOperation.clear();
  for (const row of all) {
    add(row.milliseconds < leastShare * clocked ? 'all others' : row.operation, row);
  }
  const told = [...byOperation.values()];
  const between = clocked - told.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const share = (milliseconds: number) => `${((100 * milliseconds) / clocked).toFixed(1)} %`;
  const lines = told.map(({ operation, calls, milliseconds, flops, bytes }) => [
    operation,
    String(calls),
    milliseconds.toFixed(2),
    share(milliseconds),
    flops > 0 ? (flops / milliseconds / 1e6).toFixed(1) : '',
    flops > 0 || milliseconds === 0 ? '' : (bytes / milliseconds / 1e6).toFixed(1),
  ]);
  lines.push(['between operations', '', between.toFixed(2), share(between), '', '']);
  return [
    `One thread: ${times.step.toFixed(1)} ms a step, ${times.forward.toFixed(1)} forward, ` +
      `${(times.differentiation - times.forward).toFixed(1)} backward; ${clocked.toFixed(1)} ms with the ` +
      'clock in it, of which:',
    '',
    formatTable(['operation', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s'], lines),
  ].join('\n');
}
