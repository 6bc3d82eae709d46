/**
 * What the operations of the wasm backend run on: the kernels over one linear memory, its blocks and
 * their account, the desk where descriptions are written for kernels to read, and the threads.
 *
 * Left out: what any operation does (backend.ts, run-product.ts).
 */
import type { DType, Storage } from '../backend.ts';
import { requireBoolean, requireFunction, requireRecord, requireWhole } from '../checks.ts';
import { BackendError, DTypeError, formatValue, ValueError } from '../errors.ts';
import { MemoryAccount } from '../memory.ts';
import { Allocator, type Block } from './allocator.ts';
import {
  compile,
  decode,
  instantiate,
  type Kernels,
  type KernelText,
  type LoadedKernels,
  loadKernels,
} from './kernels.ts';
import type { BoundKernels, NativeKernels } from './native.ts';
import type { Tile } from './product.ts';
import { type Part, ThreadPool } from './threads.ts';
import { canUseThreads, MOST_THREADS, type PartKernel } from './worker.ts';

/** Choices that are otherwise made from what the engine can do. */
export interface WasmOptions {
  /** Use (or do without) relaxed SIMD's fused multiply-add. */
  readonly relaxedSimd?: boolean;
  /**
   * Asks the engine for vectors of 256 bits, which changes no bit of a result. Default: false. Works in Node.js
   * from 23.5 on, on x64 with AVX2, and makes nothing faster elsewhere: `backendInfo().details.wide` says
   * whether it was had. It is by an experimental flag of V8, `--experimental-wasm-revectorize`, which then holds
   * for all WebAssembly that the process compiles.
   */
  readonly wide?: boolean;
  /** Largest linear memory in bytes; 4 GiB unless told. */
  readonly maxBytes?: number;
  /**
   * Threads that work is parted among, this one included; results do not depend on it.
   * Default: 1. More need shared memory: Node.js, or a worker of a page that is cross-origin
   * isolated.
   */
  readonly threads?: number;
  /** Kernels for the processor in place of WebAssembly's: what `openNativeKernels` opens. They give the same bits. */
  readonly native?: NativeKernels;
  /** Why this is not the backend that was asked for, where it stands in for one: `info().details` tells. */
  readonly fallbackReason?: string;
}

/** Bytes of each of the desk's two halves. */
const HALF_DESK_BYTES = 65536;

/** What goes over the desk to a storage, so that masks and labels do not fill it. */
const MOST_PUT_BYTES = HALF_DESK_BYTES / 8;

/** Ends the threads of a backend that nothing refers to any more. */
const abandoned = new FinalizationRegistry<ThreadPool>((pool) => pool.terminate());

/** A block of float32 numbers in the linear memory of a runtime. */
export class WasmStorage implements Storage {
  readonly dtype = 'float32';
  readonly owner: Runtime;
  readonly size: number;
  block: Block | undefined;

  constructor(owner: Runtime, size: number, block: Block) {
    this.owner = owner;
    this.size = size;
    this.block = block;
  }
}

/** What holds on to the linear memory, all of which `dispose` lets go of. */
interface Engine {
  readonly kernels: Kernels;
  readonly linear: WebAssembly.Memory;
  readonly allocator: Allocator;
  readonly bound: BoundKernels | undefined;
}

export class Runtime {
  readonly memory = new MemoryAccount();
  readonly maxBytes: number;
  readonly tile: Tile;
  /** Bytes behind a storage's end that a kernel may write: what a last row's whole vectors cover. */
  readonly #overrunBytes: number;
  readonly #relaxedSimd: boolean;
  readonly #wide: boolean;
  readonly #native: NativeKernels | undefined;
  readonly #fallbackReason: string | undefined;
  #engine: Engine | undefined;
  /** Words in which threads find their scratch, and behind them the desk. */
  readonly #scratchAt: number;
  readonly #desk: number;
  /** The half of the desk in use, what is taken of it, and how many jobs were queued when each was full. */
  #half: 0 | 1 = 0;
  #taken = 0;
  readonly #full: [number, number] = [0, 0];
  readonly #scratch: Block[] = [];
  #pool: ThreadPool | undefined;

  /** A runtime whose threads have started. @throws BackendError where it cannot have that many. */
  static async create(options: WasmOptions = {}): Promise<Runtime> {
    requireRecord('wasm', 'options', options);
    const { threads = 1 } = options;
    if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
      throw new BackendError(
        `wasm: threads is ${formatValue(threads)}; expected a whole number of at least 1 and at most ` +
          `${MOST_THREADS}.`,
      );
    }
    if (threads > 1 && !canUseThreads()) {
      throw new BackendError(
        `wasm: ${threads} threads need shared memory and a thread that may wait: Node.js, or a ` +
          'worker of a page that is cross-origin isolated.',
      );
    }
    requireChoices(options);
    const loaded = loadKernels(options.relaxedSimd, threads > 1, options.wide);
    const runtime = new Runtime(options, loaded);
    if (threads > 1) {
      const { module, memory } = loaded;
      const { native } = options;
      const start = {
        module,
        memory,
        native: native && { path: native.path, build: native.build },
      };
      runtime.#pool = await ThreadPool.start(start, threads, runtime.#scratchAt);
      abandoned.register(runtime, runtime.#pool, runtime);
    }
    return runtime;
  }

  /** A runtime on one thread; `create` makes one on several. @throws BackendError when asked for more. */
  constructor(options: WasmOptions = {}, given?: LoadedKernels) {
    requireRecord('wasm', 'options', options);
    const { threads = 1, maxBytes } = options;
    if (!given && threads !== 1) {
      throw new BackendError(
        `wasm: threads is ${formatValue(threads)}, and a constructor cannot wait for them; expected 1, or ` +
          'WasmBackend.create.',
      );
    }
    requireChoices(options);
    const loaded = given ?? loadKernels(options.relaxedSimd, false, options.wide);
    const { memory: linear, relaxedSimd, wide } = loaded;
    if (maxBytes !== undefined) requireWhole('wasm', 'maxBytes', maxBytes, 1);
    this.#relaxedSimd = relaxedSimd;
    this.#wide = wide;
    this.#scratchAt = wholeLines(loaded.kernels.heapBase());
    loaded.kernels.useScratchAt(this.#scratchAt);
    this.#native = options.native;
    this.#fallbackReason = options.fallbackReason;
    const bound = options.native?.bind(new Uint8Array(linear.buffer), this.#scratchAt);
    const kernels = { ...loaded.kernels, ...bound };
    this.#desk = this.#scratchAt + wholeLines(4 * threads);
    const start = this.#desk + 2 * HALF_DESK_BYTES;
    const allocator = new Allocator(linear, start, maxBytes);
    this.#engine = { kernels, linear, allocator, bound };
    this.maxBytes = allocator.limit;
    const vectorBytes = kernels.vectorBytes();
    this.tile = {
      ...{ rows: kernels.rowsPerTile(), columns: kernels.columnsPerTile() },
      lanes: vectorBytes / 4,
    };
    this.#overrunBytes = vectorBytes - 4;
  }

  get kernels(): Kernels {
    return this.#open().kernels;
  }

  /** Brings the kernels of a further module, unless `kernel`, one of them, is there. */
  extend(kernel: PartKernel, text: KernelText): void {
    const { kernels, linear } = this.#open();
    if (kernel in kernels) return;
    const bytes = decode(text, this.#relaxedSimd, this.#pool !== undefined, this.#wide);
    if (this.#pool) {
      // What was freed may still be written to by jobs that have not run.
      this.#pool.join();
      // Workers find it there when they meet the first job that needs it.
      const { address } = this.#allocate(bytes.length);
      new Uint8Array(linear.buffer, address, bytes.length).set(bytes);
      this.#pool.extend(address, bytes.length);
    }
    Object.assign(kernels, instantiate(compile(bytes), linear));
  }

  /** What runs. */
  get details() {
    return {
      simd: this.#relaxedSimd ? 'relaxed-simd' : 'simd128',
      wide: this.#wide,
      ...(this.#native && { native: this.#native.build }),
      ...(this.#fallbackReason !== undefined && { fallbackReason: this.#fallbackReason }),
      threads: this.#engine ? (this.#pool?.running ?? 1) : 0,
      memoryBytes: this.#engine?.linear.buffer.byteLength ?? 0,
      memoryLimitBytes: this.maxBytes,
    };
  }

  /** Ends the threads, and lets go of the linear memory. A second call does nothing. */
  dispose(): void {
    if (this.#pool) {
      abandoned.unregister(this);
      this.#pool.terminate();
    }
    this.#pool = undefined;
    this.#engine = undefined;
    this.memory.close();
  }

  /** @throws DTypeError for anything but float32. @throws OutOfMemoryError, DisposedError */
  make(size: number, dtype: DType = 'float32'): WasmStorage {
    if (dtype !== 'float32') {
      throw new DTypeError(
        `wasm: got dtype ${dtype}, expected float32, the only one that this backend has.`,
      );
    }
    const block = this.#allocate(4 * size, this.#overrunBytes);
    this.memory.allocated(4 * size);
    return new WasmStorage(this, size, block);
  }

  /** Runs an operation; when it throws, the results that it made are freed. */
  making<T>(operation: (make: Runtime['make']) => T): T {
    const made: WasmStorage[] = [];
    try {
      return operation((size, dtype) => {
        const storage = this.make(size, dtype);
        made.push(storage);
        return storage;
      });
    } catch (error) {
      for (const storage of made) this.free(storage);
      throw error;
    }
  }

  free(x: Storage): void {
    const storage = this.#own(x);
    this.#engine?.allocator.free(storage.block);
    this.memory.freed(4 * storage.size);
    (storage as WasmStorage).block = undefined;
  }

  /** Where a storage's numbers lie. @throws BackendError unless it is in use, and of this runtime. */
  at(x: Storage): number {
    return this.#own(x).block.address;
  }

  /**
   * A storage's numbers, after all that was started. Made anew each time: growth of the memory
   * detaches older views.
   */
  view(x: Storage): Float32Array {
    this.#pool?.join();
    return new Float32Array(this.#open().linear.buffer, this.at(x), x.size);
  }

  /** Writes the numbers of a storage, after all that was started; few of them without waiting for that. */
  put(x: Storage, numbers: ArrayLike<number>): void {
    const bytes = 4 * numbers.length;
    if (!this.#pool || bytes > MOST_PUT_BYTES) {
      this.view(x).set(numbers);
      return;
    }
    const desk = this.desk(bytes);
    new Float32Array(this.#open().linear.buffer, desk, numbers.length).set(numbers);
    this.start('copyRuns', [[desk, bytes, this.at(x), bytes, bytes, 1]]);
  }

  /**
   * Runs `use` with scratch for all, and with as much for each of `users` threads as `own` says; both
   * are counted while it runs. A thread keeps its place from one time to the next.
   */
  inScratch(
    bytes: number,
    use: (address: number) => void,
    { own = 0, users = 0 }: { readonly own?: number; readonly users?: number } = {},
  ): void {
    const all = bytes + own * Math.min(users, this.#pool?.size ?? 1);
    this.#reserve(own);
    const block = this.#allocate(bytes);
    this.memory.allocated(all);
    try {
      use(block.address);
    } finally {
      this.memory.freed(all);
      this.#open().allocator.free(block);
    }
  }

  /**
   * Room for what the kernels of one operation read and count in, `HALF_DESK_BYTES` at most, asked for
   * once, with nothing uploaded before it starts. It serves again when the jobs have run that were started
   * before the next room is asked for.
   */
  desk(bytes: number): number {
    if (this.#taken + bytes > HALF_DESK_BYTES) {
      this.#full[this.#half] = this.#pool?.queued ?? 0;
      this.#half = this.#half === 0 ? 1 : 0;
      this.#pool?.join(this.#full[this.#half]);
      this.#taken = 0;
    }
    const address = this.#desk + this.#half * HALF_DESK_BYTES + this.#taken;
    this.#taken += wholeLines(bytes);
    return address;
  }

  /** Writes words onto the desk; returns the first address behind them. */
  write(words: ArrayLike<number>, address: number): number {
    new Int32Array(this.#open().linear.buffer, address, words.length).set(words);
    return address + 4 * words.length;
  }

  /** How many threads share some work: one where it is not worth more. */
  threads(work: number, worth: number): number {
    return work < worth ? 1 : (this.#pool?.size ?? 1);
  }

  /**
   * Runs a kernel's parts: now, on one thread, or after all that was started before, on several. When
   * that throws, the operation's result is freed, where it is told.
   */
  start(kernel: PartKernel, parts: readonly Part[], result?: WasmStorage): void {
    try {
      if (this.#pool) this.#pool.run(kernel, parts, this.kernels);
      else {
        const run: (...args: number[]) => void = this.kernels[kernel];
        for (const part of parts) run(...part);
      }
    } catch (error) {
      if (result) this.free(result);
      throw error;
    }
  }

  /** A block of the linear memory, which may have grown, and gone elsewhere, when this returns. */
  #allocate(bytes: number, overrun = 0): Block {
    const { allocator, linear, bound } = this.#open();
    const { buffer } = linear;
    const block = allocator.allocate(bytes, overrun);
    // Shared memory stays where it is; of other there is one thread, and this is it.
    if (bound && linear.buffer !== buffer) bound.moveTo(new Uint8Array(linear.buffer));
    return block;
  }

  /** Gives every thread room for so many bytes. */
  #reserve(bytes: number): void {
    if (bytes <= (this.#scratch[0]?.bytes ?? 0)) return;
    this.#pool?.join();
    const { size } = this.#pool ?? { size: 1 };
    const { allocator } = this.#open();
    for (const block of this.#scratch.splice(0)) allocator.free(block);
    try {
      while (this.#scratch.length < size) this.#scratch.push(this.#allocate(bytes));
    } catch (error) {
      // All threads or none: what is there is what the next call takes all of them to have.
      for (const block of this.#scratch.splice(0)) allocator.free(block);
      throw error;
    }
    this.write(
      this.#scratch.map(({ address }) => address),
      this.#scratchAt,
    );
  }

  /** @throws DisposedError */
  #open(): Engine {
    this.memory.requireOpen('wasm');
    return this.#engine as Engine;
  }

  /** The storage as this runtime's own, in use. */
  #own(x: Storage): WasmStorage & { block: Block } {
    if (!(x instanceof WasmStorage) || x.owner !== this) {
      throw new BackendError('wasm: got a storage that another backend made.');
    }
    if (x.block === undefined) throw new BackendError('wasm: got a storage that was freed.');
    return x as WasmStorage & { block: Block };
  }
}

/** Bytes up to the end of the cache's line, so that what follows shares none with them. */
export function wholeLines(bytes: number): number {
  return 64 * Math.ceil(bytes / 64);
}

/** @throws ValueError unless what says how kernels run is what it can be, where it is there. */
function requireChoices(options: WasmOptions): void {
  const { relaxedSimd, wide = false, native, fallbackReason = '' } = options;
  requireBoolean('wasm', 'relaxedSimd', relaxedSimd ?? false);
  requireBoolean('wasm', 'wide', wide);
  if (typeof fallbackReason !== 'string') {
    throw new ValueError(
      `wasm: fallbackReason is ${formatValue(fallbackReason)}; expected a text.`,
    );
  }
  if (native === undefined) return;
  requireRecord('wasm', 'native', native);
  requireFunction('wasm', 'native.bind', native.bind);
  if (relaxedSimd === false) {
    throw new ValueError(
      'wasm: relaxedSimd is false, and native kernels round as those do for which it is true; leave out one.',
    );
  }
}
