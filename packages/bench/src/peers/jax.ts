/** jax-js's WebGPU backend in Node.js, on the same `navigator.gpu` as ours; everything under jit. */
import { glowLoss, glowShapes, type Ops } from './glow.ts';
import { loadPeers } from './install.ts';
import { glowSizes, numbers, operationNames, type Peer } from './peer.ts';

/** What is used of a jax-js array. An operation consumes its arguments; `ref` holds on to one. */
interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  data(): Promise<ArrayLike<number>>;
  reshape(shape: readonly number[]): JaxArray;
  transpose(axes: readonly number[]): JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
}

/** What is used of jax-js. */
interface Jax {
  init(device: string): Promise<readonly string[]>;
  defaultDevice(device: string): string;
  jit<F>(f: F): F;
  valueAndGrad(
    f: (parameters: JaxArray[], images: JaxArray) => JaxArray,
  ): (parameters: JaxArray[], images: JaxArray) => [JaxArray, JaxArray[]];
  numpy: {
    array(values: Float32Array): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    log(a: JaxArray): JaxArray;
    sum(a: JaxArray): JaxArray;
    split(a: JaxArray, parts: number, axis: number): JaxArray[];
    concatenate(parts: JaxArray[], axis: number): JaxArray;
  };
  nn: { relu(a: JaxArray): JaxArray; sigmoid(a: JaxArray): JaxArray };
  lax: {
    convGeneralDilated(
      x: JaxArray,
      w: JaxArray,
      strides: readonly number[],
      padding: 'SAME',
    ): JaxArray;
  };
}

const versions = { '@jax-js/jax': '0.1.25' };

export const jaxJs: Peer = {
  library: 'jax-js, webgpu',
  async load({ channels, side }) {
    const load = await loadPeers(versions);
    const jax = load('@jax-js/jax') as Jax;
    const devices = await jax.init('webgpu');
    if (!devices.includes('webgpu')) throw new Error('jax-js found no WebGPU device.');
    jax.defaultDevice('webgpu');
    const names = operationNames({ channels, side });
    const { numpy: np } = jax;
    const make = (shape: readonly number[], scale?: number) =>
      np.array(numbers(shape, scale)).reshape(shape);
    const x = make([8, channels, 32, 32]);
    const w = make([channels, channels, 3, 3]);
    const [a, b] = [make([side, side]), make([side, side])];
    const sizes = glowSizes(channels);
    const images = make([sizes.batch, sizes.channels, sizes.side, sizes.side], 1);
    const parameters = glowShapes(sizes).map((shape) => make(shape));
    const ops = operations(jax);
    const conv = jax.jit((x: JaxArray, w: JaxArray) => np.sum(ops.conv(x, w)));
    const product = jax.jit((a: JaxArray, b: JaxArray) => np.sum(np.matmul(a, b)));
    const step = jax.jit(jax.valueAndGrad((ps, images) => glowLoss(ops, ps, images, sizes)));
    return [
      [names.conv, async () => void (await conv(x.ref, w.ref).data())],
      [names.product, async () => void (await product(a.ref, b.ref).data())],
      [
        names.glow,
        async () => {
          const [value, gradients] = step(
            parameters.map((p) => p.ref),
            images.ref,
          );
          await value.data();
          for (const gradient of gradients) await gradient.data();
        },
      ],
    ];
  },
};

function operations({ numpy: np, nn, lax }: Jax): Ops<JaxArray> {
  return {
    add: (a, b) => a.add(b),
    sub: (a, b) => a.sub(b),
    mul: (a, b) => a.mul(b),
    scale: (a, factor, offset = 0) => a.mul(factor).add(offset),
    square: (a) => a.ref.mul(a),
    log: (a) => np.log(a),
    relu: (a) => nn.relu(a),
    sigmoid: (a) => nn.sigmoid(a),
    sum: (a) => np.sum(a),
    addChannels: (x, b) => x.add(b.reshape([1, -1, 1, 1])),
    mulChannels: (x, b) => x.mul(b.reshape([1, -1, 1, 1])),
    conv: (x, w) => lax.convGeneralDilated(x, w, [1, 1], 'SAME'),
    squeeze: (x) => {
      const [n, c, h, w] = x.shape as [number, number, number, number];
      const cut = x.reshape([n, c, h / 2, 2, w / 2, 2]).transpose([0, 3, 5, 1, 2, 4]);
      return cut.reshape([n, 4 * c, h / 2, w / 2]);
    },
    split: (x) => {
      const [first, second] = np.split(x, 2, 1);
      return [first!, second!];
    },
    concat: (a, b) => np.concatenate([a, b], 1),
    again: (a) => a.ref,
  };
}
