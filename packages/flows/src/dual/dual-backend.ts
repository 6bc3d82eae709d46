/**
 * A backend of dual numbers: each storage holds numbers of another backend, and their derivatives along one direction.
 * So what runs on it is differentiated by the code that it runs by, backward passes among it, and new layers need
 * nothing of their own. Mathematics: docs/math/flows/score.md
 *
 * Left out: fused passes, in place of which layers compose their maps; optimizers; and several directions at once.
 */
import {
  type Backend,
  BackendError,
  type BackendInfo,
  type BinaryOp,
  type Broadcast,
  type ConvActivation,
  type ConvGeometry,
  type DType,
  type MatmulGeometry,
  type MemoryAccount,
  type NumericArray,
  type ReduceOp,
  type Reduction,
  type Storage,
  type UnaryOp,
} from '@invnet/tensor';
import { binaryTangent, reduceTangent, unaryTangent } from './tangents.ts';
import { Work } from './work.ts';

/** Numbers of the other backend, and their derivatives unless those are 0. */
class Dual implements Storage {
  readonly size: number;
  readonly dtype: DType;
  value: Storage;
  tangent: Storage | undefined;
  /** Are both freed with it? */
  owned: boolean;

  constructor(value: Storage, tangent: Storage | undefined, owned = true) {
    this.size = value.size;
    this.dtype = value.dtype;
    this.value = value;
    this.tangent = tangent;
    this.owned = owned;
  }
}

export class DualBackend implements Backend {
  readonly name = 'dual';
  readonly dtypes: readonly DType[];
  /** That of the other backend, where all the numbers are. */
  readonly memory: MemoryAccount;
  readonly maxTensorBytes: number;
  readonly #inner: Backend;

  constructor(inner: Backend, dtype: DType) {
    this.#inner = inner;
    this.dtypes = [dtype];
    this.memory = inner.memory;
    this.maxTensorBytes = inner.maxTensorBytes;
  }

  info(): BackendInfo {
    return { name: this.name, details: { inner: this.#inner.name } };
  }

  /** It has nothing of its own. */
  dispose(): void {}

  [Symbol.dispose](): void {}

  /** A storage of numbers and derivatives that stay the caller's. */
  lift(value: Storage, tangent?: Storage): Storage {
    return new Dual(value, tangent, false);
  }

  /** Lets a storage hold other numbers of the same size, which stay the caller's. */
  bind(x: Storage, value: Storage, tangent?: Storage): void {
    const own = dual(x);
    this.free(own);
    own.value = value;
    own.tangent = tangent;
    own.owned = false;
  }

  /** The numbers of a storage and their derivatives, which the caller owns from then on. */
  take(x: Storage): { value: Storage; tangent: Storage } {
    const own = dual(x);
    const { value, tangent, owned } = own;
    own.owned = false;
    const copy = (s: Storage) => this.#inner.unary('affine', s, 1, 0);
    return {
      value: owned ? value : copy(value),
      tangent: tangent ? (owned ? tangent : copy(tangent)) : this.#zeros(x),
    };
  }

  upload(data: ArrayLike<number>, dtype: DType): Storage {
    return new Dual(this.#inner.upload(data, dtype), undefined);
  }

  read(x: Storage): Promise<NumericArray> {
    return this.#inner.read(dual(x).value);
  }

  readSync(x: Storage): NumericArray {
    return this.#inner.readSync(dual(x).value);
  }

  free(x: Storage): void {
    const { value, tangent, owned } = dual(x);
    if (!owned) return;
    this.#inner.free(value);
    if (tangent) this.#inner.free(tangent);
  }

  fill(size: number, value: number, dtype: DType): Storage {
    return new Dual(this.#inner.fill(size, value, dtype), undefined);
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const { value, tangent: moving, dtype } = dual(x);
    // So large a sum is rounded to whole numbers, which is how layers round: its derivative is 0.
    const rounds = op === 'affine' && Math.abs(beta) >= (dtype === 'float64' ? 2 ** 52 : 2 ** 23);
    const tangent = rounds ? undefined : moving;
    return this.#made(
      this.#inner.unary(op, value, alpha, beta),
      (work, y) => tangent && unaryTangent(work, op, { x: value, y, dx: tangent, alpha }),
    );
  }

  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage {
    const [left, right] = [dual(a), dual(b)];
    return this.#made(this.#inner.binary(op, left.value, right.value, how), (work, y) =>
      binaryTangent(work, op, { a: left, b: right, y, how }),
    );
  }

  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage {
    const { value, tangent } = dual(x);
    return this.#made(
      this.#inner.reduce(op, value, how),
      (work, y) => tangent && reduceTangent(work, op, { x: value, y, dx: tangent, how }),
    );
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    return this.#linear(x, (s) => this.#inner.permute(s, sizes, axes));
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    return this.#linear(x, (s) => this.#inner.slice(s, outer, axis, inner, start, length));
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const all = parts.map(dual);
    const join = (some: readonly Storage[]) => this.#inner.concat(some, outer, lengths, inner);
    return this.#made(join(all.map(({ value }) => value)), (work) => {
      if (!all.some(({ tangent }) => tangent)) return undefined;
      return work.note(join(all.map(({ value, tangent }) => tangent ?? work.fill(value, 0))));
    });
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    return this.#bilinear(a, b, (left, right) => this.#inner.matmul(left, right, g));
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const [input, filters, shift] = [dual(x), dual(w), bias && dual(bias)];
    const plain = (left: Storage, right: Storage, by?: Storage) =>
      this.#inner.conv(left, right, by, 'none', g);
    const value = this.#inner.conv(input.value, filters.value, shift?.value, activation, g);
    return this.#made(value, (work, y) => {
      const product = work.products(input, filters, plain);
      const positions = g.output.reduce((a, b) => a * b);
      const moved = work.sum(
        product,
        shift?.tangent &&
          work.expand(shift.tangent, [g.batch, g.outputChannels, positions], [0, 1, 0]),
      );
      return moved && activation === 'relu' ? work.binary('reluGrad', y, moved) : moved;
    });
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const mask = relu && dual(relu).value;
    return this.#bilinear(dy, w, (left, right) => this.#inner.convInputGrad(left, right, mask, g));
  }

  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    return this.#bilinear(x, dy, (left, right) => this.#inner.convFilterGrad(left, right, g));
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const [own, { value, tangent }] = [dual(target), dual(x)];
    this.#inner.accumulate(own.value, value, alpha);
    if (!tangent) return;
    own.tangent ??= this.#zeros(own);
    this.#inner.accumulate(own.tangent, tangent, alpha);
  }

  assign(target: Storage, x: Storage): void {
    const [own, { value, tangent }] = [dual(target), dual(x)];
    this.#inner.assign(own.value, value);
    if (!tangent && !own.tangent) return;
    own.tangent ??= this.#zeros(own);
    if (tangent) this.#inner.assign(own.tangent, tangent);
    else this.#inner.accumulate(own.tangent, own.tangent, -1);
  }

  adam(): void {
    throw new BackendError('dual: an optimizer updates parameters here; expected a network alone.');
  }

  #zeros({ size, dtype }: Storage): Storage {
    return this.#inner.fill(size, 0, dtype);
  }

  /** A result, with the tangent that is computed from it and may be 0. */
  #made(value: Storage, tangent: (work: Work, y: Storage) => Storage | undefined): Storage {
    const work = new Work(this.#inner);
    try {
      return new Dual(value, work.done(tangent(work, value)));
    } catch (error) {
      work.done(undefined);
      this.#inner.free(value);
      throw error;
    }
  }

  #linear(x: Storage, f: (s: Storage) => Storage): Storage {
    const { value, tangent } = dual(x);
    return this.#made(f(value), (work) => tangent && work.note(f(tangent)));
  }

  #bilinear(a: Storage, b: Storage, f: (left: Storage, right: Storage) => Storage): Storage {
    const [left, right] = [dual(a), dual(b)];
    return this.#made(f(left.value, right.value), (work) => work.products(left, right, f));
  }
}

function dual(x: Storage): Dual {
  if (x instanceof Dual) return x;
  throw new BackendError('dual: got a storage of another backend; expected one of this one.');
}
