/**
 * The state that operations share: the current backend and the stack of `tidy` scopes.
 *
 * A tensor stays on the backend that it was made on; the current backend only decides where new
 * tensors go. Left out: any device discovery, which is each backend's own business.
 */
import type { Backend, BackendInfo, DType } from './backend.ts';
import { BackendError, DTypeError } from './errors.ts';
import type { GpuOptions } from './gpu/options.ts';
import type { MemoryInfo } from './memory.ts';
import { ReferenceBackend } from './reference/backend.ts';
import { type Placement, Tensor } from './tensor.ts';
import { WasmBackend, type WasmOptions } from './wasm/backend.ts';

/** Options of `setBackend`, each read by the backends that know it. */
export interface BackendOptions extends WasmOptions, GpuOptions {
  /** Element type of new tensors: `float32` (default), or `float64` on the reference backend. */
  readonly dtype?: DType;
}

/** Makes a backend; registered under a name for `setBackend`. */
export type BackendFactory = (options: BackendOptions) => Backend | Promise<Backend>;

const factories = new Map<string, BackendFactory>([
  ['reference', () => new ReferenceBackend()],
  ['wasm', (options) => WasmBackend.create(options)],
]);

let current: Placement | undefined;
const scopes: Set<Tensor>[] = [];

/** Adds a backend under a name, for instance from `@invnet/tensor/gpu`. */
export function registerBackend(name: string, factory: BackendFactory): void {
  factories.set(name, factory);
}

/**
 * Chooses where new tensors live, by name (`'wasm'`, `'reference'`) or as an instance.
 * A name makes a fresh backend, with memory and accounting of its own.
 *
 * @throws BackendError for an unknown name. @throws DTypeError for a dtype that it has not.
 * @example await setBackend('reference', { dtype: 'float64' });
 */
export async function setBackend(
  backend: string | Backend,
  options: BackendOptions = {},
): Promise<void> {
  const made = typeof backend === 'string' ? await makeBackend(backend, options) : backend;
  const dtype = options.dtype ?? 'float32';
  if (!made.dtypes.includes(dtype)) {
    throw new DTypeError(
      `setBackend: ${made.name} has no ${dtype}; it has ${made.dtypes.join(', ')}.`,
    );
  }
  current = { backend: made, dtype };
}

/** The backend of new tensors; `wasm` when none was chosen. */
export function getBackend(): Backend {
  return currentPlacement().backend;
}

/** Where new tensors go, and of which type they are. */
export function currentPlacement(): Placement {
  current ??= { backend: new WasmBackend({}), dtype: 'float32' };
  return current;
}

/** What actually runs: the backend's name and its details. */
export function backendInfo(): BackendInfo {
  return getBackend().info();
}

/** Live bytes, peak bytes and tensor count of the current backend, exactly. */
export function memory(): MemoryInfo {
  return getBackend().memory.info();
}

/** Starts a new peak at the bytes that are live now. */
export function resetPeakMemory(): void {
  getBackend().memory.resetPeak();
}

/**
 * Runs `fn` and disposes every tensor made meanwhile, except those in its result: a tensor, or
 * arrays and plain objects of them. Also when `fn` throws. `fn` must be synchronous.
 *
 * @example const y = tidy(() => add(exp(x), 1)); // exp(x) is freed
 */
export function tidy<T>(fn: () => T): T {
  const scope = new Set<Tensor>();
  scopes.push(scope);
  let kept: Set<Tensor> | undefined;
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new BackendError('tidy: the function returned a promise; expected a synchronous one.');
    }
    kept = new Set();
    collectTensors(result, kept);
    return result;
  } finally {
    scopes.pop();
    for (const t of scope) {
      if (!kept?.has(t)) t.dispose();
      else trackTensor(t);
    }
  }
}

/** Enters a new tensor into the innermost `tidy` scope. */
export function trackTensor(t: Tensor): void {
  scopes.at(-1)?.add(t);
}

/** Takes a tensor out of all scopes: from now on only `dispose()` frees it. */
export function keep<T extends Tensor>(t: T): T {
  for (const scope of scopes) scope.delete(t);
  return t;
}

/** Lets scopes forget a tensor that was disposed. */
export function untrackTensor(t: Tensor): void {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i]!.delete(t)) return;
}

/** All tensors in a value made of tensors, arrays, maps and plain objects. */
export function collectTensors(value: unknown, into: Set<Tensor>): void {
  if (value === null || typeof value !== 'object') return;
  if (value instanceof Tensor) {
    into.add(value);
  } else if (Array.isArray(value)) {
    for (const v of value) collectTensors(v, into);
  } else if (value instanceof Map) {
    for (const v of value.values()) collectTensors(v, into);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const v of Object.values(value)) collectTensors(v, into);
  }
}

async function makeBackend(name: string, options: BackendOptions): Promise<Backend> {
  const factory = factories.get(name);
  if (!factory) {
    throw new BackendError(
      `setBackend: unknown backend '${name}'; expected one of ${[...factories.keys()].join(', ')}.`,
    );
  }
  return factory(options);
}
