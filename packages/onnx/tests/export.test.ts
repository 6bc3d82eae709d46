/** What a file holds, what flows and pairs become, and what is refused. */
import { fromBinary } from '@bufbuild/protobuf';
import {
  ClassConditional,
  Flow,
  MixtureFlow,
  Normal,
  NormalMixture,
  negativeLogLikelihood,
  StudentT,
} from '@invnet/flows';
import {
  ActNorm,
  AdditiveCoupling,
  ConditionalHintCoupling,
  ConfigurationError,
  Conv1x1,
  CustomBlock,
  evaluate,
  GlowCoupling,
  HaarSqueeze,
  initialize,
  named,
  ResNet,
  Sequential,
  zeroGrad,
} from '@invnet/layers';
import { ConditionalGlow, Glow, LearnedPrior } from '@invnet/networks';
import {
  abs,
  add,
  affine,
  BackendError,
  concat,
  DTypeError,
  div,
  exp,
  getBackend,
  leakyRelu,
  log,
  matmul,
  max,
  maximum,
  mean,
  memory,
  minimum,
  mul,
  neg,
  permute,
  power,
  RandomStream,
  reciprocal,
  relu,
  reluGrad,
  requireLeapfrog,
  ShapeError,
  setBackend,
  sigmoid,
  sigmoidGrad,
  sign,
  slice,
  softplus,
  sqrt,
  square,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tanh,
  tanhGrad,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { ModelProtoSchema } from 'onnx-buf';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Exportable, type ExportOptions, exportOnnx } from '../src/index.ts';
import { expectEqual, runtimes } from './runtimes.ts';

beforeEach(() => setBackend('wasm'));

const random = () => new RandomStream(2);
const image = { shape: [2, 8, 8] };

async function conditionalFlow(): Promise<Flow> {
  const sizes = { channels: 2, contextChannels: 1, hidden: 4, scales: 1, steps: 1 };
  const network = new ConditionalGlow({ ...sizes, random: random() });
  const context = random().normal([4, 1, 8, 8]);
  await initialize(network, random().normal([4, 2, 8, 8], 2), { context });
  return new Flow({ network });
}

async function glowFlow(): Promise<Flow> {
  const network = new Glow({ channels: 2, hidden: 4, scales: 2, steps: 1, random: random() });
  await initialize(network, random().normal([4, 2, 8, 8], 2));
  return new Flow({ network });
}

describe.each(Object.entries(runtimes))('a flow in %s', (_, open) => {
  it('has the density, and makes data of latent variables', async () => {
    const flow = await conditionalFlow();
    const options = { ...image, context: [1, 8, 8] };
    const density = await open(await exportOnnx(flow, { ...options, of: 'logProb' }));
    const sampler = await open(await exportOnnx(flow, { ...options, of: 'sample' }));
    for (const samples of [1, 5]) {
      const x = random().normal([samples, 2, 8, 8]);
      const context = random().normal([samples, 1, 8, 8]);
      const { logProb } = await density({ x, context });
      await expectEqual(logProb, flow.logProb(x, context), 'logProb');
      const [shape, temperature] = [[samples, 2, 8, 8], 0.7];
      const z = flow.base.sample(flow.outputShape(shape), { random: random(), temperature });
      const drawn = await sampler({ z, context });
      expect(Object.keys(drawn)).toEqual(['x']);
      const expected = flow.sample({ shape, seed: random(), temperature, context });
      await expectEqual(drawn.x, expected, 'x');
    }
  });

  it('may have a base and a prior with parameters, of a context', async () => {
    const network = new Glow({
      ...{ channels: 2, hidden: 4, scales: 2, steps: 1, actnorm: false, random: random() },
      prior: new LearnedPrior({ classes: 3 }),
    });
    const components = [
      new StudentT({ channels: 2 }),
      new Flow({ network: new ActNorm({ channels: 2 }), base: new Normal({ channels: 2 }) }),
      new ClassConditional({ channels: 2, classes: 3, spread: 1 }),
    ];
    const mixed = new Flow({ network, base: new MixtureFlow({ components }) });
    const mixture = new NormalMixture({ channels: 2, size: [8, 8], components: 2 });
    for (const flow of [mixed, new Flow({ network, base: mixture })]) {
      for (const p of flow.parameters) p.assign(add(p.data, random().normal(p.shape, 0.05)));
      const density = await open(await exportOnnx(flow, { ...image, context: [3], of: 'logProb' }));
      const [x, context] = [random().normal([2, 2, 8, 8]), random().normal([2, 3])];
      const { logProb } = await density({ x, context });
      await expectEqual(logProb, flow.logProb(x, context), 'logProb');
    }
  });

  it('is trained by the gradients of its file', async () => {
    const flow = await glowFlow();
    const frozen = flow.parameters[0]!;
    frozen.frozen = true;
    const step = await open(await exportOnnx(flow, { ...image, of: 'gradients' }));
    for (const samples of [1, 3]) {
      const x = random().normal([samples, 2, 8, 8]);
      const trained = flow.parameters.filter((p) => !p.frozen);
      const weights = Object.fromEntries(trained.map((p) => [p.name, p.data]));
      const found = await step({ x, ...weights });
      zeroGrad(flow.parameters);
      const loss = negativeLogLikelihood(flow, x);
      await expectEqual(found.loss, loss, 'loss');
      expect(Object.keys(found)).toHaveLength(trained.length + 1);
      for (const p of trained)
        await expectEqual(found[`${p.name}.grad`], p.grad!, `${p.name}.grad`);
      for (const p of trained) p.assign(sub(p.data, affine(p.grad!, 0.01)));
    }
  });

  it('is no more special than a map of pairs', async () => {
    const f = new ConditionalHintCoupling({ channels: 2, ndims: 1, random: random() });
    const options = {
      shape: [
        [2, 6],
        [2, 6],
      ],
    } as const;
    const run = await open(await exportOnnx(f, { ...options, of: 'forward' }));
    const back = await open(await exportOnnx(f, { ...options, of: 'inverse' }));
    const x = [random().normal([3, 2, 6]), random().normal([3, 2, 6], 3)] as const;
    const { y, logdet } = f.forward(x);
    const found = await run({ 'x.0': x[0], 'x.1': x[1] });
    await expectEqual(found['y.0'], y[0], 'y.0');
    await expectEqual(found['y.1'], y[1], 'y.1');
    await expectEqual(found.logdet, logdet, 'logdet');
    const again = await back({ 'y.0': y[0], 'y.1': y[1] });
    await expectEqual(again['x.0'], x[0], 'x.0');
    await expectEqual(again['x.1'], x[1], 'x.1');
  });
});

it.each(Object.entries(runtimes))('every operation is the same in %s', async (_, open) => {
  const make = () =>
    named('all', {
      forward: (x: Tensor) => ({ y: everyOperation(x), saved: {} }),
      backward: (dy: Tensor) => ({ dx: dy }),
    });
  const block = new CustomBlock(make());
  const run = await open(
    await exportOnnx(block, { of: 'forward', shape: [3, 4], named: { all: make } }),
  );
  const x = random().normal([2, 3, 4]);
  await expectEqual((await run({ x })).y, evaluate(block, x), 'y');
});

it('is a file with named ends, weights by their paths, and the model as data', async () => {
  const flow = await glowFlow();
  const model = fromBinary(ModelProtoSchema, await exportOnnx(flow, { ...image, of: 'logProb' }));
  const { graph, opsetImport, producerName, metadataProps } = model;
  const ends = [...graph!.input, ...graph!.output].map(({ name, type }) => {
    const tensorType = type!.value.case === 'tensorType' ? type!.value.value : undefined;
    return [name, tensorType!.shape!.dim.map(({ value }) => String(value.value))];
  });
  expect(ends).toEqual([
    ['x', ['N', '2', '8', '8']],
    ['logProb', ['N']],
  ]);
  const weights = new Map(graph!.initializer.map((t) => [t.name, t]));
  for (const p of flow.parameters) {
    const { dims, rawData } = weights.get(p.name)!;
    expect([p.name, dims.map(Number)]).toEqual([p.name, p.shape]);
    const numbers = new Float32Array(new Uint8Array(rawData).buffer);
    expect(numbers).toEqual(await p.data.data());
  }
  expect([opsetImport[0]!.version, producerName]).toEqual([18n, '@invnet/onnx']);
  const metadata = Object.fromEntries(metadataProps.map(({ key, value }) => [key, value]));
  expect(metadata['invnet.of']).toBe('logProb');
  expect(JSON.parse(metadata['invnet.model']!)).toMatchObject({
    $type: 'Flow',
    network: { $type: 'Glow', channels: 2 },
  });
});

it('gives the same bytes again, and leaves the backend and its memory as they were', async () => {
  const flow = await glowFlow();
  const [backend, before] = [getBackend(), memory()];
  const first = await exportOnnx(flow, { ...image, of: 'gradients' });
  expect(await exportOnnx(flow, { ...image, of: 'gradients' })).toEqual(first);
  const wrong = { shape: [3, 8, 8], of: 'logProb' } as const;
  await expect(exportOnnx(flow, wrong)).rejects.toThrow(ShapeError);
  expect(getBackend()).toBe(backend);
  expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
});

describe('refuses', () => {
  const pair = { of: 'forward', shape: [[2], [2]] } as const;
  /** A coupling whose conditioner is a function of one's own. */
  const around = (forward: (x: Tensor) => Tensor) => {
    const make = () =>
      named('own', {
        forward: (x: Tensor) => ({ y: forward(x), saved: {} }),
        backward: (dy: Tensor) => ({ dx: dy }),
      });
    const coupling = new AdditiveCoupling(new CustomBlock(make()));
    return [coupling, { ...pair, named: { own: make } }] as const;
  };
  const place = "at 'conditioner' of AdditiveCoupling";

  it.each<[string, () => readonly [Exportable, ExportOptions], new () => Error, string]>([
    [
      'a BatchNorm in training mode',
      () => {
        const conditioner = new ResNet({ inChannels: 1, hidden: 3, outChannels: 2, ndims: 1 });
        const network = new GlowCoupling({ channels: 2, conditioner });
        return [network, { of: 'forward', shape: [2, 6] }];
      },
      ValueError,
      "'conditioner.blocks.0.0.norm' is a BatchNorm in training mode",
    ],
    [
      'an ActNorm without data',
      () => [new Sequential([new ActNorm({ channels: 2 })]), { of: 'forward', shape: [2] }],
      ValueError,
      "'0' is an ActNorm that no data have set",
    ],
    [
      'numbers read on the way',
      () => around((x) => tensor(x.dataSync(), x.shape)),
      BackendError,
      place,
    ],
    [
      'numbers for each sample',
      () => around((x) => add(x, tensor(ones(x), x.shape))),
      BackendError,
      place,
    ],
    ['a mean over samples', () => around((x) => sub(x, mean(x))), BackendError, place],
    ['two axes of samples', () => around(innerProducts), BackendError, 'along two axes'],
    [
      'waves',
      () =>
        around((x) => {
          requireLeapfrog('leapfrog', x);
          return x;
        }),
      BackendError,
      place,
    ],
    [
      'a function without a maker',
      () => [around((x) => x)[0], pair],
      ConfigurationError,
      "needs 'own'",
    ],
    [
      'a part that a network has not',
      () => [new HaarSqueeze(), { of: 'logProb', shape: [1, 4, 4] }],
      ValueError,
      'expected a Flow',
    ],
    [
      'one shape for a pair',
      () => [around((x) => x)[0], { of: 'forward', shape: [2] }],
      ShapeError,
      'expected two shapes',
    ],
  ])('%s', async (_, make, kind, said) => {
    const [model, options] = make();
    const error = await exportOnnx(model, options).catch((e) => e);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(said);
    model.dispose();
  });

  it('float64', async () => {
    await setBackend('reference', { dtype: 'float64' });
    const model = new Sequential([new Conv1x1({ channels: 2 })]);
    await expect(exportOnnx(model, { of: 'forward', shape: [2] })).rejects.toThrow(
      new DTypeError(
        "exportOnnx: '0.v1' is in float64; expected float32: save the model, and load it on a " +
          'backend in float32.',
      ),
    );
  });
});

function ones(x: Tensor): number[] {
  return Array(x.size).fill(1);
}

/** All operations of a backend that rows may leave out, of x [N, 3, 4], side by side. */
function everyOperation(x: Tensor): Tensor {
  const positive = affine(abs(x), 1, 0.5);
  const unary = [exp, log, neg, reciprocal, relu, sigmoid, softplus, sqrt, square, tanh].map((f) =>
    f(positive),
  );
  const a = sub(x, neg(positive));
  const binary = [div, maximum, minimum, reluGrad, sigmoidGrad, tanhGrad].map((f) =>
    f(a, positive),
  );
  const least = max(x, { axes: [1], keepDims: true });
  const squares = sumSquares(x, { axes: [1], keepDims: true });
  const swapped = permute(x, [0, 2, 1]);
  return concat(
    [
      ...[...unary, ...binary, leakyRelu(x, 0.3), power(positive, 1.7), sign(x)],
      ...[least, squares, slice(x, 1, 1, 2), matmul(x, swapped)],
      ...[matmul(x, x, { transposeB: true }), matmul(swapped, x)].map((m) => slice(m, 2, 0, 3)),
    ].map((t) => t.reshape([x.shape[0]!, -1, 1])),
    1,
  );
}

/** x + Σ xxᵀ ⊙ 0, over samples. */
function innerProducts(x: Tensor): Tensor {
  const products = matmul(x, x, { transposeB: true });
  const nothing = mul(products, zeros(products.shape, x));
  return add(x, sum(nothing, { axes: [1], keepDims: true }));
}

it.each([
  [2, 10009],
  [10007, 1],
])('%i channels and %i positions are not taken for samples', async (channels, length) => {
  const network = new ActNorm({ channels });
  await initialize(network, random().normal([2, channels, length]));
  const bytes = await exportOnnx(network, { of: 'forward', shape: [channels, length] });
  const shape = fromBinary(ModelProtoSchema, bytes).graph?.input[0]?.type?.value;
  const dims = shape?.case === 'tensorType' ? shape.value.shape?.dim.map((d) => d.value.value) : [];
  expect(dims).toEqual(['N', BigInt(channels), BigInt(length)]);
  const run = await runtimes['onnxruntime-node']!(bytes);
  const x = random().normal([3, channels, length]);
  await expectEqual((await run({ x })).y, network.forward(x).y, 'y');
});
