/** Networks as functions of tfjs: gradients, memory, parameters in step, and what is refused. */
import { ConditionalNormal, Flow } from '@invnet/flows';
import {
  type Bijection,
  GlowCoupling,
  JoinedChannels,
  type Parameter,
  reverse,
} from '@invnet/layers';
import { ConditionalGlow, Glow } from '@invnet/networks';
import {
  add,
  BackendError,
  DisposedError,
  DTypeError,
  getBackend,
  matmul,
  mean,
  memory,
  neg,
  RandomStream,
  ShapeError,
  setBackend,
  type Tensor,
  tanh,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromTfjs, toTfjs } from '../src/index.ts';
import { gradientErrors, hostMemory, moveOff, normals, useLateBackend } from './host.ts';

const glow = (steps = 2) =>
  new Glow({ channels: 2, ndims: 0, scales: 1, steps, hidden: 8, random: new RandomStream(1) });

const assignAll = (parameters: readonly Parameter[], values: readonly Float64Array[]) => {
  parameters.forEach((p, i) => {
    p.assign(tensor(values[i]!, p.shape, p.data));
  });
};

beforeEach(async () => {
  await setBackend('wasm');
  await tf.setBackend('cpu');
});

describe.each(['cpu', 'wasm'])('on the backend %s of tfjs', (name) => {
  beforeEach(async () => {
    expect(await tf.setBackend(name)).toBe(true);
  });

  it.each([
    ['wasm', 'StandardNormal'],
    ['reference', 'StandardNormal'],
    ['reference', 'ConditionalNormal'],
  ] as const)(
    'differentiates a likelihood behind a dense layer of tfjs, on our %s, of a %s',
    async (ours, base) => {
      await setBackend(ours);
      const make = () =>
        new Flow({
          network: new ConditionalGlow({
            ...{ channels: 2, contextChannels: 3, ndims: 0, scales: 1, steps: 2, hidden: 8 },
            random: new RandomStream(1),
          }),
          ...(base === 'ConditionalNormal' && {
            base: new ConditionalNormal({ channels: 2, contextChannels: 3, ndims: 0, hidden: 4 }),
          }),
        });
      const flow = make();
      moveOff(flow.parameters);
      const [x, c] = [normals([5, 2], 2), normals([5, 4], 3)].map((t) => tf.variable(t));
      const dense = layers.dense({ units: 3, activation: 'tanh', inputShape: [4] });
      const context = () => dense.apply(c!) as tf.Tensor;
      context();
      const weights = dense.weights.map((w) => w.read() as tf.Variable);
      using host = toTfjs(flow);
      const loss = () => tf.tidy(() => tf.neg(tf.mean<tf.Scalar>(host.logProb(x!, context()))));
      const variables = [x!, c!, ...weights].map((v) => [v.name, v] as const);

      await setBackend('reference', { dtype: 'float64' });
      const twin = make();
      const exact = ([x, c, w, b, ...parameters]: readonly Float64Array[]) =>
        tidy(() => {
          assignAll(twin.parameters, parameters);
          const h = matmul(tensor(c!, [5, 4]), tensor(w!, [4, 3]));
          const logProb = twin.logProb(tensor(x!, [5, 2]), tanh(add(h, tensor(b!, [1, 3]))));
          return neg(mean(logProb)).dataSync()[0]!;
        });
      const errors = gradientErrors(loss, [...variables, ...host.variables], exact);
      expect(errors.filter(([, error]) => !(error < 1e-3))).toEqual([]);
    },
  );
});

describe.each(['forward', 'inverse'] as const)('%s', (direction) => {
  it('gives the numbers of the network, and gradients through both results', async () => {
    const network = glow();
    moveOff(network.parameters);
    const x = tf.variable(normals([4, 2], 5));
    using own = tensor(x.dataSync(), [4, 2]);
    const through = (map: Bijection, x: Tensor) =>
      direction === 'forward' ? map.forward(x) : reverse(map).forward(x);
    const expected = through(network, own);
    using host = toTfjs(network);
    const call = () => {
      if (direction === 'forward') return host.forward(x);
      const { x: y, logdet } = host.inverse(x);
      return { y, logdet };
    };
    const { y, logdet } = call();
    expect(y.dataSync()).toEqual(expected.y.dataSync());
    expect(logdet.dataSync()).toEqual(expected.logdet.dataSync());

    await setBackend('reference', { dtype: 'float64' });
    const twin = glow();
    const weights = [1, -2, 0.5, 3];
    for (const [a, b] of [
      [1, 1],
      [1, 0],
      [0, 1],
    ] as const) {
      const loss = () => {
        const { y, logdet } = call();
        const parts = [
          ...(a ? [tf.sum<tf.Scalar>(tf.sin(y))] : []),
          ...(b ? [tf.sum<tf.Scalar>(tf.mul(weights, logdet))] : []),
        ];
        return tf.addN(parts);
      };
      const exact = ([x, ...parameters]: readonly Float64Array[]) =>
        tidy(() => {
          assignAll(twin.parameters, parameters);
          const { y, logdet } = through(twin, tensor(x!, [4, 2]));
          const sines = y.dataSync().reduce((sum, v) => sum + Math.sin(v), 0);
          return a * sines + b * logdet.dataSync().reduce((sum, v, n) => sum + v * weights[n]!, 0);
        });
      const errors = gradientErrors(loss, [['x', x], ...host.variables], exact);
      expect(errors.filter(([, error]) => !(error < 1e-3))).toEqual([]);
    }
  });
});

it('keeps the output between forward and backward, and nothing that grows with depth', () => {
  const [n, d] = [64, 2];
  const x = normals([n, d], 2);
  const held = [2, 12].map((steps) => {
    using host = toTfjs(new Flow({ network: glow(steps) }));
    const before = { ...hostMemory(), ours: memory().liveBytes };
    let grown = { buffers: 0, bytes: 0, ours: 0 };
    const { value, grads } = tf.variableGrads(() => {
      const result = tf.neg(tf.mean<tf.Scalar>(host.logProb(x)));
      const now = hostMemory();
      grown = {
        buffers: now.numDataBuffers - before.numDataBuffers,
        bytes: now.numBytes - before.numBytes,
        ours: memory().liveBytes - before.ours,
      };
      return result;
    });
    tf.dispose([value, ...Object.values(grads)]);
    return grown;
  });
  expect(held[1]).toEqual(held[0]);
  expect(held[0]!.ours).toBe(0);
  // y, which is saved for each of two operations without a copy, a few numbers per sample, and no more.
  expect(held[0]!.bytes).toBeLessThanOrEqual((2 * d + 6) * 4 * n);
});

it('leaves nothing behind on either side, and the gradients of the network as they were', () => {
  const network = glow();
  const [p] = network.parameters;
  p!.accumulateGrad(p!.data);
  const grad = p!.grad!.dataSync();
  const [x, wrong] = [normals([8, 2], 3), normals([8, 3], 3)];
  const before = { ...hostMemory(), ...memory(), peakBytes: 0 };
  for (let i = 0; i < 2; i++) {
    using host = toTfjs(new Flow({ network }));
    const optimizer = tf.train.sgd(1e-3);
    optimizer.minimize(() => tf.neg(tf.mean(host.logProb(x))));
    optimizer.dispose();
    tf.dispose(host.inverse(x));
    expect(() => host.forward(wrong)).toThrow(ShapeError);
  }
  expect(p!.grad!.dataSync()).toEqual(grad);
  expect({ ...hostMemory(), ...memory(), peakBytes: 0 }).toEqual(before);
});

it('keeps the network in step with the variables, and moves what is not frozen', () => {
  const flow = new Flow({ network: glow() });
  const x = normals([8, 2], 3);
  const [frozen, ...others] = flow.parameters;
  const start = frozen!.data.dataSync();
  frozen!.frozen = true;
  using host = toTfjs(flow);
  expect([...host.variables.keys()]).toEqual(flow.parameters.map((p) => p.name));
  tf.train.adam(0.1).minimize(() => tf.neg(tf.mean(host.logProb(x))));
  host.pull();
  expect(frozen!.data.dataSync()).toEqual(start);
  for (const p of others) {
    expect(p.data.dataSync(), p.name).toEqual(host.variables.get(p.name)!.dataSync());
  }
  // And the other way.
  using zeros = tensor(new Float32Array(others[0]!.size), others[0]!.shape);
  others[0]!.assign(zeros);
  host.push();
  expect(host.variables.get(others[0]!.name)!.dataSync()).toEqual(zeros.dataSync());
});

it('differentiates a block of tfjs within a network in tfjs', async () => {
  const [w, b] = [tf.variable(normals([1, 2], 7)), tf.variable(normals([2], 8))];
  const conditioner = fromTfjs({
    apply: (x: tf.Tensor) => tf.tanh(tf.add(tf.matMul(x, w), b)),
    variables: { w, b },
  });
  using host = toTfjs(new GlowCoupling({ channels: 2, conditioner }));
  const x = tf.variable(normals([4, 2], 5));
  const loss = () =>
    tf.tidy(() => {
      const { y, logdet } = host.forward(tf.sin(x));
      return tf.add<tf.Scalar>(tf.sum(tf.sin(y)), tf.sum(logdet));
    });
  const exact = ([x, w, b]: readonly Float64Array[]) => {
    let total = 0;
    for (let n = 0; n < 4; n++) {
      const [first, second] = [Math.sin(x![2 * n]!), Math.sin(x![2 * n + 1]!)];
      const [r, t] = [0, 1].map((i) => Math.tanh(first * w![i]! + b![i]!));
      const scale = 0.5 + 1 / (1 + Math.exp(-r!));
      total += Math.sin(first) + Math.sin(scale * second + t!) + Math.log(scale);
    }
    return total;
  };
  const errors = gradientErrors(loss, [['x', x], ...host.variables], exact);
  expect(errors.filter(([, error]) => !(error < 1e-3))).toEqual([]);
});

describe('refuses', () => {
  it('what is no network, a map of pairs, and one that is in tfjs already', () => {
    const network = glow();
    const block = fromTfjs({ apply: (x: tf.Tensor) => x });
    expect(() => toTfjs(block as never)).toThrow(ValueError);
    expect(() => toTfjs(new JoinedChannels(network, [1, 1]) as never)).toThrow(/a map of pairs/);
    using _ = toTfjs(network);
    expect(() => toTfjs(new Flow({ network }))).toThrow(/already/);
  });

  it('tensors that are none, disposed, or of another type or shape', () => {
    using host = toTfjs(glow());
    const x = normals([2, 2], 1);
    x.dispose();
    expect(() => host.forward(x)).toThrow(DisposedError);
    expect(() => host.forward([[1, 2]] as never)).toThrow(ValueError);
    expect(() => host.forward(tf.zeros([2, 2], 'int32'))).toThrow(DTypeError);
    expect(() => host.forward(tf.zeros([2, 3]))).toThrow(ShapeError);
    expect(() => host.forward(tf.zeros([2, 2]), tf.zeros([2, 2]))).toThrow(ValueError);
    host.dispose();
    expect(() => host.forward(tf.zeros([2, 2]))).toThrow(DisposedError);
    expect(() => host.push()).toThrow(DisposedError);
  });

  it('gradients of gradients, which tfjs would take for zero', () => {
    using host = toTfjs(new Flow({ network: glow() }));
    const x = normals([4, 2], 1);
    const v = tf.variable(tf.scalar(2));
    const penalty = (f: (x: tf.Tensor) => tf.Tensor) => () =>
      tf.tidy(() => tf.add<tf.Scalar>(tf.mean(f(x)), tf.mean(tf.square(tf.grad(f)(x)))));
    for (const f of [
      (x: tf.Tensor) => host.logProb(x),
      (x: tf.Tensor) => host.inverse(x).x,
      (x: tf.Tensor) => tf.square(host.forward(x).logdet),
    ]) {
      expect(() => tf.variableGrads(penalty(f))).toThrow(/gradients of gradients/);
    }
    const later = penalty((x) => tf.mul(host.forward(x).logdet, v));
    expect(() => tf.variableGrads(later, [v])).toThrow(/gradients of gradients/);
    // What they are not asked for does not matter.
    const apart = penalty((x) => tf.mul(x, v));
    const { value } = tf.variableGrads(() => tf.add<tf.Scalar>(apart(), tf.mean(host.logProb(x))));
    expect(value.dataSync()[0]).toBeTypeOf('number');
  });

  it('a backend of tfjs that cannot be read at once', async () => {
    await useLateBackend();
    using host = toTfjs(glow());
    const x = normals([2, 2], 1);
    expect(() => host.forward(x)).toThrow(BackendError);
    expect(() => host.forward(x)).toThrow(/'later' at once/);
    expect(getBackend().name).toBe('wasm');
  });
});
