/**
 * The `wasm` backend: SIMD kernels (assembly/) over one linear memory, in float32, on as many threads
 * as were asked for.
 *
 * Here operations are parted, descriptions are written where the kernels read them, and kernels are
 * called; the loops are all on the other side. Memory and threads are the runtime's.
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
import { binaryCodes, reduceCodes, unaryCodes } from './codes.ts';
import { fusedPasses } from './fused.ts';
import {
  CACHE_LINE,
  CHEAP_ELEMENTS,
  COSTLY_ELEMENTS,
  proportionalRanges,
  ranges,
  rowRanges,
  shares,
} from './parts.ts';
import { convProduct, filterGradProduct, inputGradProduct, matmulProducts } from './product.ts';
import { runProducts } from './run-product.ts';
import { Runtime, type WasmOptions, type WasmStorage } from './runtime.ts';
import { plannedConv, plannedFilterGrad } from './ways.ts';

export type { WasmOptions } from './runtime.ts';

/** Bytes for how a part of an operation runs over its arrays, with room to count. */
const HOW_BYTES = 512;
/** Words of a row of Adam's table, where its two floats lie, most rows of one, and most floats to a row. */
const ADAM_ROW = 7;
const ADAM_RATE = 5;
const ADAM_ROWS = 1024;
const ADAM_PIECE = 32_768;

/** What a row of Adam's table is about. */
interface AdamPiece {
  readonly update: AdamUpdate;
  readonly first: number;
  readonly size: number;
}

/** Functions that take many cycles for each element; others take a few. */
const costlyOps: ReadonlySet<UnaryOp> = new Set([
  'exp',
  'log',
  'power',
  'sigmoid',
  'softplus',
  'tanh',
]);

export class WasmBackend implements Backend {
  /** `'native'` where native kernels run in place of WebAssembly's. */
  readonly name: 'wasm' | 'native';
  readonly dtypes: readonly DType[] = ['float32'];
  readonly fused: FusedPasses;
  /** @internal What passes run on that have a file of their own, so that pages load them where they are used. */
  readonly runtime: Runtime;

  /** A backend whose threads have started. @throws BackendError where it cannot have that many. */
  static async create(options: WasmOptions = {}): Promise<WasmBackend> {
    return new WasmBackend(options, await Runtime.create(options));
  }

  /** A backend on one thread; `create` makes one on several. */
  constructor(options: WasmOptions = {}, runtime = new Runtime(options)) {
    this.runtime = runtime;
    this.name = options.native ? 'native' : 'wasm';
    this.fused = fusedPasses(runtime);
  }

  get memory() {
    return this.runtime.memory;
  }

  get maxTensorBytes(): number {
    return this.runtime.maxBytes;
  }

  info(): BackendInfo {
    return { name: this.name, details: this.runtime.details };
  }

  dispose(): void {
    this.runtime.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    return this.runtime.making((make) => {
      const storage = make(data.length, dtype);
      this.runtime.put(storage, data);
      return storage;
    });
  }

  async read(x: Storage): Promise<Float32Array> {
    return this.readSync(x);
  }

  readSync(x: Storage): Float32Array {
    return this.runtime.view(x).slice();
  }

  view(x: Storage): Float32Array {
    return this.runtime.view(x);
  }

  free(x: Storage): void {
    this.runtime.free(x);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    const y = this.runtime.make(size, dtype);
    this.runtime.start('fill', [[this.runtime.at(y), size, value]], y);
    return y;
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const from = this.runtime.at(x);
    const y = this.runtime.make(x.size);
    const to = this.runtime.at(y);
    const worth = costlyOps.has(op) ? COSTLY_ELEMENTS : CHEAP_ELEMENTS;
    const parts = rowRanges(x.size, 1, this.runtime.threads(x.size, worth)).map(
      ([first, last]) => [from + 4 * first, to + 4 * first, last - first, alpha] as const,
    );
    if (op === 'power') this.runtime.start('power', parts, y);
    else {
      const code = unaryCodes[op];
      this.runtime.start(
        'unary',
        parts.map((part) => [code, ...part, beta]),
        y,
      );
    }
    return y;
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    const left = this.runtime.at(a);
    const right = this.runtime.at(b);
    const size = how.sizes.reduce((product, size) => product * size, 1);
    const [rows, ...inner] = how.sizes as [number, ...number[]];
    const [aStride, bStride] = [how.aStrides[0]!, how.bStrides[0]!];
    const row = size / rows;
    const parts = rowRanges(rows, row, this.runtime.threads(size, CHEAP_ELEMENTS));
    const desks = this.runtime.desk(HOW_BYTES * parts.length);
    const y = this.runtime.make(size);
    const to = this.runtime.at(y);
    this.runtime.start(
      'binary',
      parts.map(([first, last], part) => {
        const sizes = [last - first, ...inner];
        const desk = desks + HOW_BYTES * part;
        const words = [sizes.length, ...sizes, ...how.aStrides, ...how.bStrides];
        const counter = this.runtime.write(words, desk);
        return [
          binaryCodes[op],
          left + 4 * first * aStride,
          right + 4 * first * bStride,
          to + 4 * first * row,
          desk,
          counter,
        ];
      }),
      y,
    );
    return y;
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    const from = this.runtime.at(x);
    const { sizes, reduced } = how;
    if (op === 'sum' && sizes.length === 3 && !reduced[1] && reduced[0] && reduced[2]) {
      return this.#sumPerChannel(from, sizes as readonly [number, number, number]);
    }
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
    const threads = this.runtime.threads(x.size, CHEAP_ELEMENTS);
    // The outermost dimension that is kept is parted, if there is one, else the innermost.
    const [rows] = kept[0];
    const single = innerReduced && rows === undefined;
    const size = rows ?? (single ? 1 : inner);
    const row = results / size;
    const step = rows === undefined ? 1 : (kept[1][0] as number);
    const parts = rowRanges(size, row, threads);
    const desks = this.runtime.desk(HOW_BYTES * parts.length);
    const y = this.runtime.make(results);
    const to = this.runtime.at(y);
    this.runtime.start(
      'reduce',
      parts.map(([first, end], part) => {
        const length = end - first;
        const desk = desks + HOW_BYTES * part;
        const keptSizes = rows === undefined ? [] : [length, ...kept[0].slice(1)];
        const words = [
          ...[keptSizes.length, ...keptSizes, ...kept[1]],
          ...[gone[0].length, ...gone[0], ...gone[1]],
          rows === undefined && !single ? length : inner,
        ];
        const counter = this.runtime.write(words, desk);
        return [
          reduceCodes[op],
          innerReduced ? 1 : 0,
          from + 4 * first * step,
          to + 4 * first * row,
          desk,
          counter,
        ];
      }),
      y,
    );
    return y;
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    const from = this.runtime.at(x);
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
    const [rows, ...inner] = outSizes as [number, ...number[]];
    const row = x.size / rows;
    const parts = rowRanges(rows, row, this.runtime.threads(x.size, CHEAP_ELEMENTS));
    const desks = this.runtime.desk(HOW_BYTES * parts.length);
    const y = this.runtime.make(x.size);
    const to = this.runtime.at(y);
    this.runtime.start(
      'permute',
      parts.map(([first, last], part) => {
        const words = [outSizes.length, last - first, ...inner, ...outStrides];
        const desk = desks + HOW_BYTES * part;
        const counter = this.runtime.write(words, desk);
        return [from + 4 * first * (outStrides[0] as number), to + 4 * first * row, desk, counter];
      }),
      y,
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
    const from = this.runtime.at(x) + 4 * start * inner;
    const y = this.runtime.make(outer * length * inner);
    const bytes = 4 * length * inner;
    this.#copyRuns(y, from, 4 * axis * inner, this.runtime.at(y), bytes, bytes, outer);
    return y;
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const sources = parts.map((part) => this.runtime.at(part));
    const pitch = 4 * inner * lengths.reduce((sum, length) => sum + length, 0);
    const y = this.runtime.make((outer * pitch) / 4);
    let to = this.runtime.at(y);
    for (const [i, from] of sources.entries()) {
      const bytes = 4 * inner * (lengths[i] as number);
      this.#copyRuns(y, from, bytes, to, pitch, bytes, outer);
      to += bytes;
    }
    return y;
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    const left = this.runtime.at(a);
    const right = this.runtime.at(b);
    return runProducts(this.runtime, g.batch * g.m * g.n, (to) =>
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
    const from = this.runtime.at(x);
    const weights = this.runtime.at(w);
    const offsets = bias === undefined ? 0 : this.runtime.at(bias);
    const size = g.batch * g.outputChannels * g.output[0] * g.output[1] * g.output[2];
    return runProducts(this.runtime, size, (to) => [
      plannedConv(convProduct(from, weights, offsets, activation === 'relu', to, g)),
    ]);
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const from = this.runtime.at(dy);
    const weights = this.runtime.at(w);
    const mask = relu === undefined ? 0 : this.runtime.at(relu);
    const size = g.batch * g.inputChannels * g.input[0] * g.input[1] * g.input[2];
    return runProducts(this.runtime, size, (to) => [
      plannedConv(inputGradProduct(from, weights, mask, to, g)),
    ]);
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const from = this.runtime.at(x);
    const grad = this.runtime.at(dy);
    const size = g.outputChannels * g.inputChannels * g.kernel[0] * g.kernel[1] * g.kernel[2];
    return runProducts(this.runtime, size, (to) => [
      plannedFilterGrad(filterGradProduct(from, grad, to, g)),
    ]);
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const [to, from] = [this.runtime.at(target), this.runtime.at(x)];
    const parts = rowRanges(target.size, 1, this.runtime.threads(target.size, CHEAP_ELEMENTS));
    this.runtime.start(
      'accumulate',
      parts.map(([first, last]) => [to + 4 * first, from + 4 * first, last - first, alpha]),
    );
  }

  assign(target: Storage, x: Storage): void {
    const bytes = 4 * target.size;
    const [to, from] = [this.runtime.at(target), this.runtime.at(x)];
    this.runtime.start('copyRuns', [[from, bytes, to, bytes, bytes, 1]]);
  }

  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    const changed = new Set<Storage>();
    let pieces: AdamPiece[] = [];
    for (const update of updates) {
      const { target, m, v } = update;
      // What changes for the second time waits for the first, which another thread may have.
      if ([target, m, v].some((x) => changed.has(x))) {
        this.#adamRows(pieces, settings);
        pieces = [];
        changed.clear();
      }
      for (const x of [target, m, v]) changed.add(x);
      for (let first = 0; first < target.size; first += ADAM_PIECE) {
        pieces.push({ update, first, size: Math.min(ADAM_PIECE, target.size - first) });
        if (pieces.length === ADAM_ROWS) {
          this.#adamRows(pieces, settings);
          pieces = [];
        }
      }
    }
    this.#adamRows(pieces, settings);
  }

  #adamRows(pieces: readonly AdamPiece[], s: AdamSettings): void {
    if (pieces.length === 0) return;
    const words = new Int32Array(ADAM_ROW * pieces.length);
    const floats = new Float32Array(words.buffer);
    let elements = 0;
    pieces.forEach(({ update: { target, m, v, grad, step }, first, size }, i) => {
      const pointers = [target, m, v, grad].map((x) => this.runtime.at(x) + 4 * first);
      words.set([...pointers, size], ADAM_ROW * i);
      const rate = s.learningRate / (1 - s.beta1 ** step);
      floats.set([rate, 1 / (1 - s.beta2 ** step)], ADAM_ROW * i + ADAM_RATE);
      elements += size;
    });
    const table = this.runtime.desk(words.byteLength);
    this.runtime.write(words, table);
    const threads = this.runtime.threads(elements, COSTLY_ELEMENTS);
    const parts = proportionalRanges(pieces.length, shares(threads, true));
    this.runtime.start(
      'adam',
      parts.map((part) => [
        ...[table, s.beta1, s.beta2, s.epsilon, s.gradientScale, s.targetScale ?? 1],
        ...part,
      ]),
    );
  }

  /** Sums over samples and positions, sample by sample: they lie in the cache of who made them. */
  #sumPerChannel(from: number, [batch, channels, positions]: readonly [number, number, number]) {
    const r = this.runtime;
    const rows = batch * channels;
    const threads = r.threads(rows * positions, CHEAP_ELEMENTS);
    return r.making((make) => {
      const y = make(channels);
      r.inScratch(8 * rows, (sums) => {
        r.start(
          'sumRows',
          ranges(rows, threads, CACHE_LINE / 2).map((part) => [from, sums, positions, ...part]),
        );
        r.start('addRows', [[sums, r.at(y), 1, batch, channels, 1]]);
      });
      return y;
    });
  }

  /** Copies `count` runs of `bytes` bytes to y, with a pitch on either side. */
  #copyRuns(
    y: WasmStorage,
    from: number,
    fromPitch: number,
    to: number,
    toPitch: number,
    bytes: number,
    count: number,
  ): void {
    this.runtime.start(
      'copyRuns',
      ranges(count, this.runtime.threads((bytes * count) / 4, CHEAP_ELEMENTS)).map(
        ([first, last]) => [
          from + first * fromPitch,
          fromPitch,
          to + first * toPitch,
          toPitch,
          bytes,
          last - first,
        ],
      ),
      y,
    );
  }
}
