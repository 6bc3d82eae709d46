/** A lower resolution as a scanner has it: the centre of an image's Fourier transform. */
import {
  add,
  matmul,
  requireWhole,
  ShapeError,
  sqrt,
  square,
  sub,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';

/**
 * Magnitudes [N, size, size] of square real images [N, n, n] whose Fourier transform is kept at `size` × `size`
 * frequencies around the mean: u ↦ |C u Cᵀ|, Cᵢⱼ = 1/n · Σₖ exp(2πik((i − ⌊size/2⌋)/size − (j − ⌊n/2⌋)/n)) with
 * ⌊size/2⌋ frequencies below zero. Intensities stay as they are, and sharp edges ring.
 *
 * @throws ShapeError unless images are square, and no smaller than `size`.
 */
export function fourierCrop(images: Tensor, size: number): Tensor {
  const [count, n] = images.shape;
  if (images.rank !== 3 || n !== images.shape[2] || n! < size) {
    throw new ShapeError(
      `fourierCrop: images of [${images.shape.join(', ')}] to ${size} × ${size}; expected [N, n, n], n ≥ ${size}.`,
    );
  }
  requireWhole('fourierCrop', 'size', size, 1);
  return tidy(() => {
    const { re, im } = cropMatrix(n!, size);
    const right = { transposeB: true };
    const [a, b] = [re, im].map((c) => matmul(c, images));
    const real = sub(matmul(a!, re, right), matmul(b!, im, right));
    const imaginary = add(matmul(a!, im, right), matmul(b!, re, right));
    return sqrt(add(square(real), square(imaginary))).reshape([count!, size, size]);
  });
}

/** Real and imaginary part of C: the geometric sums, written out. */
function cropMatrix(n: number, size: number): { re: Tensor; im: Tensor } {
  const re = new Float64Array(size * n);
  const im = new Float64Array(size * n);
  const half = Math.floor(size / 2);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < n; j++) {
      const turn = Math.PI * ((i - half) / size - (j - Math.floor(n / 2)) / n);
      const whole = Math.sin(turn);
      const sum = Math.abs(whole) < 1e-12 ? size : Math.sin(size * turn) / whole;
      const middle = (size - 1 - 2 * half) * turn;
      re[i * n + j] = (sum * Math.cos(middle)) / n;
      im[i * n + j] = (sum * Math.sin(middle)) / n;
    }
  }
  return { re: tensor(re, [size, n]), im: tensor(im, [size, n]) };
}
