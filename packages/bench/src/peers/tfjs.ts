/**
 * tfjs in Node.js, in its own layout: on WebAssembly, in plain JavaScript, or on the same
 * `navigator.gpu` as ours.
 */
import { glowLoss, type Ops } from './glow.ts';
import { loadPeers } from './install.ts';
import { type Numbers, type Operation, operationNames, type Peer, type Wanted } from './peer.ts';

/** What is used of a tfjs tensor. */
interface TfTensor {
  readonly shape: readonly number[];
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** What is used of a tensor that can be trained. */
interface TfVariable extends TfTensor {
  readonly name: string;
}

/** What is used of tfjs. */
interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  tensor(values: Float32Array, shape: readonly number[]): TfTensor;
  variable(t: TfTensor): TfVariable;
  eye(size: number): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, strides: number, pad: 'same'): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  div(a: TfTensor, b: TfTensor): TfTensor;
  abs(a: TfTensor): TfTensor;
  square(a: TfTensor): TfTensor;
  log(a: TfTensor): TfTensor;
  relu(a: TfTensor): TfTensor;
  sigmoid(a: TfTensor): TfTensor;
  sum(a: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, axes: readonly number[]): TfTensor;
  split(x: TfTensor, parts: number, axis: number): TfTensor[];
  concat(parts: TfTensor[], axis: number): TfTensor;
  conv2dTranspose(
    dy: TfTensor,
    w: TfTensor,
    shape: readonly number[],
    strides: number,
    pad: 'same',
  ): TfTensor;
  engine(): {
    runKernel(name: string, inputs: object, attributes: object): TfTensor;
  };
  tidy<T>(f: () => T): T;
  variableGrads(f: () => TfTensor): { value: TfTensor; grads: Record<string, TfTensor> };
}

const version = '4.22.0';
const core = '@tensorflow/tfjs';
/** tfjs on one of its backends; its threads on WebAssembly do not start in Node.js. */
export const tfjs = (backend: 'webgpu' | 'wasm' | 'cpu'): Peer => ({
  library: `tfjs ${version}`,
  backend: backend === 'wasm' ? 'wasm, 1 thread' : backend,
  async load({ sizes, x, w, w1, dy, a, b, glow, images: pictures, parameters }, wanted) {
    // The whole of tfjs: its core alone brings no gradients.
    const extra = `@tensorflow/tfjs-backend-${backend}`;
    const load = await loadPeers({ [core]: version, [extra]: version });
    const tf = load(core) as Tfjs;
    load(extra);
    const choose = async () => {
      if (!(await tf.setBackend(backend))) throw new Error(`tfjs found no ${backend} backend.`);
    };
    await choose();
    const names = operationNames(sizes);
    const images = (x: Numbers) => imagesOf(tf, x);
    const weights = (x: Numbers) => weightsOf(tf, x);
    const synchronous = backend !== 'webgpu';
    const measured = (name: string, compute: () => TfTensor, axes?: readonly number[]) =>
      operation(tf, name, compute, synchronous, axes);
    const [tx, tdy, tw, tw1] = [images(x), images(dy), weights(w), weights(w1)];
    const first = [0, 3, 1, 2];
    const all: Record<Wanted[number], () => Operation> = {
      conv: () => measured(names.conv, () => tf.conv2d(tx, tw, 1, 'same'), first),
      inputGrad: () => {
        const compute = () => tf.conv2dTranspose(tdy, tw, tx.shape, 1, 'same');
        return measured(names.inputGrad, compute, first);
      },
      filterGrad: () => {
        const how = { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: tw.shape };
        const compute = () =>
          tf.engine().runKernel('Conv2DBackpropFilter', { x: tx, dy: tdy }, how);
        return measured(names.filterGrad, compute, [3, 2, 0, 1]);
      },
      pointwise: () => measured(names.pointwise, () => tf.conv2d(tx, tw1, 1, 'same'), first),
      product: () => {
        const [ta, tb] = [weights(a), weights(b)];
        return measured(names.product, () => tf.matMul(ta, tb));
      },
      glow: () => {
        const data = images(pictures);
        const variables = parameters.map((p) => tf.variable(weights(p)));
        const ops = operations(tf);
        return step(tf, names.glow, variables, () => glowLoss(ops, variables, data, glow));
      },
    };
    // Two backends of one library may take part: each turn chooses its own.
    return wanted.map((key) => {
      const { name, run, result } = all[key]();
      return {
        name,
        run: async () => {
          await choose();
          await run();
        },
        result: async () => {
          await choose();
          return (await result?.()) ?? [];
        },
      };
    });
  },
});

/** [N, C, H, W] as [N, H, W, C]. */
function imagesOf(tf: Tfjs, { shape, values }: Numbers): TfTensor {
  return tf.tidy(() => tf.transpose(tf.tensor(values, shape), [0, 2, 3, 1]));
}

/** [out, in, K, K] as [K, K, in, out]; vectors and matrices as they are. */
function weightsOf(tf: Tfjs, { shape, values }: Numbers): TfTensor {
  if (shape.length < 4) return tf.tensor(values, shape);
  return tf.tidy(() => tf.transpose(tf.tensor(values, shape), [2, 3, 1, 0]));
}

/**
 * An operation; `axes` bring its result to channels first. On a backend that is synchronous it is
 * done when it returns; else its sum is read.
 */
function operation(
  tf: Tfjs,
  name: string,
  compute: () => TfTensor,
  synchronous: boolean,
  axes?: readonly number[],
): Operation {
  return {
    name,
    run: async () => {
      if (synchronous) tf.tidy(compute).dispose();
      else await read(tf.tidy(() => tf.sum(compute())));
    },
    result: async () => {
      const result = tf.tidy(() => (axes ? tf.transpose(compute(), axes) : compute()));
      return [await read(result)];
    },
  };
}

function step(
  tf: Tfjs,
  name: string,
  variables: readonly TfVariable[],
  loss: () => TfTensor,
): Operation {
  const differentiate = () => {
    const { value, grads } = tf.variableGrads(loss);
    return { value, gradients: variables.map((v) => grads[v.name]!) };
  };
  return {
    name,
    run: async () => {
      const { value, gradients } = differentiate();
      // The first layer's gradient is made last, and the queue keeps its order.
      await gradients[0]!.data();
      for (const t of [value, ...gradients]) t.dispose();
    },
    result: async () => {
      const { value, gradients } = differentiate();
      const parts = [await read(value)];
      for (const g of gradients) {
        parts.push(await read(g.shape.length < 4 ? g : tf.transpose(g, [3, 2, 0, 1])));
      }
      return parts;
    },
  };
}

/** The numbers of a tensor, which is freed. */
async function read(t: TfTensor): Promise<ArrayLike<number>> {
  const data = await t.data();
  t.dispose();
  return data;
}

function operations(tf: Tfjs): Ops<TfTensor> {
  return {
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    div: tf.div,
    affine: (a, factor, offset = 0) => {
      const scaled = factor === 1 ? a : tf.mul(a, factor);
      return offset === 0 ? scaled : tf.add(scaled, offset);
    },
    abs: tf.abs,
    square: tf.square,
    log: tf.log,
    relu: tf.relu,
    sigmoid: tf.sigmoid,
    // Not as they are: tfjs takes further arguments.
    sum: (a) => tf.sum(a),
    eye: (size) => tf.eye(size),
    outer: (v) => tf.mul(tf.reshape(v, [-1, 1]), tf.reshape(v, [1, -1])),
    matmul: (a, b) => tf.matMul(a, b),
    mix: (w, x) => {
      const rows = tf.reshape(x, [-1, x.shape[3]!]);
      return tf.reshape(tf.matMul(rows, w, false, true), x.shape);
    },
    addChannels: tf.add,
    mulChannels: tf.mul,
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
