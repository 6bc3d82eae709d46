/**
 * Squeezes: maps that halve every spatial axis and multiply the channels by 2 per axis. All here
 * are orthogonal, so that inverse and adjoint are one. Mathematics: docs/math/shuffle-squeeze.md
 * and docs/math/haar-squeeze.md
 */
import {
  formatShape,
  matmul,
  permute,
  ShapeError,
  type Tensor,
  tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireTangent, zeroLogdet } from './checks.ts';
import type { Parameter } from './parameter.ts';

/** An orthogonal linear map without parameters; logdet = 0. Subclasses give the map and its transpose. */
export abstract class Squeeze implements Bijection {
  readonly parameters: readonly Parameter[] = [];

  /** y = Q x, of shape [N, 2ᵈC, size/2, …]. */
  protected abstract squeeze(x: Tensor): Tensor;
  /** x = Qᵀ y */
  protected abstract unsqueeze(y: Tensor): Tensor;

  /** @throws ShapeError for an odd spatial size or a wrong rank. */
  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    requireEven(x);
    return tidy(() => ({ y: this.squeeze(x), logdet: zeroLogdet(x) }));
  }

  /** @throws ShapeError unless the channels are a multiple of 2 per spatial axis. */
  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    requireSqueezed(y);
    return tidy(() => ({ x: this.unsqueeze(y), logdet: zeroLogdet(y) }));
  }

  backward(y: Tensor, dy: Tensor, _options: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    requireSqueezed(y);
    return tidy(() => ({ x: this.unsqueeze(y), dx: this.unsqueeze(dy) }));
  }

  backwardInverse(
    x: Tensor,
    dx: Tensor,
    _options: BackwardOptions = {},
  ): { y: Tensor; dy: Tensor } {
    requireEven(x);
    return tidy(() => ({ y: this.squeeze(x), dy: this.squeeze(dx) }));
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('squeeze', x, tangent, this.parameters);
    requireEven(x);
    return tidy(() => {
      const y = this.squeeze(x);
      const dy = tangent.x ? this.squeeze(tangent.x) : zerosLike(y);
      return { y, dy, logdet: zeroLogdet(x), dlogdet: zeroLogdet(x) };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('squeeze', y, tangent, this.parameters);
    requireSqueezed(y);
    return tidy(() => {
      const x = this.unsqueeze(y);
      const dx = tangent.x ? this.unsqueeze(tangent.x) : zerosLike(x);
      return { x, dx, logdet: zeroLogdet(y), dlogdet: zeroLogdet(y) };
    });
  }
}

/**
 * Which positions become channels, on a 4×4 image (numbers are output channels):
 * ```
 * column    patch     checkerboard
 * 1 1 1 1   1 1 2 2   1 2 1 2
 * 2 2 2 2   1 1 2 2   3 4 3 4
 * 3 3 3 3   3 3 4 4   1 2 1 2
 * 4 4 4 4   3 3 4 4   3 4 3 4
 * ```
 * `column` cuts the row-major memory of each channel into equal runs; `patch` takes quadrants;
 * `checkerboard` takes every second position along each axis.
 */
export type ShufflePattern = 'column' | 'patch' | 'checkerboard';

/**
 * A squeeze that moves numbers without changing them. `column` orders channels as c·2ᵈ + k, the
 * others as k·C + c, k being the position's number in the picture.
 *
 * @example
 * const { y } = new ShuffleSqueeze({ pattern: 'checkerboard' }).forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class ShuffleSqueeze extends Squeeze {
  readonly pattern: ShufflePattern;

  /** @throws ShapeError for an unknown pattern. */
  constructor({ pattern = 'checkerboard' }: { pattern?: ShufflePattern } = {}) {
    super();
    if (!['column', 'patch', 'checkerboard'].includes(pattern)) {
      throw new ShapeError(
        `ShuffleSqueeze: unknown pattern '${pattern}'; expected column, patch or checkerboard.`,
      );
    }
    this.pattern = pattern;
  }

  protected squeeze(x: Tensor): Tensor {
    if (this.pattern === 'column') return x.reshape(squeezedShape(x));
    return gather(x, this.pattern);
  }

  protected unsqueeze(y: Tensor): Tensor {
    if (this.pattern === 'column') return y.reshape(unsqueezedShape(y));
    return scatter(y, this.pattern);
  }
}

/**
 * One level of the orthonormal Haar transform: every 2ᵈ block becomes its averages and differences
 * along each axis. The first C channels are the low-pass band; channels are ordered k·C + c.
 *
 * @example const { y } = new HaarSqueeze().forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class HaarSqueeze extends Squeeze {
  protected squeeze(x: Tensor): Tensor {
    return mixBands(gather(x, 'checkerboard'));
  }

  protected unsqueeze(y: Tensor): Tensor {
    return scatter(mixBands(y), 'checkerboard');
  }
}

/** Multiplies the 2ᵈ bands by the symmetric orthonormal Hadamard matrix, its own inverse. */
function mixBands(y: Tensor): Tensor {
  const bands = 2 ** (y.rank - 2);
  const hadamard = new Float64Array(bands * bands);
  for (let i = 0; i < bands; i++) {
    for (let j = 0; j < bands; j++) {
      let sign = 1;
      for (let bits = i & j; bits > 0; bits >>= 1) if (bits & 1) sign = -sign;
      hadamard[i * bands + j] = sign / Math.sqrt(bands);
    }
  }
  const matrix = tensor(hadamard, [bands, bands], y);
  return matmul(matrix, y.reshape([y.shape[0]!, bands, -1])).reshape(y.shape);
}

/** Moves the half-axes in front of the channels: [N, C, …] → [N, 2ᵈC, …/2]. */
function gather(x: Tensor, pattern: 'patch' | 'checkerboard'): Tensor {
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const { wide, choice, rest } = axesOf(pattern, sizes);
  return permute(x.reshape([n, c, ...wide]), [0, ...choice, 1, ...rest]).reshape(squeezedShape(x));
}

/** The inverse of `gather`. */
function scatter(y: Tensor, pattern: 'patch' | 'checkerboard'): Tensor {
  const shape = unsqueezedShape(y);
  const [n, c, ...sizes] = shape as [number, number, ...number[]];
  const { wide, choice, rest } = axesOf(pattern, sizes);
  const axes = [0, ...choice, 1, ...rest];
  const source = [n, c, ...wide];
  const back = source.map((_, i) => axes.indexOf(i));
  return permute(y.reshape(axes.map((a) => source[a]!)), back).reshape(shape);
}

/** Each spatial axis cut in two, and which of the halves choose the channel. */
function axesOf(pattern: 'patch' | 'checkerboard', sizes: readonly number[]) {
  const cut = (s: number) => (pattern === 'patch' ? [2, s / 2] : [s / 2, 2]);
  const first = sizes.map((_, i) => 2 + 2 * i);
  const second = sizes.map((_, i) => 3 + 2 * i);
  return {
    wide: sizes.flatMap(cut),
    choice: pattern === 'patch' ? first : second,
    rest: pattern === 'patch' ? second : first,
  };
}

function squeezedShape(x: Tensor): number[] {
  return [x.shape[0]!, x.shape[1]! * 2 ** (x.rank - 2), ...x.shape.slice(2).map((s) => s / 2)];
}

function unsqueezedShape(y: Tensor): number[] {
  return [y.shape[0]!, y.shape[1]! / 2 ** (y.rank - 2), ...y.shape.slice(2).map((s) => s * 2)];
}

function requireEven(x: Tensor): void {
  requireSpatial(x);
  if (x.shape.slice(2).some((s) => s % 2 !== 0)) {
    throw new ShapeError(
      `squeeze: got ${formatShape(x.shape)}; expected even spatial sizes, to be halved.`,
    );
  }
}

function requireSqueezed(y: Tensor): void {
  requireSpatial(y);
  const factor = 2 ** (y.rank - 2);
  if (y.shape[1]! % factor !== 0) {
    throw new ShapeError(
      `squeeze, inverse: got ${formatShape(y.shape)}; expected channels that are a multiple of ${factor}.`,
    );
  }
}

function requireSpatial(x: Tensor): void {
  if (x.rank < 3 || x.rank > 5) {
    throw new ShapeError(
      `squeeze: got ${formatShape(x.shape)}; expected [N, C, W], [N, C, H, W] or [N, C, D, H, W].`,
    );
  }
}
