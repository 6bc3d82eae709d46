/**
 * The interface between tensors and the engine that computes them.
 *
 * A backend works on storages: contiguous blocks of numbers without a shape. Shapes, broadcasting,
 * checks and ownership are settled by the operations above it, which hand down small descriptions
 * (`Broadcast`, `Reduction`, `ConvGeometry`, …) in a canonical, collapsed form. So a backend is
 * loops and nothing else, and every backend passes the same conformance suite.
 *
 * Left out on purpose: automatic differentiation, lazy graphs, integer types.
 */
import type { MemoryAccount } from './memory.ts';
import type { SplineGeometry } from './spline.ts';

/** Element types. `float64` exists on the reference backend only, as the oracle of all tests. */
export type DType = 'float32' | 'float64';

/** Numbers as JavaScript holds them. */
export type NumericArray = Float32Array | Float64Array;

/** The array that numbers of a type are read into. */
export type ArrayOf<D extends DType> = D extends 'float64'
  ? Float64Array<ArrayBuffer>
  : Float32Array<ArrayBuffer>;

/** Sizes of a tensor, outermost first (row-major, batch first). */
export type Shape = readonly number[];

/** A block of `size` numbers that belongs to a backend; what is inside is the backend's own. */
export interface Storage {
  readonly size: number;
  readonly dtype: DType;
}

/**
 * Element-wise functions of one argument. `alpha` and `beta` are read by those that name them:
 * `affine` is αx + β, `leakyRelu` is x for x > 0 and αx otherwise, `power` is x^α.
 * `sign(0) = 0`; `softplus(x) = log(1 + eˣ)`, computed without overflow.
 */
export type UnaryOp =
  | 'abs'
  | 'affine'
  | 'exp'
  | 'leakyRelu'
  | 'log'
  | 'neg'
  | 'power'
  | 'reciprocal'
  | 'relu'
  | 'sigmoid'
  | 'sign'
  | 'softplus'
  | 'sqrt'
  | 'square'
  | 'tanh';

/**
 * Element-wise functions of two arguments (a, b). `reluGrad` is b where a > 0, else 0, and takes
 * either the input or the output of ReLU as a; `sigmoidGrad` is b·a(1 − a) and `tanhGrad` is
 * b·(1 − a²), a being the function's output; `atan2`-like functions are left out.
 */
export type BinaryOp =
  | 'add'
  | 'div'
  | 'max'
  | 'min'
  | 'mul'
  | 'reluGrad'
  | 'sigmoidGrad'
  | 'sub'
  | 'tanhGrad';

/**
 * How two operands meet: the loop sizes of the result, outermost first, and each operand's stride
 * in elements along every dimension, 0 where it is broadcast. Dimensions of size 1 are dropped and
 * adjacent ones merged where both strides allow, so two equal shapes arrive as one dimension with
 * strides [1], and a bias per channel as three: [N, C, P] with strides [0, 1, 0].
 * The result is contiguous. A single number arrives with `sizes` [1].
 */
export interface Broadcast {
  readonly sizes: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
}

/** Reductions over some dimensions of one operand. */
export type ReduceOp = 'max' | 'sum' | 'sumSquares';

/** Sizes of the operand with adjacent dimensions of one kind merged; `reduced[i]`: is it summed? */
export interface Reduction {
  readonly sizes: readonly number[];
  readonly reduced: readonly boolean[];
}

/**
 * C = op(A)·op(B), for `batch` matrices. op(A) is m×k, op(B) is k×n; a transposed operand is
 * stored as k×m (n×k). An operand that is not batched is shared by the whole batch.
 */
export interface MatmulGeometry {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly batchedA: boolean;
  readonly batchedB: boolean;
}

/** Depth, height and width; 1D and 2D convolutions have leading sizes of 1. */
export type Triple = readonly [number, number, number];

/**
 * A cross-correlation, y[n, o, p] = Σ x[n, i, stride·p + k − padding] w[o, i, k], with
 * x [batch, inputChannels, ...input], w [outputChannels, inputChannels, ...kernel] and
 * y [batch, outputChannels, ...output], output = ⌊(input + 2·padding − kernel)/stride⌋ + 1.
 */
export interface ConvGeometry {
  readonly batch: number;
  readonly inputChannels: number;
  readonly outputChannels: number;
  readonly input: Triple;
  readonly output: Triple;
  readonly kernel: Triple;
  readonly stride: Triple;
  readonly padding: Triple;
}

/** What is fused behind a convolution. */
export type ConvActivation = 'none' | 'relu';

/** The constants of an Adam update. */
export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Multiplies the gradient before use (clipping by global norm). */
  readonly gradientScale: number;
  /** Multiplies the target before its step (decoupled weight decay). Default: 1. */
  readonly targetScale?: number;
}

/** One parameter of an Adam update, with its moments; `step` counts its updates from 1. */
export interface AdamUpdate {
  readonly target: Storage;
  readonly m: Storage;
  readonly v: Storage;
  readonly grad: Storage;
  readonly step: number;
}

/**
 * An affine coupling whose scale is s = low + (high − low)·σ(r), for `batch` samples of `size`
 * numbers: y = s⊙x + t, or for the inverse map y = (x − t)/s. r and t come in one storage, r of each
 * sample before its t. In x, y and their gradients `kept` numbers of each sample come before those,
 * which stay as they are.
 */
export interface CouplingGeometry {
  readonly inverse: boolean;
  readonly batch: number;
  readonly kept: number;
  readonly size: number;
  readonly low: number;
  readonly high: number;
}

/** y = s x + b per channel of [batch, channels, positions], or for the inverse map y = (x − b)/s. */
export interface ChannelGeometry {
  readonly inverse: boolean;
  readonly batch: number;
  readonly channels: number;
  readonly positions: number;
}

/** What a backend says of itself: what actually runs, never what was asked for. */
export interface BackendInfo {
  readonly name: string;
  /** For instance `simd128`, the adapter's name, or the number of threads. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/**
 * The primitives. Every operation that returns a storage makes a new one, which the caller frees;
 * operands are never changed, but for those named `target`, which are updated in place.
 * Operands and result have one dtype. Sizes have been checked by the caller.
 */
export interface Backend extends Disposable {
  readonly name: string;
  readonly dtypes: readonly DType[];
  readonly memory: MemoryAccount;
  /** Bytes that one tensor may have at most, however much is free. */
  readonly maxTensorBytes: number;
  info(): BackendInfo;
  /**
   * Frees all memory and ends the threads. What uses the backend or its tensors later gets a
   * DisposedError; to dispose them, or the backend again, does nothing.
   */
  dispose(): void;

  /** Copies numbers in. @throws OutOfMemoryError */
  upload(data: ArrayLike<number>, dtype: DType): Storage;
  /** Copies numbers out, after everything that they depend on has run. */
  read(x: Storage): Promise<NumericArray>;
  /** As `read`, at once. A device that cannot throws a BackendError that says to use `data()`. */
  readSync(x: Storage): NumericArray;
  /**
   * The numbers where they lie, after everything that they depend on has run, to be read and written until the
   * next call of this backend; where a host can reach them.
   */
  view?(x: Storage): NumericArray;
  free(x: Storage): void;

  fill(size: number, value: number, dtype: DType): Storage;
  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage;
  binary(op: BinaryOp, a: Storage, b: Storage, how: Broadcast): Storage;
  reduce(op: ReduceOp, x: Storage, how: Reduction): Storage;

  /** Result axis i runs over the operand's axis `axes[i]`; `sizes` are the operand's. */
  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage;
  /** x as [outer, axis, inner]: takes `length` entries of the axis from `start` on. */
  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage;
  /** Parts as [outer, lengths[i], inner], joined along the middle axis. */
  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage;

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage;
  /** Convolution, with a bias per output channel and an activation fused behind it. */
  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage;
  /**
   * Gradient with respect to x: the adjoint of `conv` in x applied to dy. Where x is the output of a
   * ReLU and given as `relu`, the gradient before it: zero where x is not positive.
   */
  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage;
  /** Gradient with respect to w. */
  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage;

  /** target ← target + alpha·x */
  accumulate(target: Storage, x: Storage, alpha: number): void;
  /** target ← x */
  assign(target: Storage, x: Storage): void;
  /**
   * Adam (Kingma and Ba, 2015) on any number of parameters with moments m and v, all in place:
   * g ← gradientScale·grad; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
   * target ← targetScale·target − learningRate · (m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε)
   */
  adam(updates: readonly AdamUpdate[], settings: AdamSettings): void;

  /** Passes over an invertible layer in one go, where the backend has them; layers do without. */
  readonly fused?: FusedPasses;
}

/** Maps of invertible layers, and their derivatives with the argument recomputed from the result. */
export interface FusedPasses {
  /** y, and the log-determinant of the map per sample. */
  couple(x: Storage, rt: Storage, g: CouplingGeometry): [y: Storage, logdet: Storage];
  /** From y and the gradients with respect to y and the log-determinant: x, dx and drt. */
  coupleBack(
    y: Storage,
    dy: Storage,
    rt: Storage,
    dlogdet: Storage | undefined,
    g: CouplingGeometry,
  ): [x: Storage, dx: Storage, drt: Storage];
  /** Of each of `batch` samples, as many of the first numbers of target as x has: target ← target + x. */
  addToFirst(target: Storage, x: Storage, batch: number): void;
  /** y, and the log-determinant of the map per sample. */
  channelAffine(
    x: Storage,
    scale: Storage,
    shift: Storage,
    g: ChannelGeometry,
  ): [y: Storage, logdet: Storage];
  /** From y and the gradients of both results: x and dx, and the gradients of scale and shift. */
  channelAffineBack(
    y: Storage,
    dy: Storage,
    scale: Storage,
    shift: Storage,
    dlogdet: Storage | undefined,
    g: ChannelGeometry,
  ): [x: Storage, dx: Storage, dscale: Storage, dshift: Storage];
  /** W = H(v₁)H(v₂)H(v₃) with H(v) = I − 2vvᵀ/vᵀv. */
  reflections(v: Triplet): Storage;
  /** The gradients of the vectors for that of W. */
  reflectionsBack(v: Triplet, g: Storage): Triplet;
  /** y of x by splines, or x of y, and the logarithm of the slope of that, of each number. */
  spline?(
    given: Storage,
    p: Storage,
    inverse: boolean,
    g: SplineGeometry,
  ): readonly [found: Storage, log: Storage];
  /** From the result of that and the gradients of both: its argument, and the gradients of that and of p. */
  splineBack?(
    given: readonly [made: Storage, p: Storage, dmade: Storage, dlog: Storage | undefined],
    inverse: boolean,
    g: SplineGeometry,
  ): readonly [found: Storage, dfound: Storage, dp: Storage];
}

/** Three vectors of one length. */
export type Triplet = readonly [Storage, Storage, Storage];
