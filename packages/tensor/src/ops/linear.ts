/** Matrix products and convolutions with their two adjoints. */
import type { ConvActivation, ConvGeometry, Shape, Triple } from '../backend.ts';
import { requireBoolean, requireOneOf, requireOptions } from '../checks.ts';
import { formatShape, formatValue, ShapeError } from '../errors.ts';
import { checkShape, sameShape, type Tensor } from '../tensor.ts';
import { commonBackend, wrap } from './operands.ts';

/** Which operands of a product are transposed in their last two axes. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/**
 * Matrix product of the last two axes; a rank-3 operand is a batch, a rank-2 one is shared by it.
 *
 * @throws ShapeError when inner sizes or batches differ.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  requireOptions('matmul', options, ['transposeA', 'transposeB']);
  const { transposeA = false, transposeB = false } = options;
  requireBoolean('matmul', 'transposeA', transposeA);
  requireBoolean('matmul', 'transposeB', transposeB);
  const backend = commonBackend('matmul', a, b);
  const describe = () =>
    `${formatShape(a.shape)}${transposeA ? 'ᵀ' : ''} · ${formatShape(b.shape)}${transposeB ? 'ᵀ' : ''}`;
  if (a.rank < 2 || a.rank > 3 || b.rank < 2 || b.rank > 3) {
    throw new ShapeError(
      `matmul: ${describe()}; expected matrices or batches of them (rank 2 or 3).`,
    );
  }
  const [m, k] = lastTwo(a.shape, transposeA);
  const [kb, n] = lastTwo(b.shape, transposeB);
  const batchedA = a.rank === 3;
  const batchedB = b.rank === 3;
  const batch = batchedA ? a.shape[0]! : batchedB ? b.shape[0]! : 1;
  if (k !== kb || (batchedA && batchedB && a.shape[0] !== b.shape[0])) {
    throw new ShapeError(`matmul: ${describe()}; expected equal inner sizes and equal batches.`);
  }
  const storage = backend.matmul(a.storage, b.storage, {
    batch,
    m,
    k,
    n,
    transposeA,
    transposeB,
    batchedA,
    batchedB,
  });
  return wrap(batchedA || batchedB ? [batch, m, n] : [m, n], backend, storage);
}

/** Stride and zero padding of a convolution: one number for all axes, or one per axis. */
export interface ConvOptions {
  /** Default 1. */
  readonly stride?: number | readonly number[];
  /** Zeros on both sides. Default 0. */
  readonly padding?: number | readonly number[];
}

/** What is fused behind a convolution. */
export interface ConvEpilogue {
  /** Added per output channel, shape [Cout]. */
  readonly bias?: Tensor;
  readonly activation?: ConvActivation;
}

/**
 * Cross-correlation in 1D, 2D or 3D by the rank of x: x [N, Cin, ...], w [Cout, Cin, ...kernel];
 * output size ⌊(size + 2·padding − kernel)/stride⌋ + 1 along each axis.
 *
 * @throws ShapeError when ranks or channels do not fit, or the kernel is larger than the input.
 */
export function conv(x: Tensor, w: Tensor, options: ConvOptions & ConvEpilogue = {}): Tensor {
  requireOptions('conv', options, convOptions);
  const { bias, activation = 'none' } = options;
  requireOneOf('conv', 'activation', activation, ['none', 'relu']);
  const backend = commonBackend('conv', x, w, ...(bias === undefined ? [] : [bias]));
  const g = convGeometry('conv', x.shape, w.shape, options);
  if (bias && bias.size !== g.outputChannels) {
    throw new ShapeError(
      `conv: bias ${formatShape(bias.shape)} for ${g.outputChannels} output channels.`,
    );
  }
  const storage = backend.conv(x.storage, w.storage, bias?.storage, activation, g);
  return wrap(outputShape(g, x.rank), backend, storage);
}

/** What is fused behind the gradient of a convolution with respect to its input. */
export interface ConvInputGradEpilogue {
  /**
   * The convolution's input, where a ReLU made it: the result is then the gradient before that ReLU,
   * which is zero where the input is not positive.
   */
  readonly relu?: Tensor;
}

/**
 * Gradient of a convolution with respect to its input, of shape `inputShape`.
 *
 * @throws ShapeError when dy has not the shape of the output, or `relu` not that of the input.
 * @example const da = convInputGrad(dy, w, h.shape, { padding: 1, relu: h }); // h = relu(a), y = w ∗ h
 */
export function convInputGrad(
  dy: Tensor,
  w: Tensor,
  inputShape: Shape,
  options: ConvOptions & ConvInputGradEpilogue = {},
): Tensor {
  requireOptions('convInputGrad', options, inputGradOptions);
  const { relu } = options;
  const others = relu === undefined ? [] : [relu];
  const backend = commonBackend('convInputGrad', dy, w, ...others);
  const shape = checkShape('convInputGrad', inputShape);
  const g = convGeometry('convInputGrad', shape, w.shape, options);
  requireOutput('convInputGrad', dy, g);
  if (relu && !sameShape(relu.shape, shape)) {
    throw new ShapeError(
      `convInputGrad: relu is ${formatShape(relu.shape)}; expected the convolution's input, ` +
        `${formatShape(shape)}.`,
    );
  }
  const storage = backend.convInputGrad(dy.storage, w.storage, relu?.storage, g);
  return wrap(shape, backend, storage);
}

/** Gradient of a convolution with respect to its weights, of shape `weightShape`. */
export function convFilterGrad(
  x: Tensor,
  dy: Tensor,
  weightShape: Shape,
  options: ConvOptions = {},
): Tensor {
  requireOptions('convFilterGrad', options, geometryOptions);
  const backend = commonBackend('convFilterGrad', x, dy);
  const shape = checkShape('convFilterGrad', weightShape);
  const g = convGeometry('convFilterGrad', x.shape, shape, options);
  requireOutput('convFilterGrad', dy, g);
  return wrap(shape, backend, backend.convFilterGrad(x.storage, dy.storage, g));
}

const geometryOptions = ['stride', 'padding'];
const convOptions = [...geometryOptions, 'bias', 'activation'];
const inputGradOptions = [...geometryOptions, 'relu'];

/** Beyond it, places in an image would not fit into the 32-bit integers of kernels. */
const MOST_STEPS = 2 ** 28;

function lastTwo(shape: Shape, transpose: boolean): [number, number] {
  const rows = shape[shape.length - 2]!;
  const columns = shape[shape.length - 1]!;
  return transpose ? [columns, rows] : [rows, columns];
}

function convGeometry(op: string, x: Shape, w: Shape, options: ConvOptions): ConvGeometry {
  const axes = x.length - 2;
  if (axes < 1 || axes > 3 || w.length !== x.length) {
    throw new ShapeError(
      `${op}: input ${formatShape(x)} and weights ${formatShape(w)}; expected [N, Cin, ...] and ` +
        '[Cout, Cin, ...kernel] with one to three spatial axes each.',
    );
  }
  if (x[1] !== w[1]) {
    throw new ShapeError(
      `${op}: input ${formatShape(x)} has ${x[1]} channels, weights ${formatShape(w)} take ${w[1]}; ` +
        'expected [N, Cin, ...] and [Cout, Cin, ...kernel].',
    );
  }
  const input = triple(x.slice(2), 1);
  const kernel = triple(w.slice(2), 1);
  const stride = triple(perAxis(op, 'stride', options.stride ?? 1, axes, 1), 1);
  const padding = triple(perAxis(op, 'padding', options.padding ?? 0, axes, 0), 0);
  const along = (i: 0 | 1 | 2) =>
    Math.floor((input[i] + 2 * padding[i] - kernel[i]) / stride[i]) + 1;
  const output: Triple = [along(0), along(1), along(2)];
  if (output.some((s) => s < 1)) {
    throw new ShapeError(
      `${op}: kernel ${formatShape(kernel)} does not fit in input ${formatShape(x)} with padding ` +
        `${formatShape(padding)}.`,
    );
  }
  return {
    batch: x[0]!,
    inputChannels: x[1]!,
    outputChannels: w[0]!,
    input,
    output,
    kernel,
    stride,
    padding,
  };
}

function perAxis(
  op: string,
  name: string,
  value: number | readonly number[],
  axes: number,
  least: number,
): readonly number[] {
  const fits = (v: number) => Number.isInteger(v) && v >= least && v <= MOST_STEPS;
  if (typeof value === 'number' && fits(value)) return new Array<number>(axes).fill(value);
  if (!Array.isArray(value) || value.length !== axes || !Array.from(value).every(fits)) {
    throw new ShapeError(
      `${op}: ${name} is ${formatValue(value)}; expected ${axes} whole numbers from ${least} to ` +
        `${MOST_STEPS}, or one for all axes.`,
    );
  }
  return value;
}

function triple(values: readonly number[], missing: number): Triple {
  const at = (i: number) => values[values.length - 3 + i] ?? missing;
  return [at(0), at(1), at(2)];
}

function outputShape(g: ConvGeometry, rank: number): Shape {
  return [g.batch, g.outputChannels, ...g.output.slice(5 - rank)];
}

function requireOutput(op: string, dy: Tensor, g: ConvGeometry): void {
  const expected = outputShape(g, dy.rank);
  if (!sameShape(dy.shape, expected)) {
    throw new ShapeError(
      `${op}: gradient ${formatShape(dy.shape)}; expected the output's shape ${formatShape(expected)}.`,
    );
  }
}
