/** jax-js in Node.js: on WebAssembly, or on the same `navigator.gpu` as ours; everything under jit. */
import { glowLoss, type Ops } from './glow.ts';
import { loadPeers } from './install.ts';
import { type TrainingProblem, trainingStep } from './own-network.ts';
import {
  type Numbers,
  type Operation,
  operationNames,
  type Peer,
  type Problem,
  type Wanted,
} from './peer.ts';

/** What is used of a jax-js array. An operation consumes its arguments; `ref` holds on to one. */
interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  /** The numbers; consumes the array. */
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
  reshape(shape: readonly number[]): JaxArray;
  transpose(axes: readonly number[]): JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray): JaxArray;
}

/** A loss of parameters and data. */
type Loss = (parameters: JaxArray[], images: JaxArray) => JaxArray;

/** What is used of jax-js. */
interface Jax {
  init(device: string): Promise<readonly string[]>;
  defaultDevice(device: string): string;
  jit<F>(f: F): F;
  grad(f: (...arrays: JaxArray[]) => JaxArray): (...arrays: JaxArray[]) => JaxArray;
  valueAndGrad(f: Loss): (parameters: JaxArray[], images: JaxArray) => [JaxArray, JaxArray[]];
  numpy: {
    array(values: Float32Array): JaxArray;
    eye(size: number): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    einsum(subscripts: string, a: JaxArray, b: JaxArray): JaxArray;
    absolute(a: JaxArray): JaxArray;
    square(a: JaxArray): JaxArray;
    log(a: JaxArray): JaxArray;
    sum(a: JaxArray): JaxArray;
    split(a: JaxArray, parts: number, axis: number): JaxArray[];
    concatenate(parts: JaxArray[], axis: number): JaxArray;
  };
  nn: { relu(a: JaxArray): JaxArray; sigmoid(a: JaxArray): JaxArray };
  lax: { conv(x: JaxArray, w: JaxArray, strides: readonly number[], padding: 'SAME'): JaxArray };
}

const version = '0.1.25';
const name = '@jax-js/jax';

/** jax-js on one of its devices. */
export const jaxJs = (device: 'webgpu' | 'wasm'): Peer => ({
  library: `jax-js ${version}`,
  backend: device,
  async load({ sizes, x, w, w1, dy, a, b, glow, images, parameters }, wanted) {
    const jax = await loadJax(device);
    const { numpy: np } = jax;
    const names = operationNames(sizes);
    const ops = operations(jax);
    // ∇ₓ⟨conv(x, w), dy⟩ is the input gradient, and so on.
    const inputGrad = jax.grad((x, w, dy) => np.sum(ops.conv(x!, w!).mul(dy!)));
    const filterGrad = jax.grad((w, x, dy) => np.sum(ops.conv(x!, w!).mul(dy!)));
    const all: Record<Wanted[number], () => Operation> = {
      conv: () =>
        operation(
          jax,
          names.conv,
          ops.conv,
          [x, w].map((a) => upload(jax, a)),
        ),
      inputGrad: () =>
        operation(
          jax,
          names.inputGrad,
          inputGrad,
          [x, w, dy].map((a) => upload(jax, a)),
        ),
      filterGrad: () =>
        operation(
          jax,
          names.filterGrad,
          filterGrad,
          [w, x, dy].map((a) => upload(jax, a)),
        ),
      pointwise: () =>
        operation(
          jax,
          names.pointwise,
          ops.conv,
          [x, w1].map((a) => upload(jax, a)),
        ),
      product: () =>
        operation(
          jax,
          names.product,
          np.matmul,
          [a, b].map((a) => upload(jax, a)),
        ),
      glow: () => glowStep(jax, names.glow, { glow, images, parameters }),
    };
    return wanted.map((key) => all[key]());
  },
});

/** The Glow of a training problem on its wasm device. @throws Error where it cannot be had. */
export async function jaxJsGlow({
  network,
  inputs,
  parameters,
}: TrainingProblem): Promise<Operation> {
  if (network.kind !== 'glow') throw new Error('jax-js is measured at Glow only.');
  const jax = await loadJax('wasm');
  const images = inputs.x!;
  return glowStep(jax, trainingStep, {
    glow: network,
    images,
    parameters: Object.values(parameters),
  });
}

async function loadJax(device: string): Promise<Jax> {
  const load = await loadPeers({ [name]: version });
  const jax = load(name) as Jax;
  const devices = await jax.init(device);
  if (!devices.includes(device)) throw new Error(`jax-js found no ${device} device.`);
  jax.defaultDevice(device);
  return jax;
}

/** Loss and gradients of Glow, without an optimizer. */
function glowStep(
  jax: Jax,
  name: string,
  { glow, images, parameters }: Pick<Problem, 'glow' | 'images' | 'parameters'>,
): Operation {
  const ops = operations(jax);
  const step = jax.jit(jax.valueAndGrad((ps, xs) => glowLoss(ops, ps, xs, glow)));
  const [weights, data] = [parameters.map((p) => upload(jax, p)), upload(jax, images)];
  const differentiate = () =>
    step(
      weights.map((p) => p.ref),
      data.ref,
    );
  return {
    name,
    run: async () => {
      const [loss, gradients] = differentiate();
      // Reading any output of a jitted function runs all of it.
      await gradients[0]!.ref.data();
      for (const array of [loss, ...gradients]) array.dispose();
    },
    result: async () => {
      const [loss, gradients] = differentiate();
      const parts = [await loss.data()];
      for (const gradient of gradients) parts.push(await gradient.data());
      return parts;
    },
  };
}

function upload({ numpy: np }: Jax, { shape, values }: Numbers): JaxArray {
  return np.array(values).reshape(shape);
}

function operation(
  { jit, numpy: np }: Jax,
  name: string,
  compute: (...arrays: [JaxArray, JaxArray, JaxArray]) => JaxArray,
  arrays: readonly JaxArray[],
): Operation {
  type Three = [JaxArray, JaxArray, JaxArray];
  const given = () => arrays.map((array) => array.ref) as Three;
  const whole = jit((...arrays: Three) => compute(...arrays));
  const summed = jit((...arrays: Three) => np.sum(compute(...arrays)));
  return {
    name,
    run: async () => {
      await summed(...given()).data();
    },
    result: async () => [await whole(...given()).data()],
  };
}

function operations({ numpy: np, nn, lax }: Jax): Ops<JaxArray> {
  return {
    add: (a, b) => a.add(b),
    sub: (a, b) => a.sub(b),
    mul: (a, b) => a.mul(b),
    div: (a, b) => a.div(b),
    affine: (a, factor, offset = 0) => a.mul(factor).add(offset),
    abs: (a) => np.absolute(a),
    square: (a) => np.square(a),
    log: (a) => np.log(a),
    relu: (a) => nn.relu(a),
    sigmoid: (a) => nn.sigmoid(a),
    sum: (a) => np.sum(a),
    eye: (size) => np.eye(size),
    outer: (v) => v.ref.reshape([-1, 1]).mul(v.reshape([1, -1])),
    matmul: (a, b) => np.matmul(a, b),
    mix: (w, x) => {
      const { shape } = x;
      const flat = x.reshape([shape[0]!, shape[1]!, -1]);
      // matmul of a matrix and a batch would put the batch second.
      return np.einsum('ij,njp->nip', w, flat).reshape(shape);
    },
    addChannels: (x, b) => x.add(b.reshape([1, -1, 1, 1])),
    mulChannels: (x, b) => x.mul(b.reshape([1, -1, 1, 1])),
    conv: (x, w) => lax.conv(x, w, [1, 1], 'SAME'),
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
