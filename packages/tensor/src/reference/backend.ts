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
import { BackendError } from '../errors.ts';
import { DEFAULT_MAX_BYTES, MemoryAccount, noRoom, requireRoom } from '../memory.ts';
import { forEachConvTap } from './conv.ts';
import { binaryFunction, unaryFunction } from './functions.ts';

class ReferenceStorage implements Storage {
  readonly dtype: DType;
  readonly size: number;
  readonly values: NumericArray;

  constructor(values: NumericArray) {
    this.values = values;
    this.size = values.length;
    this.dtype = values instanceof Float64Array ? 'float64' : 'float32';
  }
}

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

  constructor({ maxBytes = DEFAULT_MAX_BYTES }: ReferenceOptions = {}) {
    this.maxTensorBytes = maxBytes;
  }

  info(): BackendInfo {
    return { name: this.name, details: { engine: 'TypeScript', threads: 1 } };
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    const numbers = this.#zeros(data.length, dtype);
    // Before they count, for what is no number throws here.
    numbers.set(data);
    return this.#counted(numbers);
  }

  async read(x: Storage): Promise<NumericArray> {
    return this.readSync(x);
  }

  readSync(x: Storage): NumericArray {
    return values(x).slice();
  }

  free(x: Storage): void {
    this.memory.freed(values(x).byteLength);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    const out = this.#make(size, dtype);
    out.values.fill(value);
    return out;
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const out = this.#make(x.size, x.dtype);
    const f = unaryFunction(op, alpha, beta);
    const source = values(x);
    for (let i = 0; i < x.size; i++) out.values[i] = f(source[i]!);
    return out;
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    const out = this.#make(product(how.sizes), a.dtype);
    const f = binaryFunction(op);
    const left = values(a);
    const right = values(b);
    forEachIndex(how.sizes, (index, i) => {
      out.values[i] = f(left[dot(index, how.aStrides)]!, right[dot(index, how.bStrides)]!);
    });
    return out;
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    const kept = how.sizes.map((s, i) => (how.reduced[i] ? 1 : s));
    const strides = contiguousStrides(kept).map((s, i) => (how.reduced[i] ? 0 : s));
    const start = op === 'max' ? Number.NEGATIVE_INFINITY : 0;
    const sums = this.#numbers(product(kept), x.dtype, Float64Array).fill(start);
    const source = values(x);
    forEachIndex(how.sizes, (index, i) => {
      const at = dot(index, strides);
      const v = source[i]!;
      sums[at] = op === 'max' ? Math.max(sums[at]!, v) : sums[at]! + (op === 'sum' ? v : v * v);
    });
    return this.upload(sums, x.dtype);
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    const out = this.#make(x.size, x.dtype);
    const source = values(x);
    const sourceStrides = contiguousStrides(sizes);
    const strides = axes.map((a) => sourceStrides[a]!);
    forEachIndex(
      axes.map((a) => sizes[a]!),
      (index, i) => {
        out.values[i] = source[dot(index, strides)]!;
      },
    );
    return out;
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    const out = this.#make(outer * length * inner, x.dtype);
    const source = values(x);
    for (let o = 0; o < outer; o++) {
      const from = (o * axis + start) * inner;
      out.values.set(source.subarray(from, from + length * inner), o * length * inner);
    }
    return out;
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const axis = lengths.reduce((a, b) => a + b, 0);
    const out = this.#make(outer * axis * inner, parts[0]!.dtype);
    for (let o = 0; o < outer; o++) {
      let at = o * axis * inner;
      parts.forEach((part, p) => {
        const row = lengths[p]! * inner;
        out.values.set(values(part).subarray(o * row, (o + 1) * row), at);
        at += row;
      });
    }
    return out;
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    const { batch, m, k, n } = g;
    const out = this.#make(batch * m * n, a.dtype);
    const left = values(a);
    const right = values(b);
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
          out.values[(s * m + i) * n + j] = sum;
        }
      }
    }
    return out;
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const sums = this.#numbers(
      g.batch * g.outputChannels * product(g.output),
      x.dtype,
      Float64Array,
    );
    const xv = values(x);
    const wv = values(w);
    forEachConvTap(g, (xi, wi, yi) => {
      sums[yi]! += xv[xi]! * wv[wi]!;
    });
    const positions = product(g.output);
    for (let i = 0; i < sums.length; i++) {
      if (bias) sums[i]! += values(bias)[Math.floor(i / positions) % g.outputChannels]!;
      if (activation === 'relu') sums[i] = Math.max(sums[i]!, 0);
    }
    return this.upload(sums, x.dtype);
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const sums = this.#numbers(
      g.batch * g.inputChannels * product(g.input),
      dy.dtype,
      Float64Array,
    );
    const dyv = values(dy);
    const wv = values(w);
    forEachConvTap(g, (xi, wi, yi) => {
      sums[xi]! += dyv[yi]! * wv[wi]!;
    });
    if (relu) {
      const x = values(relu);
      for (let i = 0; i < sums.length; i++) if (!(x[i]! > 0)) sums[i] = 0;
    }
    return this.upload(sums, dy.dtype);
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const sums = this.#numbers(
      g.outputChannels * g.inputChannels * product(g.kernel),
      x.dtype,
      Float64Array,
    );
    const xv = values(x);
    const dyv = values(dy);
    forEachConvTap(g, (xi, wi, yi) => {
      sums[wi]! += xv[xi]! * dyv[yi]!;
    });
    return this.upload(sums, x.dtype);
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const t = values(target);
    const source = values(x);
    for (let i = 0; i < t.length; i++) t[i]! += alpha * source[i]!;
  }

  assign(target: Storage, x: Storage): void {
    values(target).set(values(x));
  }

  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void {
    const { learningRate, beta1, beta2, epsilon, gradientScale } = settings;
    for (const { target, m, v, grad, step } of updates) {
      const [t, m1, m2, g] = [values(target), values(m), values(v), values(grad)];
      const correction1 = 1 - beta1 ** step;
      const correction2 = 1 - beta2 ** step;
      for (let i = 0; i < t.length; i++) {
        const gi = gradientScale * g[i]!;
        m1[i] = beta1 * m1[i]! + (1 - beta1) * gi;
        m2[i] = beta2 * m2[i]! + (1 - beta2) * gi * gi;
        t[i]! -=
          (learningRate * (m1[i]! / correction1)) / (Math.sqrt(m2[i]! / correction2) + epsilon);
      }
    }
  }

  #make(size: number, dtype: DType): ReferenceStorage {
    return this.#counted(this.#zeros(size, dtype));
  }

  #counted(numbers: NumericArray): ReferenceStorage {
    this.memory.allocated(numbers.byteLength);
    return new ReferenceStorage(numbers);
  }

  #zeros(size: number, dtype: DType): NumericArray {
    const Kind = dtype === 'float64' ? Float64Array : Float32Array;
    return this.#numbers<NumericArray>(size, dtype, Kind);
  }

  /** Zeros of a kind, where there is room for a tensor of so many: its own, or sums for it. */
  #numbers<A extends NumericArray>(size: number, dtype: DType, Kind: new (size: number) => A): A {
    const bytes = size * (dtype === 'float64' ? 8 : 4);
    const { liveBytes } = this.memory.info();
    requireRoom(this.name, bytes, liveBytes, this.maxTensorBytes);
    try {
      return new Kind(size);
    } catch (cause) {
      throw noRoom(this.name, bytes, liveBytes, this.maxTensorBytes, cause);
    }
  }
}

function values(x: Storage): NumericArray {
  if (x instanceof ReferenceStorage) return x.values;
  throw new BackendError('reference: got a storage of another backend.');
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
