/**
 * Cartesian magnetic resonance imaging: some lines of an image's Fourier transform.
 * Mathematics: docs/math/operators/phase-encoded-fourier.md
 *
 * Left out: the transform along the readout, which is orthogonal and sampled in full, so that nothing depends on it;
 * and trajectories other than lines.
 */
import {
  add,
  concat,
  formatShape,
  formatValue,
  keep,
  matmul,
  mul,
  OutOfMemoryError,
  permute,
  requireList,
  requireOptions,
  requireTensor,
  type Shape,
  ShapeError,
  slice,
  sub,
  sum,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { ImagingOperator, imageSize } from './operator.ts';

/** Places of lines, from 0 to H − 1. */
export type Lines = readonly number[] | Uint32Array;

/** Options of `PhaseEncodedFourier`. */
export interface PhaseEncodedFourierOptions {
  /** [H, W]: phase-encoding lines, and pixels along the readout. */
  readonly size: readonly [number, number];
  /** The lines that are sampled, or as many for each sample of a batch: a list of lists. */
  readonly lines: Lines | readonly Lines[];
  /** Sensitivities [K, 2, H, W] of K coils, real and imaginary parts. Default: one coil that sees all alike. */
  readonly coils?: Tensor;
}

/**
 * d = M F S u: complex images [N, 2, H, W], real and imaginary parts, to sampled lines [N, 2, L, W], or
 * [N, 2K, L, W] with K coils, (re, im) coil after coil.
 *
 * F is the orthonormal, centred Fourier transform along the phase-encoding axis H: line j is the frequency j − ⌊H/2⌋,
 * and ⌊H/2⌋ the one of the mean, as in numpy's `fftshift(fft(ifftshift(u, 0), axis=0, norm='ortho'), 0)`. H and W
 * are any size. Data are in hybrid space: transformed back along the readout.
 *
 * `adjoint` is the zero-filled reconstruction (Σ over coils, of conjugate sensitivity). ‖A‖ ≤ 1 without coils, and
 * with those whose squares add up to at most 1 in each pixel.
 *
 * `lines` can be set, so that each batch has a mask of its own while the operator stays the same object, as a
 * network needs it. It has to stay as it is from a `forward` to its `backward`, which applies the operator again.
 *
 * @example
 * const lines = () => cartesianLines({ size: 128, acceleration: 4, random });
 * const operator = new PhaseEncodedFourier({ size: [128, 128], lines: lines() });
 * const data = operator.forward(images); // [N, 2, 32, 128]
 * const zeroFilled = operator.adjoint(data); // [N, 2, 128, 128]
 * operator.lines = [lines(), lines()]; // other ones for each of two samples
 */
export class PhaseEncodedFourier extends ImagingOperator {
  readonly domain: Shape;
  readonly #size: readonly [number, number];
  readonly #coils: Coils | undefined;
  #lines: Lines | readonly Lines[];
  /** The real matrix of M F, [2L, 2H], or [N, 2L, 2H]. */
  #matrix: Tensor;

  /**
   * @throws ValueError for sizes, or lines that are none, outside, repeated, or not as many for each sample.
   * @throws ShapeError for coils of another size.
   */
  constructor(options: PhaseEncodedFourierOptions) {
    super();
    requireOptions('PhaseEncodedFourier', options, ['size', 'lines', 'coils']);
    const { size, lines, coils } = options;
    const [height, width] = imageSize('PhaseEncodedFourier', size, [2 ** 12, 2 ** 16]);
    this.#size = [height, width];
    this.domain = [2, height, width];
    this.#lines = checkedLines(lines, height);
    this.#matrix = sampledRows(this.#lines, height);
    try {
      this.#coils = coils === undefined ? undefined : coilMaps(coils, this.domain);
    } catch (error) {
      this.#matrix.dispose();
      throw error;
    }
  }

  /** Those that are sampled; set them for other ones, which takes the place of making another operator. */
  get lines(): Lines | readonly Lines[] {
    return this.#lines;
  }

  set lines(lines: Lines | readonly Lines[]) {
    const checked = checkedLines(lines, this.#size[0]);
    const matrix = sampledRows(checked, this.#size[0]);
    this.#matrix.dispose();
    this.#matrix = matrix;
    this.#lines = checked;
  }

  get range(): Shape {
    const { count = 1 } = this.#coils ?? {};
    return [2 * count, this.#matrix.shape.at(-2)! / 2, this.#size[1]];
  }

  override get batch(): number | undefined {
    return this.#matrix.rank === 3 ? this.#matrix.shape[0] : undefined;
  }

  protected apply(u: Tensor): Tensor {
    const [height, width] = this.#size;
    const n = u.shape[0]!;
    const [channels, lines] = this.range;
    if (!this.#coils) {
      return matmul(this.#matrix, u.reshape([n, 2 * height, width])).reshape([n, ...this.range]);
    }
    const { re, im, count } = this.#coils;
    const [ur, ui] = parts(u.reshape([n, 2, height, 1, width]));
    const seen = concat([sub(mul(ur, re), mul(ui, im)), add(mul(ur, im), mul(ui, re))], 1);
    const data = matmul(this.#matrix, seen.reshape([n, 2 * height, count * width]));
    return permute(data.reshape([n, 2, lines!, count, width]), [0, 3, 1, 2, 4]).reshape([
      n,
      channels!,
      lines!,
      width,
    ]);
  }

  protected applyAdjoint(r: Tensor): Tensor {
    const [height, width] = this.#size;
    const n = r.shape[0]!;
    const lines = this.range[1]!;
    const transposed = { transposeA: true };
    if (!this.#coils) {
      const image = matmul(this.#matrix, r.reshape([n, 2 * lines, width]), transposed);
      return image.reshape([n, ...this.domain]);
    }
    const { re, im, count } = this.#coils;
    const data = permute(r.reshape([n, count, 2, lines, width]), [0, 2, 3, 1, 4]);
    const seen = matmul(this.#matrix, data.reshape([n, 2 * lines, count * width]), transposed);
    const [vr, vi] = parts(seen.reshape([n, 2, height, count, width]));
    const overCoils = (x: Tensor) => sum(x, { axes: [3] }).reshape([n, 1, height, width]);
    const ur = overCoils(add(mul(vr, re), mul(vi, im)));
    const ui = overCoils(sub(mul(vi, re), mul(vr, im)));
    return concat([ur, ui], 1);
  }

  override dispose(): void {
    this.#matrix.dispose();
    this.#coils?.re.dispose();
    this.#coils?.im.dispose();
  }
}

/** Sensitivities, [1, 1, H, K, W] each, beside images [N, 2, H, 1, W]. */
interface Coils {
  readonly re: Tensor;
  readonly im: Tensor;
  readonly count: number;
}

function coilMaps(coils: Tensor, image: Shape): Coils {
  const { shape } = requireTensor('PhaseEncodedFourier', coils, 'coils');
  const [count = 0, ...rest] = shape;
  if (rest.length !== 3 || rest.some((s, i) => s !== image[i])) {
    throw new ShapeError(
      `PhaseEncodedFourier: coils of ${formatShape(shape)} for images ${formatShape([1, ...image])}; ` +
        `expected [K, ${image.join(', ')}].`,
    );
  }
  const part = (channel: number) => {
    const map = permute(slice(coils, 1, channel, 1), [1, 2, 0, 3]);
    return keep(map.reshape([1, ...map.shape]));
  };
  return tidy(() => ({ re: part(0), im: part(1), count }));
}

/** Real and imaginary parts, the halves of axis 1. */
function parts(x: Tensor): [Tensor, Tensor] {
  return [slice(x, 1, 0, 1), slice(x, 1, 1, 1)];
}

/** A copy that nobody else changes. */
function checkedLines(lines: Lines | readonly Lines[], height: number): Lines | readonly Lines[] {
  if (!isPerSample(lines)) return linesOfSample(lines, height, 'lines');
  const all = lines.map((each, n) => linesOfSample(each, height, `lines of sample ${n}`));
  const other = all.findIndex((each) => each.length !== all[0]!.length);
  if (other < 0) return all;
  throw new ValueError(
    `PhaseEncodedFourier: ${all[0]!.length} lines of sample 0 and ${all[other]!.length} of sample ${other}; ` +
      'expected as many for each, so that their data have one shape.',
  );
}

function isPerSample(lines: Lines | readonly Lines[]): lines is readonly Lines[] {
  return Array.isArray(lines) && typeof lines[0] === 'object';
}

function linesOfSample(lines: Lines, height: number, what: string): Uint32Array {
  if (!(lines instanceof Uint32Array)) requireList('PhaseEncodedFourier', what, lines);
  if (lines.length === 0) {
    throw new ValueError(
      `PhaseEncodedFourier: ${what} are none; expected at least one from 0 to ${height - 1}.`,
    );
  }
  const seen = new Set<number>();
  for (const line of lines) {
    const inside = Number.isInteger(line) && line >= 0 && line < height;
    if (inside && !seen.has(line)) {
      seen.add(line);
      continue;
    }
    const found = inside ? `line ${line} twice` : `line ${formatValue(line)}`;
    throw new ValueError(
      `PhaseEncodedFourier: ${what} have ${found}; expected whole numbers from 0 to ${height - 1}, each once.`,
    );
  }
  return Uint32Array.from(lines);
}

/** [C, S; −S, C] for the cosines and sines of the sampled rows, of all samples or of each. */
function sampledRows(lines: Lines | readonly Lines[], height: number): Tensor {
  const samples = isPerSample(lines) ? lines : [lines];
  const count = samples[0]!.length;
  const center = Math.floor(height / 2);
  const scale = 1 / Math.sqrt(height);
  const turn = (m: number) => (2 * Math.PI * m) / height;
  const cosines = Float64Array.from({ length: height }, (_, m) => scale * Math.cos(turn(m)));
  const sines = Float64Array.from({ length: height }, (_, m) => scale * Math.sin(turn(m)));
  const block = 4 * count * height;
  if (samples.length * block > 2 ** 27) {
    throw new OutOfMemoryError(
      `PhaseEncodedFourier: ${count} lines of ${height} for ${samples.length} samples take a matrix of ` +
        `${samples.length * block} numbers; expected at most 2^27. Share lines between samples, or take fewer.`,
    );
  }
  const rows = new Float64Array(samples.length * block);
  samples.forEach((each, n) => {
    each.forEach((line, l) => {
      const real = n * block + l * 2 * height;
      const imaginary = real + count * 2 * height;
      for (let h = 0; h < height; h++) {
        const m = ((line - center) * (h - center)) % height;
        const at = m < 0 ? m + height : m;
        rows[real + h] = cosines[at]!;
        rows[real + height + h] = sines[at]!;
        rows[imaginary + h] = -sines[at]!;
        rows[imaginary + height + h] = cosines[at]!;
      }
    });
  });
  const shape = [2 * count, 2 * height];
  return keep(tensor(rows, isPerSample(lines) ? [samples.length, ...shape] : shape));
}
