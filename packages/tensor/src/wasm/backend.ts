/**
 * The `wasm` backend: SIMD kernels (assembly/) over one linear memory, in float32, on as many threads
 * as were asked for.
 *
 * Here storages are allocated and counted, descriptions are written where the kernels read them,
 * and kernels are called; the loops are all on the other side.
 */
import type {
  AdamSettings,
  AdamUpdate,
  Backend,
  BackendInfo,
  BinaryOp,
  Broadcast,
  ConvActivation,
  ConvGeometry,
  DType,
  FusedPasses,
  MatmulGeometry,
  ReduceOp,
  Reduction,
  Storage,
  UnaryOp,
} from '../backend.ts';
import { BackendError, DTypeError } from '../errors.ts';
import { MemoryAccount } from '../memory.ts';
import { Allocator, type Block } from './allocator.ts';
import { binaryCodes, reduceCodes, unaryCodes } from './codes.ts';
import { type Kernels, loadKernels } from './kernels.ts';
import {
  CHEAP_ELEMENTS,
  COSTLY_ELEMENTS,
  columnRanges,
  ranges,
  rowRanges,
  shiftRanges,
  TILE_COLUMNS,
  WORTH_CUTTING_FINER,
  WORTH_PARTING,
} from './parts.ts';
import {
  blocking,
  convProduct,
  depths,
  filterGradProduct,
  inputGradProduct,
  lineFloats,
  matmulProducts,
  type Plan,
  type Product,
  planned,
  type Winograd,
} from './product.ts';
import {
  canUseThreads,
  PARTS_PER_THREAD,
  type Part,
  type PartKernel,
  ThreadPool,
} from './threads.ts';

/** Choices that are otherwise made from what the engine can do. */
export interface WasmOptions {
  /** Use (or do without) relaxed SIMD's fused multiply-add. */
  readonly relaxedSimd?: boolean;
  /** Largest linear memory in bytes; 4 GiB unless told. */
  readonly maxBytes?: number;
  /**
   * Threads that work is parted among, this one included; results do not depend on it.
   * Default: 1. More need shared memory: Node.js, or a worker of a page that is cross-origin
   * isolated.
   */
  readonly threads?: number;
}

/** Bytes below the heap where descriptions are written: one call's at a time. */
const DESK_BYTES = 1024;

/** Bytes of a number in the rows that reflections are made of. */
const ROW_BYTES = 8;
/** Words of a row of Adam's table, and where its two floats lie. */
const ADAM_ROW = 7;
const ADAM_RATE = 5;

/** Functions that take a few cycles for each element, and those that take many. */
const costlyOps: ReadonlySet<UnaryOp> = new Set([
  'exp',
  'log',
  'power',
  'sigmoid',
  'softplus',
  'tanh',
]);

/** Bytes behind a storage's end that a kernel may write: what a last row's whole vectors cover. */
const OVERRUN_BYTES = 12;

/** Ends the threads of a backend that nothing refers to any more. */
const abandoned = new FinalizationRegistry<ThreadPool>((pool) => pool.terminate());

class WasmStorage implements Storage {
  readonly dtype = 'float32';
  readonly owner: WasmBackend;
  readonly size: number;
  block: Block | undefined;

  constructor(owner: WasmBackend, size: number, block: Block) {
    this.owner = owner;
    this.size = size;
    this.block = block;
  }
}

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly dtypes: readonly DType[] = ['float32'];
  readonly memory = new MemoryAccount();
  readonly #kernels: Kernels;
  readonly #linear: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #relaxedSimd: boolean;
  readonly #desk: number;
  readonly #rowsPerTile: number;
  #pool: ThreadPool | undefined;

  /** A backend whose threads have started. @throws BackendError where it cannot have that many. */
  static async create(options: WasmOptions = {}): Promise<WasmBackend> {
    const { threads = 1 } = options;
    if (!Number.isInteger(threads) || threads < 1) {
      throw new BackendError(`wasm: threads is ${threads}; expected a whole number of at least 1.`);
    }
    if (threads > 1 && !canUseThreads()) {
      throw new BackendError(
        `wasm: ${threads} threads need shared memory and a thread that may wait: Node.js, or a ` +
          'worker of a page that is cross-origin isolated.',
      );
    }
    const loaded = loadKernels(options.relaxedSimd, threads > 1);
    const backend = new WasmBackend(options, loaded);
    if (threads > 1) {
      backend.#pool = await ThreadPool.start(loaded.module, loaded.memory, threads);
      abandoned.register(backend, backend.#pool);
    }
    return backend;
  }

  /** A backend on one thread; `create` makes one on several. */
  constructor(options: WasmOptions = {}, loaded = loadKernels(options.relaxedSimd)) {
    this.#kernels = loaded.kernels;
    this.#linear = loaded.memory;
    this.#relaxedSimd = loaded.relaxedSimd;
    this.#desk = Math.ceil(loaded.kernels.heapBase() / 64) * 64;
    const desks = DESK_BYTES * PARTS_PER_THREAD * (options.threads ?? 1);
    this.#allocator = new Allocator(loaded.memory, this.#desk + desks, options.maxBytes);
    this.#rowsPerTile = loaded.kernels.rowsPerTile();
  }

  info(): BackendInfo {
    return {
      name: this.name,
      details: {
        simd: this.#relaxedSimd ? 'relaxed-simd' : 'simd128',
        threads: this.#pool?.size ?? 1,
        memoryBytes: this.#linear.buffer.byteLength,
        memoryLimitBytes: this.#allocator.limit,
      },
    };
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    const storage = this.#make(data.length, dtype);
    this.#view(storage).set(data);
    return storage;
  }

  async read(x: Storage): Promise<Float32Array> {
    return this.readSync(x);
  }

  readSync(x: Storage): Float32Array {
    return this.#view(x).slice();
  }

  free(x: Storage): void {
    const storage = this.#own(x);
    this.#allocator.free(storage.block);
    this.memory.freed(4 * storage.size);
    (storage as WasmStorage).block = undefined;
  }

  fill(size: number, value: number, dtype: DType): Storage {
    const y = this.#make(size, dtype);
    this.#kernels.fill(this.#at(y), size, value);
    return y;
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const from = this.#at(x);
    const y = this.#make(x.size);
    const to = this.#at(y);
    const worth = costlyOps.has(op) ? COSTLY_ELEMENTS : CHEAP_ELEMENTS;
    const parts = rowRanges(x.size, 1, this.#threads(x.size, worth));
    this.#start(
      'unary',
      parts.map(([first, last]) => [
        unaryCodes[op],
        from + 4 * first,
        to + 4 * first,
        last - first,
        alpha,
        beta,
      ]),
    );
    return y;
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    const left = this.#at(a);
    const right = this.#at(b);
    const y = this.#make(how.sizes.reduce((product, size) => product * size, 1));
    const to = this.#at(y);
    const [rows, ...inner] = how.sizes as [number, ...number[]];
    const [aStride, bStride] = [how.aStrides[0]!, how.bStrides[0]!];
    const row = y.size / rows;
    const parts = rowRanges(rows, row, this.#threads(y.size, CHEAP_ELEMENTS));
    this.#start(
      'binary',
      parts.map(([first, last], thread) => {
        const sizes = [last - first, ...inner];
        const desk = this.#desk + thread * DESK_BYTES;
        const words = [sizes.length, ...sizes, ...how.aStrides, ...how.bStrides];
        const counter = this.#write(words, desk);
        return [
          binaryCodes[op],
          left + 4 * first * aStride,
          right + 4 * first * bStride,
          to + 4 * first * row,
          desk,
          counter,
        ];
      }),
    );
    return y;
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    const from = this.#at(x);
    const { sizes, reduced } = how;
    const last = sizes.length - 1;
    const kept: [number[], number[]] = [[], []];
    const gone: [number[], number[]] = [[], []];
    let results = 1;
    let stride = 1;
    for (let axis = last; axis >= 0; axis--) {
      const size = sizes[axis] as number;
      if (reduced[axis] !== true) results *= size;
      if (axis < last) {
        const [list, strides] = reduced[axis] === true ? gone : kept;
        list.unshift(size);
        strides.unshift(stride);
      }
      stride *= size;
    }
    const inner = last < 0 ? 1 : (sizes[last] as number);
    const innerReduced = last >= 0 && reduced[last] === true;
    const y = this.#make(results);
    const to = this.#at(y);
    const threads = this.#threads(x.size, CHEAP_ELEMENTS);
    // The outermost dimension that is kept is parted, if there is one, else the innermost.
    const [rows] = kept[0];
    const single = innerReduced && rows === undefined;
    const size = rows ?? (single ? 1 : inner);
    const row = results / size;
    const step = rows === undefined ? 1 : (kept[1][0] as number);
    this.#start(
      'reduce',
      rowRanges(size, row, threads).map(([first, end], thread) => {
        const part = end - first;
        const desk = this.#desk + thread * DESK_BYTES;
        const keptSizes = rows === undefined ? [] : [part, ...kept[0].slice(1)];
        const words = [
          ...[keptSizes.length, ...keptSizes, ...kept[1]],
          ...[gone[0].length, ...gone[0], ...gone[1]],
          rows === undefined && !single ? part : inner,
        ];
        const counter = this.#write(words, desk);
        return [
          reduceCodes[op],
          innerReduced ? 1 : 0,
          from + 4 * first * step,
          to + 4 * first * row,
          desk,
          counter,
        ];
      }),
    );
    return y;
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    const from = this.#at(x);
    const y = this.#make(x.size);
    const strides = new Array<number>(sizes.length);
    let stride = 1;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= sizes[axis] as number;
    }
    // Neighbours that stay neighbours become one axis, so that runs are as long as they can be.
    const outSizes: number[] = [];
    const outStrides: number[] = [];
    for (const axis of axes) {
      const size = sizes[axis] as number;
      const step = strides[axis] as number;
      const end = outSizes.length - 1;
      if (size === 1) continue;
      if (end >= 0 && outStrides[end] === step * size) {
        outSizes[end] = (outSizes[end] as number) * size;
        outStrides[end] = step;
      } else {
        outSizes.push(size);
        outStrides.push(step);
      }
    }
    if (outSizes.length === 0) {
      outSizes.push(1);
      outStrides.push(1);
    }
    const to = this.#at(y);
    const [rows, ...inner] = outSizes as [number, ...number[]];
    const row = x.size / rows;
    this.#start(
      'permute',
      rowRanges(rows, row, this.#threads(x.size, CHEAP_ELEMENTS)).map(([first, last], thread) => {
        const words = [outSizes.length, last - first, ...inner, ...outStrides];
        const desk = this.#desk + thread * DESK_BYTES;
        const counter = this.#write(words, desk);
        return [from + 4 * first * (outStrides[0] as number), to + 4 * first * row, desk, counter];
      }),
    );
    return y;
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    const from = this.#at(x) + 4 * start * inner;
    const y = this.#make(outer * length * inner);
    const bytes = 4 * length * inner;
    this.#copyRuns(from, 4 * axis * inner, this.#at(y), bytes, bytes, outer);
    return y;
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const sources = parts.map((part) => this.#at(part));
    const pitch = 4 * inner * lengths.reduce((sum, length) => sum + length, 0);
    const y = this.#make((outer * pitch) / 4);
    let to = this.#at(y);
    for (const [i, from] of sources.entries()) {
      const bytes = 4 * inner * (lengths[i] as number);
      this.#copyRuns(from, bytes, to, pitch, bytes, outer);
      to += bytes;
    }
    return y;
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    const left = this.#at(a);
    const right = this.#at(b);
    return this.#products(g.batch * g.m * g.n, (to) =>
      matmulProducts(left, right, to, g).map((product) => ({ product })),
    );
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const from = this.#at(x);
    const weights = this.#at(w);
    const offsets = bias === undefined ? 0 : this.#at(bias);
    const size = g.batch * g.outputChannels * g.output[0] * g.output[1] * g.output[2];
    return this.#products(size, (to) => [
      planned(convProduct(from, weights, offsets, activation === 'relu', to, g)),
    ]);
  }

  convInputGrad(dy: Storage, w: Storage, g: ConvGeometry): Storage {
    const from = this.#at(dy);
    const weights = this.#at(w);
    const size = g.batch * g.inputChannels * g.input[0] * g.input[1] * g.input[2];
    return this.#products(size, (to) => [planned(inputGradProduct(from, weights, to, g))]);
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const from = this.#at(x);
    const grad = this.#at(dy);
    const size = g.outputChannels * g.inputChannels * g.kernel[0] * g.kernel[1] * g.kernel[2];
    return this.#products(size, (to) => {
      const product = filterGradProduct(from, grad, to, g);
      const parted = depths(product);
      return [parted ? { product, depths: parted } : { product }];
    });
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const [to, from] = [this.#at(target), this.#at(x)];
    const parts = rowRanges(target.size, 1, this.#threads(target.size, CHEAP_ELEMENTS));
    this.#start(
      'accumulate',
      parts.map(([first, last]) => [to + 4 * first, from + 4 * first, last - first, alpha]),
    );
  }

  assign(target: Storage, x: Storage): void {
    const bytes = 4 * target.size;
    this.#kernels.copyRuns(this.#at(x), bytes, this.#at(target), bytes, bytes, 1);
  }

  adam(updates: readonly AdamUpdate[], s: AdamSettings): void {
    const words = new Int32Array(ADAM_ROW * updates.length);
    const floats = new Float32Array(words.buffer);
    let elements = 0;
    updates.forEach(({ target, m, v, grad, step }, i) => {
      const pointers = [target, m, v, grad].map((x) => this.#at(x));
      words.set([...pointers, target.size], ADAM_ROW * i);
      const rate = s.learningRate / (1 - s.beta1 ** step);
      floats.set([rate, 1 / (1 - s.beta2 ** step)], ADAM_ROW * i + ADAM_RATE);
      elements += target.size;
    });
    this.#inScratch(words.byteLength, (table) => {
      new Int32Array(this.#linear.buffer, table, words.length).set(words);
      const parts = ranges(updates.length, this.#threads(elements, COSTLY_ELEMENTS));
      this.#start(
        'adam',
        parts.map((part) => [table, s.beta1, s.beta2, s.epsilon, s.gradientScale, ...part]),
      );
    });
  }

  readonly fused: FusedPasses = {
    couple: (x, rt, g) => {
      const [from, parameters] = [this.#at(x), this.#at(rt)];
      const [y, logdet] = [this.#make(x.size), this.#make(g.batch)];
      const [to, sums] = [this.#at(y), this.#at(logdet)];
      const scale = [g.size, g.low, g.high - g.low];
      this.#start(
        'couple',
        ranges(g.batch, this.#threads(x.size, COSTLY_ELEMENTS)).map((part) => [
          ...[g.inverse ? 1 : 0, from, parameters, to, sums],
          ...[...scale, ...part],
        ]),
      );
      return [y, logdet];
    },
    coupleBack: (y, dy, rt, dlogdet, g) => {
      const given = [y, dy, rt].map((x) => this.#at(x));
      const weights = dlogdet ? this.#at(dlogdet) : 0;
      const [x, dx, drt] = [this.#make(y.size), this.#make(y.size), this.#make(rt.size)];
      const made = [x, dx, drt].map((made) => this.#at(made));
      const scale = [g.size, g.low, g.high - g.low];
      this.#start(
        'coupleBack',
        ranges(g.batch, this.#threads(y.size, COSTLY_ELEMENTS)).map((part) => [
          ...[g.inverse ? 1 : 0, ...given, weights, ...made],
          ...[...scale, ...part],
        ]),
      );
      return [x, dx, drt];
    },
    channelAffine: (x, scale, shift, g) => {
      const given = [x, scale, shift].map((x) => this.#at(x));
      const y = this.#make(x.size);
      const to = this.#at(y);
      this.#start(
        'channelAffine',
        ranges(g.batch, this.#threads(x.size, CHEAP_ELEMENTS)).map((part) => [
          ...[g.inverse ? 1 : 0, ...given, to],
          ...[g.channels, g.positions, ...part],
        ]),
      );
      return y;
    },
    channelAffineBack: (y, dy, scale, shift, g) => {
      const given = [y, dy, scale, shift].map((x) => this.#at(x));
      const [x, dx] = [this.#make(y.size), this.#make(y.size)];
      const [dscale, dshift] = [this.#make(g.channels), this.#make(g.channels)];
      const made = [x, dx, dscale, dshift].map((made) => this.#at(made));
      this.#start(
        'channelAffineBack',
        ranges(g.channels, this.#threads(y.size, COSTLY_ELEMENTS)).map((part) => [
          ...[g.inverse ? 1 : 0, ...given, ...made],
          ...[g.batch, g.channels, g.positions, ...part],
        ]),
      );
      return [x, dx, dscale, dshift];
    },
    reflections: (v) => {
      const [v1, v2, v3] = [this.#at(v[0]), this.#at(v[1]), this.#at(v[2])];
      const { size } = v[0];
      const w = this.#make(size * size);
      this.#inScratch(ROW_BYTES * 9 * size, (rows) => {
        this.#kernels.reflections(v1, v2, v3, this.#at(w), size, rows);
      });
      return w;
    },
    reflectionsBack: (v, g) => {
      const [v1, v2, v3] = [this.#at(v[0]), this.#at(v[1]), this.#at(v[2])];
      const gradient = this.#at(g);
      const { size } = v[0];
      const made = [this.#make(size), this.#make(size), this.#make(size)] as const;
      const [d1, d2, d3] = [this.#at(made[0]), this.#at(made[1]), this.#at(made[2])];
      this.#inScratch(ROW_BYTES * 12 * size, (rows) => {
        const more = rows + ROW_BYTES * 9 * size;
        this.#kernels.reflectionsBack(v1, v2, v3, gradient, d1, d2, d3, size, rows, more);
      });
      return made;
    },
  };

  /** How many parts a product is cut into. */
  #productParts(multiplyAdds: number): number {
    const threads = this.#threads(multiplyAdds, WORTH_PARTING);
    return threads > 1 && multiplyAdds > WORTH_CUTTING_FINER ? PARTS_PER_THREAD * threads : threads;
  }

  /** How many threads share some work: one where it is not worth more. */
  #threads(work: number, worth: number): number {
    return work < worth ? 1 : (this.#pool?.size ?? 1);
  }

  /** Copies `count` runs of `bytes` bytes, with a pitch on either side. */
  #copyRuns(
    from: number,
    fromPitch: number,
    to: number,
    toPitch: number,
    bytes: number,
    count: number,
  ): void {
    this.#start(
      'copyRuns',
      ranges(count, this.#threads((bytes * count) / 4, CHEAP_ELEMENTS)).map(([first, last]) => [
        from + first * fromPitch,
        fromPitch,
        to + first * toPitch,
        toPitch,
        bytes,
        last - first,
      ]),
    );
  }

  /** Runs `use` with scratch that is counted while it is there. */
  #inScratch(bytes: number, use: (address: number) => void): void {
    const block = this.#allocator.allocate(bytes);
    this.memory.allocated(bytes);
    try {
      use(block.address);
    } finally {
      this.memory.freed(bytes);
      this.#allocator.free(block);
    }
  }

  #make(size: number, dtype: DType = 'float32'): WasmStorage {
    if (dtype !== 'float32') {
      throw new DTypeError(
        `wasm: got dtype ${dtype}, expected float32, the only one that this backend has.`,
      );
    }
    const block = this.#allocator.allocate(4 * size, OVERRUN_BYTES);
    this.memory.allocated(4 * size);
    return new WasmStorage(this, size, block);
  }

  /** The storage as this backend's own, in use. */
  #own(x: Storage): WasmStorage & { block: Block } {
    if (!(x instanceof WasmStorage) || x.owner !== this) {
      throw new BackendError('wasm: got a storage that another backend made.');
    }
    if (x.block === undefined) throw new BackendError('wasm: got a storage that was freed.');
    return x as WasmStorage & { block: Block };
  }

  #at(x: Storage): number {
    return this.#own(x).block.address;
  }

  /** Made anew each time: growth of the memory detaches older views. */
  #view(x: Storage): Float32Array {
    return new Float32Array(this.#linear.buffer, this.#at(x), x.size);
  }

  /** Writes words to the desk; returns the first address behind them. */
  #write(words: readonly number[], at = this.#desk): number {
    new Int32Array(this.#linear.buffer, at, words.length).set(words);
    return at + 4 * words.length;
  }

  /** A new storage filled by products, in scratch that is counted while it is there. */
  #products(size: number, describe: (to: number) => Plan[]): Storage {
    const y = this.#make(size);
    try {
      for (const plan of describe(this.#at(y))) {
        if (plan.winograd) this.#runWinograd(plan.product, plan.winograd);
        else this.#run(plan, y);
      }
    } catch (error) {
      this.free(y);
      throw error;
    }
    return y;
  }

  #run({ product: p, shift, depths }: Plan, y: WasmStorage): void {
    const b = blocking(p, this.#rowsPerTile);
    const sizes = {
      b: this.#kernels.blockBytes(b.blockColumns, b.blockDepth),
      a: 4 * b.blockRows * b.blockDepth,
      line: 4 * lineFloats(p, b),
      tile: 4 * TILE_COLUMNS * this.#rowsPerTile,
      partial: shift?.partialBytes ?? 0,
    };
    const count = this.#productParts(p.rows * p.columns * p.depth);
    let parts: number[][];
    if (shift) parts = shiftRanges(shift, count);
    else if (depths) parts = ranges(depths.parts, count);
    else parts = columnRanges(p.columns, count);
    // Multiples of a block, so that threads do not share lines of the cache.
    const whole = (bytes: number) => 64 * Math.ceil(bytes / 64);
    const each = whole(sizes.a + sizes.b + sizes.line + sizes.tile + sizes.partial);
    const pitch = depths ? whole(4 * y.size + OVERRUN_BYTES) : 0;
    const sums = depths ? depths.parts * pitch : 0;
    this.#inScratch(sums + each * parts.length, (address) => {
      const to = this.#at(y);
      const described = parts.map((range, thread): Part => {
        const scratch = address + sums + thread * each;
        const plan = this.#desk + thread * DESK_BYTES;
        const packedA = scratch + sizes.b;
        const line = packedA + sizes.a;
        const tile = line + sizes.line;
        const words = [
          ...[p.a, p.aRow, p.aChannel, p.aTap, p.aTaps, p.aRowTaps, p.aRowTap],
          ...[p.transposed ? 1 : 0, p.source, p.channels],
          ...[...p.columnsGrid, ...p.sourceGrid, ...p.taps],
          ...[...p.multiplier, ...p.divisor, ...p.padding],
          // Parts of sums lie in scratch as their total will in y.
          ...[depths ? p.c - to + address : p.c, p.cSample, p.cRow, p.cColumn, p.cColumns],
          ...[p.rows, p.columns, p.depth, p.bias, p.relu ? 1 : 0],
          ...[packedA, scratch, line, tile],
          ...[b.panelRows, b.blockRows, b.blockColumns, b.blockDepth],
        ];
        const behind = this.#write(words, plan);
        if (depths) return [plan, depths.part, pitch, ...range];
        if (!shift) return [plan, ...range];
        const shiftWords = [
          ...[shift.y, shift.bias, shift.relu ? 1 : 0, shift.batch, shift.rows],
          ...[...shift.output, ...shift.source, ...shift.taps, ...shift.padding],
          ...[tile + sizes.tile, shift.chunkSamples, shift.chunkDepth],
        ];
        this.#write(shiftWords, behind);
        return [plan, behind, ...range];
      });
      this.#start(shift ? 'shiftedProduct' : depths ? 'deepProduct' : 'product', described);
      if (depths) {
        const pieces = rowRanges(y.size, 1, this.#threads(y.size, COSTLY_ELEMENTS));
        this.#start(
          'sumParts',
          pieces.map(([first, last]) => [
            address + 4 * first,
            pitch,
            depths.parts,
            to + 4 * first,
            last - first,
          ]),
        );
      }
    });
  }

  #runWinograd(p: Product, { tileRows, blockGroups }: Winograd): void {
    const { panelRows } = blocking(p, this.#rowsPerTile);
    const [filters, numbers] = [64 * p.rows * p.channels, 256 * blockGroups];
    // Lines are read up to eight floats past their end.
    const lines = 16 * (8 * blockGroups + 8) + 64;
    const each = 64 * Math.ceil((numbers * (p.rows + p.channels) + lines) / 64);
    const parts = ranges(tileRows, this.#productParts(p.rows * p.columns * p.depth));
    this.#inScratch(64 * Math.ceil(filters / 64) + each * parts.length, (address) => {
      const plans = parts.map((_, thread) => {
        const inputs = address + 64 * Math.ceil(filters / 64) + thread * each;
        const outputs = inputs + numbers * p.channels;
        const plan = this.#desk + thread * DESK_BYTES;
        const [, sourceH, sourceW] = p.sourceGrid;
        const [, outputH, outputW] = p.columnsGrid;
        this.#write(
          [
            ...[p.a, p.aRow, p.aChannel, p.aTap],
            ...[p.source, p.channels, sourceH, sourceW, p.padding[1], p.padding[2]],
            ...[p.c, p.rows, outputH, outputW, p.bias, p.relu ? 1 : 0],
            ...[address, inputs, outputs, outputs + numbers * p.rows, panelRows, blockGroups],
          ],
          plan,
        );
        return plan;
      });
      this.#start(
        'winogradFilters',
        ranges(p.rows, parts.length, panelRows).map((part, thread) => [plans[thread]!, ...part]),
      );
      this.#start(
        'winograd',
        parts.map((part, thread) => [plans[thread]!, ...part]),
      );
    });
  }

  /** Runs a kernel on one thread, or its parts on several. */
  #start(kernel: PartKernel, parts: readonly Part[]): void {
    if (this.#pool && parts.length > 1) this.#pool.run(kernel, parts, this.#kernels);
    else {
      const run: (...args: number[]) => void = this.#kernels[kernel];
      run(...parts[0]!);
    }
  }
}
