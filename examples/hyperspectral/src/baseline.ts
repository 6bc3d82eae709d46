/**
 * The baseline: kernel ridge regression on spectra, with a Gaussian kernel, of one number per class, the
 * largest of which is the prediction. It is as good as a support vector machine here (README.md).
 */
import { cg, makeOperator } from '@invnet/jvp';
import {
  add,
  affine,
  exp,
  matmul,
  type Shape,
  square,
  sum,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import type { Scene, Split } from './scene.ts';

/** γ of the kernel exp(−γ‖a − b‖²) of standardized spectra, and λ, the weight of the penalty. */
const [gamma, lambda] = [1 / 800, 1e-3];

/**
 * Labels [height, width], for the pixels that have one.
 *
 * @param side - What is predicted from: the mean spectrum of a square of so many pixels around each; of 1, its own.
 */
export async function kernelRidge(scene: Scene, split: Split, side: number): Promise<Uint8Array> {
  const { bands, labels, classes } = scene;
  const spectra = spectraOf(scene, side);
  const rowsOf = (pixels: readonly number[]) => {
    const rows = new Float32Array(pixels.length * bands);
    for (const [r, pixel] of pixels.entries()) {
      rows.set(spectra.subarray(pixel * bands, (pixel + 1) * bands), r * bands);
    }
    return tensor(rows, [pixels.length, bands]);
  };
  const trained = [...split.train.keys()].filter((i) => split.train[i] === 1);
  const labelled = [...labels.keys()].filter((i) => labels[i]! > 0);
  using a = rowsOf(trained);
  using b = rowsOf(labelled);
  using marks = marksOf(
    trained.map((i) => labels[i]! - 1),
    [trained.length, classes.length],
  );
  using weights = await fit(a, marks);
  using scores = tidy(() => matmul(gaussian(b, a), weights));
  const numbers = await scores.data();
  const predicted = new Uint8Array(labels.length);
  for (const [r, pixel] of labelled.entries()) {
    const row = numbers.subarray(r * classes.length, (r + 1) * classes.length);
    predicted[pixel] = 1 + row.indexOf(Math.max(...row));
  }
  return predicted;
}

/** (K + λI)⁻¹ applied to the marks, with all classes at once. */
async function fit(rows: Tensor, marks: Tensor): Promise<Tensor> {
  using gram = gaussian(rows, rows);
  const apply = (u: Tensor) => tidy(() => add(matmul(gram, u), affine(u, lambda)));
  const A = makeOperator<Tensor, Tensor>({
    domain: { shape: marks.shape },
    range: { shape: marks.shape },
    apply,
    applyAdjoint: apply,
  });
  const { x } = await cg(A, marks, { tolerance: 1e-3, maxIterations: 500 });
  return x;
}

/** exp(−γ‖aᵢ − bⱼ‖²) for rows of a and b. */
function gaussian(a: Tensor, b: Tensor): Tensor {
  return tidy(() => {
    const products = matmul(a, b, { transposeB: true });
    const rows = sum(square(a), { axes: [1], keepDims: true });
    const columns = sum(square(b), { axes: [1] });
    return exp(affine(add(add(affine(products, -2), rows), columns), -gamma));
  });
}

/** 1 for the class of each row, 0 for the others. */
function marksOf(targets: readonly number[], shape: Shape): Tensor {
  const marks = new Float32Array(shape[0]! * shape[1]!);
  for (const [row, target] of targets.entries()) marks[row * shape[1]! + target] = 1;
  return tensor(marks, shape);
}

/** Spectra [height·width, bands], averaged over squares of that side, each band standardized again. */
function spectraOf({ cube, bands, height, width }: Scene, side: number): Float32Array {
  const pixels = height * width;
  const radius = (side - 1) / 2;
  const spectra = new Float32Array(pixels * bands);
  // At the edges the nearest pixel stands in for what is beyond.
  const clamp = (at: number, size: number) => Math.min(Math.max(at, 0), size - 1);
  for (let band = 0; band < bands; band++) {
    const plane = cube.subarray(band * pixels, (band + 1) * pixels);
    const along = plane.map((_, i) => {
      let s = 0;
      for (let d = -radius; d <= radius; d++) {
        s += plane[i - (i % width) + clamp((i % width) + d, width)]!;
      }
      return s / side;
    });
    const means = along.map((_, i) => {
      let s = 0;
      for (let d = -radius; d <= radius; d++) {
        s += along[clamp(Math.floor(i / width) + d, height) * width + (i % width)]!;
      }
      return s / side;
    });
    const deviation = Math.sqrt(means.reduce((s, v) => s + v * v, 0) / pixels);
    means.forEach((v, i) => {
      spectra[i * bands + band] = v / deviation;
    });
  }
  return spectra;
}
