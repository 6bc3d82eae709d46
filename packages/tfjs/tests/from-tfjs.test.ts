/** Models and functions of tfjs as blocks of networks here. */
import { checkBijection, checkConditioner } from '@invnet/jvp';
import {
  ConditionalGlowCoupling,
  copyModule,
  evaluate,
  freeze,
  GlowCoupling,
  layerCatalogue,
  named,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow, SummarizedNetwork } from '@invnet/networks';
import {
  affine,
  BackendError,
  DisposedError,
  DTypeError,
  memory,
  RandomStream,
  type Shape,
  ShapeError,
  setBackend,
  zeros,
} from '@invnet/tensor';
import { Adam, modelBytes, modelFromBytes } from '@invnet/train';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromTfjs, TfjsBlock } from '../src/index.ts';
import { hostMemory, normals, useLateBackend } from './host.ts';

const { layers } = tfl;
/** What float32 reaches, in two libraries. */
const tolerances = {
  roundTrip: 1e-5,
  logdet: 1e-4,
  derivative: 1e-3,
  adjoint: 1e-5,
  steps: [1e-2, 3e-3, 3e-2],
};

const seeded = (seed: number) => ({ kernelInitializer: tfl.initializers.glorotNormal({ seed }) });
const dense = (inputs: number, outputs: number) =>
  tfl.sequential({
    layers: [
      layers.dense({ ...seeded(1), units: 6, activation: 'tanh', inputShape: [inputs] }),
      layers.batchNormalization(),
      layers.dropout({ rate: 0.5 }),
      layers.dense({ ...seeded(2), units: outputs, activation: 'tanh' }),
    ],
  });
const conv = () =>
  tfl.sequential({
    layers: [
      layers.conv2d({
        ...seeded(4),
        ...{ filters: 4, kernelSize: 3, padding: 'same', activation: 'tanh' },
        ...{ dataFormat: 'channelsFirst', inputShape: [1, 4, 4] },
      }),
    ],
  });
const joined = () => {
  const [x, c] = [tfl.input({ shape: [1] }), tfl.input({ shape: [3] })];
  const both = layers.concatenate().apply([x, c]);
  const y = layers.dense({ ...seeded(3), units: 2, activation: 'sigmoid' }).apply(both);
  return tfl.model({ inputs: [x, c], outputs: y as tfl.SymbolicTensor });
};
const random = (shape: Shape, seed = 3) => new RandomStream(seed).normal(shape);
const failed = (results: readonly { readonly passed: boolean }[]) =>
  results.filter(({ passed }) => !passed);

beforeEach(async () => {
  await setBackend('wasm');
  await tf.setBackend('cpu');
});

describe.each(['cpu', 'wasm'])('on the backend %s of tfjs', (name) => {
  it('blocks, and couplings with them, keep their contracts', async () => {
    expect(await tf.setBackend(name)).toBe(true);
    using x = random([3, 1]);
    using pair = random([3, 2]);
    using context = random([3, 3], 4);
    const w = tf.variable(normals([3, 2], 5));
    const mixed = {
      apply: (x: tf.Tensor, c?: tf.Tensor) => tf.mul(tf.sin(x), tf.cos(tf.matMul(c!, w))),
      variables: { w },
      usesContext: true,
    };
    const before = hostMemory();
    const model = fromTfjs(dense(1, 2));
    expect(failed(await checkConditioner(model, { x, tolerances }))).toEqual([]);
    const coupling = new GlowCoupling({ channels: 2, conditioner: model });
    expect(failed(await checkBijection(coupling, { x: pair, tolerances }))).toEqual([]);
    for (const conditioner of [fromTfjs(mixed), fromTfjs(joined())]) {
      const options = { x, context, tolerances };
      expect(failed(await checkConditioner(conditioner, options))).toEqual([]);
      const coupling = new ConditionalGlowCoupling({
        channels: 2,
        contextChannels: 3,
        conditioner,
      });
      expect(failed(await checkBijection(coupling, { x: pair, context, tolerances }))).toEqual([]);
    }
    const sizes = {
      ndims: 0,
      scales: 1,
      steps: 1,
      hidden: 4,
      random: new RandomStream(2),
    } as const;
    const network = new SummarizedNetwork({
      network: new ConditionalGlow({ channels: 2, contextChannels: 2, ...sizes }),
      summary: fromTfjs(dense(3, 2)),
    });
    const { y } = network.forward(pair, context);
    const { dcontext } = network.backward(y, pair, { context });
    expect(dcontext!.shape).toEqual([3, 3]);
    expect(network.summary.parameters.filter((p) => p.grad).length).toBe(6);
    // Weights of three models.
    expect(hostMemory().numTensors - before.numTensors).toBe(8 + 2 + 8);
  });
});

it('convolutions have a vjp, and a jvp in all but their weights, which is an error that leaves nothing', async () => {
  const block = fromTfjs(conv());
  using x = random([2, 1, 4, 4]);
  const before = { ...hostMemory(), ...memory(), peakBytes: 0 };
  const [kernel] = block.parameters;
  const parameters = new Map([[kernel!, kernel!.data]]);
  expect(() => block.jvp(x, { parameters })).toThrow(/Conv2DBackpropFilter/);
  expect({ ...hostMemory(), ...memory(), peakBytes: 0 }).toEqual(before);
  freeze(block, '**');
  expect(failed(await checkConditioner(block, { x, tolerances }))).toEqual([]);
  using y = evaluate(block, x);
  expect(y.shape).toEqual(block.outputShape(x.shape));
});

it('weights are parameters: trained here, frozen, copied, saved and loaded', async () => {
  const make = () => dense(1, 2);
  const conditioner = fromTfjs(named('dense', make()));
  const coupling = new GlowCoupling({ channels: 2, conditioner });
  // Statistics of a batch normalization are not trained; a copy has numbers of its own.
  expect(conditioner.parameters.filter((p) => p.frozen).map((p) => p.name)).toEqual([
    'moving_mean6',
    'moving_variance7',
  ]);
  const copy = copyModule(coupling);
  using x = random([4, 2]);
  using ones = affine(x, 0, 1);
  const { y: start } = coupling.forward(x);
  coupling.backward(start, ones);
  new Adam().step(coupling.parameters, { learningRate: 0.1 });
  const { y: moved } = coupling.forward(x);
  expect(moved.dataSync()).not.toEqual(start.dataSync());
  expect(copy.forward(x).y.dataSync()).toEqual(start.dataSync());
  expect(coupling.forward(x).y.dataSync()).toEqual(moved.dataSync());

  const loaded = modelFromBytes(await modelBytes(coupling), {
    modules: [TfjsBlock, ...layerCatalogue],
    named: { dense: make },
    as: GlowCoupling,
  });
  expect(loaded.forward(x).y.dataSync()).toEqual(moved.dataSync());
});

it('leaves nothing behind but the gradients, on either side', () => {
  const coupling = new GlowCoupling({ channels: 2, conditioner: fromTfjs(dense(1, 2)) });
  using x = random([4, 2]);
  coupling.forward(x);
  const before = { ...hostMemory(), ...memory(), peakBytes: 0 };
  const { y, logdet } = coupling.forward(x);
  const made = coupling.backward(y, x, { dlogdet: logdet });
  for (const t of [y, logdet, ...Object.values(made)]) t.dispose();
  zeroGrad(coupling.parameters);
  expect({ ...hostMemory(), ...memory(), peakBytes: 0 }).toEqual(before);
});

it('what tfjs assigns to the weights is taken over by pull, and refused before', () => {
  const model = dense(1, 2);
  const block = fromTfjs(model);
  using x = random([3, 1]);
  evaluate(block, x).dispose();
  model.setWeights(model.getWeights().map((w) => tf.zerosLike(w)));
  expect(() => evaluate(block, x)).toThrow(/assigned to 'kernel0'/);
  block.pull();
  using y = evaluate(block, x);
  expect([...y.dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
});

describe('refuses', () => {
  const input = () => tfl.input({ shape: [1] });
  const apply = (x: tf.Tensor) => x;
  const models: [string, () => unknown, RegExp | (new () => Error)][] = [
    ['what is no model', () => tf.zeros([1]), /LayersModel/],
    ['a model that is not built', () => tfl.sequential(), /not built/],
    [
      'a stateful layer',
      () => {
        const lstm = layers.simpleRNN({
          units: 2,
          stateful: true,
          batchInputShape: [2, 3, 1],
          recurrentInitializer: 'zeros',
        });
        return tfl.sequential({ layers: [lstm] });
      },
      /is stateful/,
    ],
    [
      'two outputs',
      () => {
        const x = input();
        return tfl.model({ inputs: x, outputs: [x, x] });
      },
      /2 outputs/,
    ],
    [
      'a variable that is none',
      () => ({ apply, variables: { w: tf.zeros([1]) } }),
      /expected a variable/,
    ],
    [
      'a variable of integers',
      () => ({ apply, variables: { w: tf.variable(tf.zeros([1], 'int32')) } }),
      DTypeError,
    ],
    [
      'a name that is none',
      () => ({ apply, variables: { 'a.b': tf.variable(tf.zeros([1])) } }),
      /a\.b/,
    ],
    [
      'a variable under two names',
      () => {
        const a = tf.variable(tf.zeros([1]));
        return { apply, variables: { a, b: a } };
      },
      /the same variable as 'a'/,
    ],
    ['options of another name', () => ({ apply, variable: {} }), /variable/],
  ];
  it.each(models)('%s', (_, make, error) => {
    const source = make();
    const { liveBytes } = memory();
    expect(() => fromTfjs(source as never)).toThrow(error as RegExp);
    expect(memory().liveBytes).toBe(liveBytes);
  });

  it('inputs and results that do not fit', () => {
    using x = random([4, 2]);
    const coupling = (conditioner: TfjsBlock) => new GlowCoupling({ channels: 2, conditioner });
    expect(() => coupling(fromTfjs(dense(1, 3))).forward(x)).toThrow(ShapeError);
    expect(() => coupling(fromTfjs(dense(2, 2))).forward(x)).toThrow(/takes \[any, 2\]/);
    expect(() => coupling(fromTfjs(joined())).forward(x)).toThrow(/expected a context/);
    const given = (apply: (x: tf.Tensor) => tf.Tensor) => () =>
      evaluate(fromTfjs({ apply }), x).dispose();
    expect(given((x) => tf.sum(x, 0))).toThrow(/for 4 samples/);
    expect(given((x) => tf.cast(x, 'int32'))).toThrow(DTypeError);
    expect(given(() => 'y' as never)).toThrow(/expected a tensor of tfjs/);
  });

  it('a function that tfjs cannot differentiate', () => {
    using x = random([4, 2]);
    const block = fromTfjs({ apply: (x: tf.Tensor) => tf.cumprod(x, 1) });
    const { y, saved } = block.forward(x);
    const before = hostMemory();
    expect(() => block.backward(y, saved)).toThrow(/tfjs cannot differentiate/);
    expect(hostMemory()).toEqual(before);
    y.dispose();
  });

  it('disposed weights, and a backend that cannot be read at once', async () => {
    const model = dense(1, 2);
    const block = fromTfjs(model);
    using x = zeros([1, 1]);
    model.dispose();
    expect(() => evaluate(block, x)).toThrow(DisposedError);
    await useLateBackend();
    expect(() => fromTfjs(dense(1, 2))).toThrow(BackendError);
  });
});
