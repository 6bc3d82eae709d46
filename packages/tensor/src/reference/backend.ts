/**
 * The reference backend: plain loops, written to be read, in float32 and float64. It is the oracle
 * that every other backend is tested against, so it is kept free of all cleverness; sums run in
 * double precision whatever the storage.
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
  MatmulGeometry,
  NumericArray,
  ReduceOp,
  Reduction,
  Storage,
  UnaryOp,
} from '../backend.ts';
import { requireRecord, requireWhole } from '../checks.ts';
import { BackendError } from '../errors.ts';
import { DEFAULT_MAX_BYTES, MemoryAccount, noRoom, requireRoom } from '../memory.ts';
import { forEachConvRow } from './conv.ts';
import { binaryFunction, unaryFunction } from './functions.ts';

/** What can be asked of the reference backend. */
export interface ReferenceOptions {
  /** Limit on the bytes of all tensors together; 4 GiB unless told. */
  readonly maxBytes?: number;
}

/** Plain TypeScript on typed arrays. */
export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  readonly dtypes: readonly DType[] = ['float32', 'float64'];
  readonly memory = new MemoryAccount();
  readonly maxTensorBytes: number;
  /** The numbers of each storage, let go of all together when the backend is disposed. */
  #numbers = new WeakMap<Storage, NumericArray>();

  /** @throws ValueError for a limit that is no number of bytes. */
  constructor(options: ReferenceOptions = {}) {
    requireRecord('reference', 'options', options);
    const { maxBytes = DEFAULT_MAX_BYTES } = options;
    requireWhole('reference', 'maxBytes', maxBytes, 1);
    this.maxTensorBytes = maxBytes;
  }

  info(): BackendInfo {
    return { name: this.name, details: { engine: 'TypeScript', threads: 1 } };
  }

  dispose(): void {
    this.#numbers = new WeakMap();
    this.memory.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    const out = this.#zeros(data.length, dtype);
    // Before they count, for what is no number throws here.
    out.set(data);
    return this.#counted(out);
  }

  async read(x: Storage): Promise<NumericArray> {
    return this.readSync(x);
  }

  readSync(x: Storage): NumericArray {
    return this.#values(x).slice();
  }

  view(x: Storage): NumericArray {
    return this.#values(x);
  }

  free(x: Storage): void {
    if (this.memory.closed) return;
    this.memory.freed(this.#values(x).byteLength);
    this.#numbers.delete(x);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    const [y, out] = this.#make(size, dtype);
    out.fill(value);
    return y;
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const [y, out] = this.#make(x.size, x.dtype);
    const f = unaryFunction(op, alpha, beta);
    const source = this.#values(x);
    for (let i = 0; i < x.size; i++) out[i] = f(source[i]!);
    return y;
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    const [y, out] = this.#make(product(how.sizes), a.dtype);
    const f = binaryFunction(op);
    const left = this.#values(a);
    const right = this.#values(b);
    forEachIndex(how.sizes, (index, i) => {
      out[i] = f(left[dot(index, how.aStrides)]!, right[dot(index, how.bStrides)]!);
    });
    return y;
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    const kept = how.sizes.map((s, i) => (how.reduced[i] ? 1 : s));
    const strides = contiguousStrides(kept).map((s, i) => (how.reduced[i] ? 0 : s));
    const start = op === 'max' ? Number.NEGATIVE_INFINITY : 0;
    const sums = this.#array(product(kept), x.dtype, Float64Array).fill(start);
    const source = this.#values(x);
    forEachIndex(how.sizes, (index, i) => {
      const at = dot(index, strides);
      const v = source[i]!;
      sums[at] = op === 'max' ? Math.max(sums[at]!, v) : sums[at]! + (op === 'sum' ? v : v * v);
    });
    return this.#rounded(sums, x.dtype);
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    const [y, out] = this.#make(x.size, x.dtype);
    const source = this.#values(x);
    const sourceStrides = contiguousStrides(sizes);
    const strides = axes.map((a) => sourceStrides[a]!);
    forEachIndex(
      axes.map((a) => sizes[a]!),
      (index, i) => {
        out[i] = source[dot(index, strides)]!;
      },
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
    const [y, out] = this.#make(outer * length * inner, x.dtype);
    const source = this.#values(x);
    for (let o = 0; o < outer; o++) {
      const from = (o * axis + start) * inner;
      out.set(source.subarray(from, from + length * inner), o * length * inner);
    }
    return y;
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const axis = lengths.reduce((a, b) => a + b, 0);
    const [y, out] = this.#make(outer * axis * inner, parts[0]!.dtype);
    for (let o = 0; o < outer; o++) {
      let at = o * axis * inner;
      parts.forEach((part, p) => {
        const row = lengths[p]! * inner;
        out.set(this.#values(part).subarray(o * row, (o + 1) * row), at);
        at += row;
      });
    }
    return y;
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    const { batch, m, k, n } = g;
    const [y, out] = this.#make(batch * m * n, a.dtype);
    const left = this.#values(a);
    const right = this.#values(b);
    for (let s = 0; s < batch; s++) {
      const a0 = g.batchedA ? s * m * k : 0;
      const b0 = g.batchedB ? s * k * n : 0;
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) {
            const av = left[a0 + (g.transposeA ? l * m + i : i * k + l)]!;
            const bv = right[b0 + (g.transposeB ? j * k + l : l * n + j)]!;
            sum += av * bv;
          }
          out[(s * m + i) * n + j] = sum;
        }
      }
    }
    return y;
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const sums = this.#array(g.batch * g.outputChannels * product(g.output), x.dtype, Float64Array);
    const xv = this.#values(x);
    const wv = this.#values(w);
    forEachConvRow(g, (x0, step, wi, y0, count) => {
      for (let i = 0; i < count; i++) sums[y0 + i]! += xv[x0 + i * step]! * wv[wi]!;
    });
    const positions = product(g.output);
    const offsets = bias && this.#values(bias);
    for (let i = 0; i < sums.length; i++) {
      if (offsets) sums[i]! += offsets[Math.floor(i / positions) % g.outputChannels]!;
      if (activation === 'relu') sums[i] = Math.max(sums[i]!, 0);
    }
    return this.#rounded(sums, x.dtype);
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const sums = this.#array(g.batch * g.inputChannels * product(g.input), dy.dtype, Float64Array);
    const dyv = this.#values(dy);
    const wv = this.#values(w);
    forEachConvRow(g, (x0, step, wi, y0, count) => {
      for (let i = 0; i < count; i++) sums[x0 + i * step]! += dyv[y0 + i]! * wv[wi]!;
    });
    if (relu) {
      const x = this.#values(relu);
      for (let i = 0; i < sums.length; i++) if (!(x[i]! > 0)) sums[i] = 0;
    }
    return this.#rounded(sums, dy.dtype);
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const sums = this.#array(
      g.outputChannels * g.inputChannels * product(g.kernel),
      x.dtype,
      Float64Array,
    );
    const xv = this.#values(x);
    const dyv = this.#values(dy);
    forEachConvRow(g, (x0, step, wi, y0, count) => {
      for (let i = 0; i < count; i++) sums[wi]! += xv[x0 + i * step]! * dyv[y0 + i]!;
    });
    return this.#rounded(sums, x.dtype);
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const t = this.#values(target);
    const source = this.#values(x);
    for (let i = 0; i < t.length; i++) t[i]! += alpha * source[i]!;
  }

  assign(target: Storage, x: Storage): void {
    this.#values(target).set(this.#values(x));
  }

  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    const { learningRate, beta1, beta2, epsilon, gradientScale, targetScale = 1 } = settings;
    for (const { target, m, v, grad, step } of updates) {
      const [t, m1, m2, g] = [
        this.#values(target),
        this.#values(m),
        this.#values(v),
        this.#values(grad),
      ];
      const correction1 = 1 - beta1 ** step;
      const correction2 = 1 - beta2 ** step;
      for (let i = 0; i < t.length; i++) {
        const gi = gradientScale * g[i]!;
        m1[i] = beta1 * m1[i]! + (1 - beta1) * gi;
        m2[i] = beta2 * m2[i]! + (1 - beta2) * gi * gi;
        const step =
          (learningRate * (m1[i]! / correction1)) / (Math.sqrt(m2[i]! / correction2) + epsilon);
        t[i] = targetScale * t[i]! - step;
      }
    }
  }

  /** A new storage, and its numbers. */
  #make(size: number, dtype: DType): [y: Storage, out: NumericArray] {
    const out = this.#zeros(size, dtype);
    return [this.#counted(out), out];
  }

  #counted(out: NumericArray): Storage {
    this.memory.allocated(out.byteLength);
    const dtype = out instanceof Float64Array ? 'float64' : 'float32';
    const y: Storage = { size: out.length, dtype };
    this.#numbers.set(y, out);
    return y;
  }

  #zeros(size: number, dtype: DType): NumericArray {
    const Kind = dtype === 'float64' ? Float64Array : Float32Array;
    return this.#array<NumericArray>(size, dtype, Kind);
  }

  /** Sums as a result of a type. */
  #rounded(sums: Float64Array, dtype: DType): Storage {
    return dtype === 'float64' ? this.#counted(sums) : this.upload(sums, dtype);
  }

  /** Zeros of a kind, where there is room for a tensor of so many: its own, or sums for it. */
  #array<A extends NumericArray>(size: number, dtype: DType, Kind: new (size: number) => A): A {
    this.memory.requireOpen(this.name);
    const bytes = size * (dtype === 'float64' ? 8 : 4);
    const { liveBytes } = this.memory.info();
    requireRoom(this.name, bytes, liveBytes, this.maxTensorBytes);
    try {
      return new Kind(size);
    } catch (cause) {
      throw noRoom(this.name, bytes, liveBytes, this.maxTensorBytes, cause);
    }
  }

  #values(x: Storage): NumericArray {
    const values = this.#numbers.get(x);
    if (values) return values;
    this.memory.requireOpen(this.name);
    throw new BackendError('reference: got a storage of another backend, or one that was freed.');
  }
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}

function contiguousStrides(sizes: readonly number[]): number[] {
  return sizes.map((_, i) => product(sizes.slice(i + 1)));
}

function dot(index: readonly number[], strides: readonly number[]): number {
  let at = 0;
  for (let i = 0; i < index.length; i++) at += index[i]! * strides[i]!;
  return at;
}

/** Visits all indices in row-major order, with their running number. */
function forEachIndex(
  sizes: readonly number[],
  visit: (index: readonly number[], i: number) => void,
): void {
  const index = sizes.map(() => 0);
  const total = product(sizes);
  for (let i = 0; i < total; i++) {
    visit(index, i);
    for (let d = sizes.length - 1; d >= 0; d--) {
      index[d]! += 1;
      if (index[d]! < sizes[d]!) break;
      index[d] = 0;
    }
  }
}
