/**
 * The current backend, which operations share.
 *
 * A tensor stays on the backend that it was made on; the current backend only decides where new
 * tensors go. Left out: any device discovery, which is each backend's own business, and tensors,
 * which are built on this.
 */
import type { Backend, BackendInfo, DType } from './backend.ts';
import { requireFunction, requireOptions, requireSynchronous } from './checks.ts';
import { BackendError, DTypeError, formatValue, ValueError } from './errors.ts';
import type { GpuOptions } from './gpu/options.ts';
import { MemoryAccount, type MemoryInfo } from './memory.ts';
import { ReferenceBackend, type ReferenceOptions } from './reference/backend.ts';
import { WasmBackend, type WasmOptions } from './wasm/backend.ts';

/** Where a new tensor goes and of which type: another tensor's place, or the current backend. */
export interface Placement {
  readonly backend: Backend;
  readonly dtype: DType;
}

/** Options of `setBackend`, each read by the backends that know it. */
export interface BackendOptions extends ReferenceOptions, WasmOptions, GpuOptions {
  /** Element type of new tensors: `float32` (default), or `float64` on the reference backend. */
  readonly dtype?: DType;
}

const optionNames = [
  'dtype',
  'relaxedSimd',
  'wide',
  'maxBytes',
  'threads',
  'native',
  'mode',
  'products',
];

/**
 * The names that `setBackend` takes, `gpu` once it was imported. Whoever registers another one adds it.
 *
 * @example
 * declare module '@invnet/tensor' {
 *   interface BackendNames { remote: true }
 * }
 * registerBackend('remote', () => new RemoteBackend());
 */
export interface BackendNames {
  reference: true;
  wasm: true;
  gpu: true;
}

/** Makes a backend; registered under a name for `setBackend`. */
export type BackendFactory = (options: BackendOptions) => Backend | Promise<Backend>;

const factories = new Map<string, BackendFactory>([
  ['reference', (options) => new ReferenceBackend(options)],
  ['wasm', (options) => WasmBackend.create(options)],
]);

let current: Placement | undefined;
/** Calls of `setBackend`, and the one among them that `current` comes from. */
let calls = 0;
let chosenBy = 0;

/** Adds a backend under a name, for instance from `@invnet/tensor/gpu`. */
export function registerBackend(name: string, factory: BackendFactory): void {
  if (typeof name !== 'string') {
    throw new ValueError(`registerBackend: the name is ${formatValue(name)}; expected a text.`);
  }
  requireFunction('registerBackend', 'factory', factory);
  factories.set(name, factory);
}

/**
 * Chooses where new tensors live, by name (`'wasm'`, `'reference'`) or as an instance.
 * A name makes a fresh backend, with memory and accounting of its own. The one before stays as it is,
 * and tensors on it: whoever needs none of them any more disposes it. Of calls that overlap the last
 * decides, whichever is ready first; one that fails changes nothing.
 *
 * @throws BackendError for an unknown name. @throws DTypeError for a dtype that it has not.
 * @throws ValueError for options of another name; an instance takes `dtype` only.
 * @throws DisposedError for a backend that was disposed.
 * @example
 * await setBackend('reference', { dtype: 'float64' });
 * @example
 * const before = getBackend();
 * await setBackend('wasm', { threads: 4 });
 * before.dispose();
 */
export async function setBackend(
  backend: keyof BackendNames | Backend,
  options: BackendOptions = {},
): Promise<void> {
  const named = typeof backend === 'string';
  // An instance has been made, and all but the type of new tensors would come too late for it.
  requireOptions('setBackend', options, named ? optionNames : ['dtype']);
  const call = ++calls;
  const made = named ? await makeBackend(backend, options) : backend;
  requireBackend('setBackend', made);
  const dtype = options.dtype ?? 'float32';
  const has = made.dtypes.includes(dtype);
  made.memory.requireOpen(made.name);
  if (has && call > chosenBy) {
    chosenBy = call;
    current = { backend: made, dtype };
    return;
  }
  // Nobody else has it.
  if (named) made.dispose();
  if (!has) {
    throw new DTypeError(
      `setBackend: ${made.name} has no ${String(dtype)}; it has ${made.dtypes.join(', ')}.`,
    );
  }
}

/**
 * Runs `fn` with another backend as the current one, in float32 where it has that. The one before is
 * current again afterwards, also when `fn` throws; `fn` is synchronous, so nobody else meets the other.
 *
 * @throws BackendError for what is no backend. @throws DisposedError for one that was disposed.
 * @example const copy = withBackend(recorder, () => modelFromBytes(bytes, { modules }));
 */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  requireBackend('withBackend', backend);
  requireFunction('withBackend', 'fn', fn);
  backend.memory.requireOpen(backend.name);
  const before = current;
  current = { backend, dtype: backend.dtypes.includes('float32') ? 'float32' : backend.dtypes[0]! };
  try {
    const result = fn();
    requireSynchronous('withBackend', result);
    return result;
  } finally {
    current = before;
  }
}

/** The backend of new tensors; `wasm` when none was chosen. It stays so when it is disposed. */
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

/** @throws BackendError unless it is a backend, which has the account that tensors enter. */
function requireBackend(op: string, backend: Backend): void {
  if (backend?.memory instanceof MemoryAccount && Array.isArray(backend.dtypes)) return;
  throw new BackendError(
    `${op}: got ${formatValue(backend)}; expected a name, such as 'wasm', or a backend.`,
  );
}

async function makeBackend(name: string, options: BackendOptions): Promise<Backend> {
  const factory = factories.get(name);
  if (!factory) {
    const names = [...factories.keys()].map(formatValue).join(', ');
    const gpu = factories.has('gpu') ? '' : ", or 'gpu' after import '@invnet/tensor/gpu'";
    const expected =
      name === 'gpu'
        ? "import '@invnet/tensor/gpu' before, which brings it"
        : `one of ${names}${gpu}`;
    throw new BackendError(`setBackend: unknown backend '${name}'; expected ${expected}.`);
  }
  return factory(options);
}
