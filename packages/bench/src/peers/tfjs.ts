/** tfjs's WebGPU backend in Node.js, on the same `navigator.gpu` as ours. */
import { glowLoss, glowShapes, type Ops } from './glow.ts';
import { loadPeers } from './install.ts';
import { glowSizes, numbers, operationNames, type Peer } from './peer.ts';

/** What is used of a tfjs tensor. */
interface TfTensor {
  readonly shape: readonly number[];
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** What is used of tfjs. */
interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  tensor(values: Float32Array, shape: readonly number[]): TfTensor;
  variable(t: TfTensor): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, strides: number, pad: 'same'): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  square(a: TfTensor): TfTensor;
  log(a: TfTensor): TfTensor;
  relu(a: TfTensor): TfTensor;
  sigmoid(a: TfTensor): TfTensor;
  sum(a: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, axes: readonly number[]): TfTensor;
  split(x: TfTensor, parts: number, axis: number): TfTensor[];
  concat(parts: TfTensor[], axis: number): TfTensor;
  tidy<T>(f: () => T): T;
  variableGrads(f: () => TfTensor): { value: TfTensor; grads: Record<string, TfTensor> };
}

const versions = {
  // The union package, which brings the gradients.
  '@tensorflow/tfjs': '4.22.0',
  '@tensorflow/tfjs-backend-webgpu': '4.22.0',
};

export const tfjs: Peer = {
  library: 'tfjs, webgpu',
  async load({ channels, side }) {
    const load = await loadPeers(versions);
    // tfjs takes a global window for the sign of a browser, where it looks for WebGPU.
    const scope = globalThis as { window?: unknown };
    scope.window ??= globalThis;
    const tf = load('@tensorflow/tfjs') as Tfjs;
    load('@tensorflow/tfjs-backend-webgpu');
    if (!(await tf.setBackend('webgpu'))) throw new Error('tfjs found no WebGPU backend.');
    const names = operationNames({ channels, side });
    const make = (shape: readonly number[], scale?: number) =>
      tf.tensor(numbers(shape, scale), shape);
    const x = make([8, 32, 32, channels]);
    const w = make([3, 3, channels, channels]);
    const [a, b] = [make([side, side]), make([side, side])];
    const sizes = glowSizes(channels);
    const images = make([sizes.batch, sizes.side, sizes.side, sizes.channels], 1);
    const parameters = glowShapes(sizes).map((shape) => tf.variable(make(lastChannels(shape))));
    const ops = operations(tf);
    const finish = async (f: () => TfTensor) => {
      const total = tf.tidy(() => tf.sum(f()));
      await total.data();
      total.dispose();
    };
    return [
      [names.conv, () => finish(() => tf.conv2d(x, w, 1, 'same'))],
      [names.product, () => finish(() => tf.matMul(a, b))],
      [names.glow, () => step(tf, () => glowLoss(ops, parameters, images, sizes))],
    ];
  },
};

async function step(tf: Tfjs, loss: () => TfTensor): Promise<void> {
  const { value, grads } = tf.variableGrads(loss);
  await value.data();
  for (const gradient of Object.values(grads)) {
    await gradient.data();
    gradient.dispose();
  }
  value.dispose();
}

/** tfjs's own layout has the channels last. */
function operations(tf: Tfjs): Ops<TfTensor> {
  return {
    add: (a, b) => tf.add(a, b),
    sub: (a, b) => tf.sub(a, b),
    mul: (a, b) => tf.mul(a, b),
    scale: (a, factor, offset = 0) => tf.add(tf.mul(a, factor), offset),
    square: (a) => tf.square(a),
    log: (a) => tf.log(a),
    relu: (a) => tf.relu(a),
    sigmoid: (a) => tf.sigmoid(a),
    sum: (a) => tf.sum(a),
    addChannels: (x, b) => tf.add(x, b),
    mulChannels: (x, b) => tf.mul(x, b),
    conv: (x, w) => tf.conv2d(x, w, 1, 'same'),
    squeeze: (x) => {
      const [n, h, w, c] = x.shape as [number, number, number, number];
      const cut = tf.reshape(x, [n, h / 2, 2, w / 2, 2, c]);
      return tf.reshape(tf.transpose(cut, [0, 1, 3, 2, 4, 5]), [n, h / 2, w / 2, 4 * c]);
    },
    split: (x) => {
      const [first, second] = tf.split(x, 2, 3);
      return [first!, second!];
    },
    concat: (a, b) => tf.concat([a, b], 3),
    again: (a) => a,
  };
}

function lastChannels(shape: readonly number[]): readonly number[] {
  const [out, into, ...kernel] = shape;
  return shape.length === 1 ? shape : [...kernel, into!, out!];
}
