/** Total variation: the same image as scikit-image's proximal map in FISTA gives, minimality, and what is refused. */
import {
  add,
  affine,
  memory,
  norm,
  RandomStream,
  ShapeError,
  setBackend,
  sub,
  sumSquares,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import { type LinearMap, PhaseEncodedFourier, totalVariation } from '../src/index.ts';
import { itAgreesWith } from './python.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const [height, width] = [24, 16];
const lines = [1, 4, 7, 9, 10, 11, 12, 13, 14, 17, 22];

/** A disc with a hole and a smooth phase, real and imaginary parts. */
function phantom(): Tensor {
  const pixels = Array.from({ length: height * width }, (_, k) => {
    const [y, x] = [Math.floor(k / width) - 11.5, (k % width) - 7.5];
    const size = Number(y * y + 2 * x * x < 100) - Number((y - 2) ** 2 + x * x < 9) / 2;
    return [size * Math.cos(0.1 * y), size * Math.sin(0.1 * y)] as const;
  });
  return tensor(
    [...pixels.map(([re]) => re), ...pixels.map(([, im]) => im)],
    [1, 2, height, width],
  );
}

/** The objective that is minimized. */
function objective(operator: LinearMap, u: Tensor, data: Tensor, weight: number): number {
  const [misfit] = sumSquares(sub(operator.forward(u), data)).dataSync();
  const values = u.dataSync();
  const [rows, columns] = u.shape.slice(-2) as [number, number];
  let variation = 0;
  values.forEach((v, k) => {
    const [i, j] = [Math.floor(k / columns) % rows, k % columns];
    const dy = i + 1 < rows ? values[k + columns]! - v : 0;
    const dx = j + 1 < columns ? values[k + 1]! - v : 0;
    variation += Math.hypot(dx, dy);
  });
  return misfit! / 2 + weight * variation;
}

/** Every 97th number of the image at λ = 0.02 by FISTA with scikit-image 0.26's proximal map, eps = 0. */
const recorded = [
  0.00032658374138, 0.00642633000779, 0.98767238984911, 0.76203260673853, -0.0725018875944,
  -0.56110005813858, -0.07283023080965, 0.51989180124978,
];

describe('totalVariation', () => {
  it('gives what FISTA with the proximal map of scikit-image gives', async () => {
    const operator = new PhaseEncodedFourier({ size: [height, width], lines });
    const image = await totalVariation(operator, operator.forward(phantom()), { weight: 0.02 });
    recorded.forEach((v, i) => {
      expect(image.dataSync()[97 * i]).toBeCloseTo(v, 12);
    });
  });

  it('comes to the minimum, from any norm that is a bound, in each sample of a batch', async () => {
    const operator = new PhaseEncodedFourier({ size: [height, width], lines });
    const random = new RandomStream(1);
    const truth = random.normal([3, 2, height, width], 0.2);
    const data = operator.forward(truth);
    const options = { weight: 0.05, iterations: 150, proximalIterations: 60 };
    const image = await totalVariation(operator, data, options);
    const least = objective(operator, image, data, 0.05);
    for (const size of [0.3, 0.01]) {
      const other = add(image, random.normal(image.shape, size));
      expect(objective(operator, other, data, 0.05)).toBeGreaterThan(least);
    }
    expect(objective(operator, affine(image, 0.99), data, 0.05)).toBeGreaterThan(least);
    const slow = await totalVariation(operator, data, { ...options, norm: 1.5 });
    expect(objective(operator, slow, data, 0.05)).toBeCloseTo(least, 2);
    // The channels of samples are planes of their own.
    const alone = tensor(data.dataSync().slice(data.size / 3, (2 * data.size) / 3), [
      1,
      ...operator.range,
    ]);
    const second = await totalVariation(operator, alone, options);
    expect([...second.dataSync()]).toEqual([
      ...image.dataSync().slice(image.size / 3, (2 * image.size) / 3),
    ]);
  });

  it('runs on wasm, and frees what it makes', async () => {
    await setBackend('wasm');
    const operator = new PhaseEncodedFourier({ size: [height, width], lines });
    const data = operator.forward(phantom());
    const before = memory();
    const image = await totalVariation(operator, data, { weight: 0.02 });
    recorded.forEach((v, i) => {
      expect(image.dataSync()[97 * i]).toBeCloseTo(v, 5);
    });
    image.dispose();
    expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
  });

  it('refuses weights, data and operators that do not fit, and a norm that is no bound', async () => {
    const operator = new PhaseEncodedFourier({ size: [height, width], lines });
    const data = operator.forward(phantom());
    for (const weight of [0, -1, Number.NaN]) {
      await expect(totalVariation(operator, data, { weight })).rejects.toThrow(ValueError);
    }
    const weight = 0.02;
    // One would be least squares, without any variation.
    const single = { weight, proximalIterations: 1 };
    await expect(totalVariation(operator, data, single)).rejects.toThrow(/from 2 to/);
    await expect(totalVariation(operator, data, { weight, norm: 0 })).rejects.toThrow(ValueError);
    await expect(totalVariation(operator, zeros([1, 2, 9, width]), { weight })).rejects.toThrow(
      /expected \[N, 2, 11, 16\], which the operator gives/,
    );
    const vectors: LinearMap = {
      domain: [5],
      range: [5],
      forward: (u) => affine(u, 1),
      adjoint: (r) => affine(r, 1),
    };
    await expect(totalVariation(vectors, zeros([1, 5]), { weight })).rejects.toThrow(ShapeError);
    const large: LinearMap = {
      domain: [1, 3, 3],
      range: [1, 3, 3],
      forward: (u) => affine(u, 1e9),
      adjoint: (r) => affine(r, 1e9),
    };
    const loud = new RandomStream(1).normal([1, 1, 3, 3]);
    await expect(totalVariation(large, loud, { weight })).rejects.toThrow(/norm of at least ‖A‖/);
    expect(await norm([await totalVariation(large, loud, { weight, norm: 1e9 })])).toBeGreaterThan(
      0,
    );
  });
});

itAgreesWith(['numpy', 'skimage'], 'FISTA with denoise_tv_chambolle', async (run) => {
  const operator = new PhaseEncodedFourier({ size: [height, width], lines });
  const image = await totalVariation(operator, operator.forward(phantom()), { weight: 0.02 });
  const program = `
import numpy as np
from skimage.restoration import denoise_tv_chambolle
u = np.array(given['u']).reshape(2, given['height'], -1)
shifted = lambda f, x: np.fft.fftshift(f(np.fft.ifftshift(x, axes=0), axis=0, norm='ortho'), axes=0)
mask = np.zeros((given['height'], 1))
mask[given['lines']] = 1
data = mask * shifted(np.fft.fft, u[0] + 1j * u[1])
def fista(eps):
    tv = lambda x: denoise_tv_chambolle(x, weight=0.02, eps=eps, max_num_iter=30)
    x = z = shifted(np.fft.ifft, data)
    t = 1
    for _ in range(40):
        y = z - shifted(np.fft.ifft, mask * shifted(np.fft.fft, z) - data)
        new = tv(y.real) + 1j * tv(y.imag)
        s = (1 + np.sqrt(1 + 4 * t * t)) / 2
        x, z, t = new, new + (t - 1) / s * (new - x), s
    return np.stack([x.real, x.imag]).ravel().tolist()
json.dump([fista(0), fista(2e-4)], sys.stdout)
`;
  const given = { u: [...phantom().dataSync()], height, lines };
  const [exact, early] = run(program, given) as [number[], number[]];
  const error = (values: number[]) =>
    Math.max(...image.dataSync().map((v, i) => Math.abs(v - values[i]!)));
  expect(error(exact)).toBeLessThan(1e-12);
  // As it comes, its proximal map stops earlier, a little above the minimum.
  expect(error(early)).toBeLessThan(0.02);
  const data = operator.forward(phantom());
  const [ours, theirs] = [image, tensor(early, image.shape)].map((u) =>
    objective(operator, u, data, 0.02),
  );
  expect(ours).toBeLessThan(theirs!);
});
