/**
 * A program: prints what a wasm backend says of itself and a digest of the bits of many operations on it and
 * of 60 updates, as a line of JSON. Its argument is the options of the backend, as JSON;
 * `addon` among them is the path of native kernels and which build of them.
 */
import { createHash } from 'node:crypto';
import process from 'node:process';
import {
  abs,
  adamUpdate,
  add,
  backendInfo,
  conv,
  convFilterGrad,
  convInputGrad,
  div,
  exp,
  full,
  fusedSpline,
  leapfrog,
  log,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  neg,
  ones,
  openNativeKernels,
  RandomStream,
  relu,
  setBackend,
  sigmoid,
  sign,
  softplus,
  sqrt,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  tidy,
  zeros,
} from '../src/index.ts';

const { addon, ...options } = JSON.parse(process.argv[2] ?? '{}');
const native = addon && openNativeKernels(addon.path, addon.build);
await setBackend('wasm', { ...options, ...(native && { native }) });
const random = new RandomStream(7);
const digest = createHash('sha256');
const note = async (t: Tensor) => {
  // Whichever bits a NaN has.
  digest.update((await t.data()).map((value) => (Number.isNaN(value) ? Number.NaN : value)));
  t.dispose();
};

/** Each with each, one broadcast over a row and one over a column. */
const special = [0, -0, 1, -1, 1e-40, -1e-40, 3e38, -3e38, Infinity, -Infinity, Number.NaN];
using row = tensor(special);
using column = tensor(special, [special.length, 1]);
for (const op of [add, div, maximum, minimum, mul, sub]) await note(op(row, column));
for (const op of [abs, exp, log, neg, relu, sigmoid, sign, softplus, sqrt, tanh])
  await note(op(row));
using signs = tensor([0, -0, -0, 0], [2, 2]);
for (const axis of [0, 1]) await note(max(signs, { axes: [axis] }));

/** [N, Cin, Cout, H, W, kernel, stride, padding]: by products, inner products, Winograd's method and shifted sums. */
const convolutions = [
  [3, 5, 7, 13, 11, 3, 1, 1],
  [2, 48, 40, 12, 17, 3, 1, 1],
  [2, 38, 57, 15, 31, 3, 1, 1],
  [1, 64, 76, 8, 16, 3, 1, 1],
  [1, 330, 26, 8, 8, 3, 1, 1],
  [2, 12, 13, 17, 32, 3, 1, 1],
  [2, 130, 6, 9, 14, 3, 1, 1],
  [4, 6, 130, 8, 8, 3, 1, 0],
  [2, 33, 65, 16, 16, 1, 1, 0],
  [2, 12, 20, 23, 19, 5, 2, 2],
  [1, 16, 64, 32, 32, 4, 4, 0],
  [3, 3, 13, 12, 16, 3, 1, 1],
  [1, 150, 2, 8, 20, 5, 1, 2],
  [1, 40, 8, 44, 70, 5, 1, 2],
  [5, 1, 1, 20, 20, 3, 1, 1],
] as const;
for (let turn = 0; turn < 20; turn++) {
  for (const [n, cin, cout, h, w, k, stride, padding] of convolutions) {
    const options = { stride, padding };
    using x = random.normal([n, cin, h, w]);
    using weights = random.normal([cout, cin, k, k]);
    const y = conv(x, weights, { ...options, bias: ones([cout]), activation: 'relu' });
    await note(convInputGrad(y, weights, x.shape, { ...options, relu: x }));
    await note(convFilterGrad(x, y, weights.shape, options));
    await note(y);
  }
  using a = random.normal([67, 129]);
  using b = random.normal([3, 129, 45]);
  await note(matmul(a, b));
  await note(matmul(a, a, { transposeB: true }));
  await note(tidy(() => sum(exp(mul(a, a)), { axes: [1] })));
}
const field = zeros([2, 2, 49, 19, 37]);
const sides = { points: [[3, 4] as const, [11.5, 36] as const], every: 2 };
const waves = {
  ...{ gain: full([1, 29, 47], 0.15), decay: full([1, 29, 47], 0.97), border: 5, steps: 50 },
  ...({ fields: [2, 2], spacing: [1, 1.25] } as const),
};
leapfrog({ ...waves, inject: { ...sides, series: random.normal([2, 2, 25, 2]) }, keep: field });
const scatter = { potential: random.normal([2, 19, 37]), field };
const [heard, image] = [zeros([2, 2, 25, 2]), { sum: zeros([2, 2, 19, 37]), field }];
leapfrog({ ...waves, reverse: true, scatter, image, record: { ...sides, series: heard } });
for (const t of [field, heard, image.sum]) await note(t);
/** Splines of many numbers in few rows, and of few in many. */
const least = { minWidth: 0.01, minHeight: 0.01, minSlope: 0.01, softClamp: undefined };
const form = { bins: 4, parameters: 13, low: -1, high: 2, ...least, tails: 'linear' } as const;
for (const shape of [
  [3, 2, 101],
  [103, 2],
]) {
  const [n, channels, ...size] = shape;
  using p = random.normal([n!, 13 * channels!, ...size]);
  using x = random.normal(shape);
  for (const direction of ['forward', 'inverse'] as const) {
    const map = fusedSpline(p, form, direction)!;
    for (const made of [map.apply(x), map.backward(x, x, undefined)]) {
      for (const t of Object.values(made)) await note(t);
    }
  }
}

const [target, m, v] = [random.normal([5003]), zeros([5003]), zeros([5003])];
const settings = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, gradientScale: 1 };
for (let step = 1; step <= 60; step++) {
  using grad = random.normal([5003]);
  adamUpdate([{ target, m, v, grad, step }], settings);
}
for (const t of [target, m, v]) await note(t);
console.log(JSON.stringify({ ...backendInfo().details, bits: digest.digest('hex') }));
