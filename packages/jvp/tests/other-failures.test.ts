/** As failures.test.ts, of what stands around the maps: building, initialization, training, operators. */
import { Flow, flowCatalogue, negativeLogLikelihood } from '@invnet/flows';
import {
  ActNorm,
  addVectors,
  BasicCoupling,
  build,
  ChannelHalves,
  Conv1x1,
  copyModule,
  DenseBlock,
  describe as describeModule,
  dotVectors,
  flatten,
  flattenPair,
  gradients,
  initialize,
  initializeSync,
  keeping,
  Module,
  namedBuffers,
  namedParameters,
  normOfVector,
  placesIn,
  ResNet,
  replacePart,
  resetInitialization,
  Sequential,
  scaleVector,
  TensorBuffer,
  unflatten,
  unflattenPair,
  WithContext,
} from '@invnet/layers';
import { matmul, RandomStream, ReferenceBackend, tidy, WasmBackend } from '@invnet/tensor';
import { Adam, constant, gradientNorm, train } from '@invnet/train';
import { describe, expect, it } from 'vitest';
import { construct, isModuleType } from '../../layers/src/tree/module.ts';
import {
  addOperators,
  cg,
  checkBijection,
  checkConditioner,
  composeOperators,
  dotTest,
  gaussNewton,
  jacobian,
  lsmr,
  lsqr,
  makeOperator,
  operatorNorm,
  scaleOperator,
  toArrays,
  vjp,
} from '../src/index.ts';
import { conditionerRows } from './conditioner-rows.ts';
import { dispose, expectNothingLeft, useFaulty } from './failures.ts';
import { rows } from './rows.ts';

/** A network that is set by data, and remembers statistics. */
function makeNetwork(): Sequential {
  const random = new RandomStream(3);
  const sizes = { inChannels: 2, outChannels: 4, hidden: 3, blocks: 1, ndims: 1 };
  const conditioner = new ResNet({ ...sizes, random });
  return new Sequential([
    new ActNorm({ channels: 4 }),
    new Conv1x1({ channels: 4, random }),
    new ChannelHalves(new BasicCoupling({ channels: [2, 2], conditioner }), [2, 2]),
    new ActNorm({ channels: 4 }),
  ]);
}

/** Gives a network the numbers of another, which was built as it was. */
function restore(network: Module, original: Module): void {
  const from = namedParameters(original);
  for (const [path, p] of namedParameters(network)) p.assign(from.get(path)!.data);
  const buffers = namedBuffers(original);
  for (const [path, b] of namedBuffers(network)) {
    const other = buffers.get(path);
    if (b instanceof TensorBuffer && other instanceof TensorBuffer) b.assign(other.data);
  }
  resetInitialization(network as Sequential);
}

const shape = [3, 4, 5];

describe.each([
  { kind: 'operation', make: () => new ReferenceBackend() },
  { kind: 'allocation', make: () => new WasmBackend() },
] as const)('where an $kind fails', ({ kind, make }) => {
  it('each constructor leaves nothing', async () => {
    const faulty = await useFaulty(make());
    const seen = new Set<string>();
    for (const row of [...rows, ...conditionerRows]) {
      const root: Module = row.make();
      const given = new Set([...namedParameters(root).values()].map((p) => p.identity));
      const buffers = new Set(namedBuffers(root).values());
      for (const { module } of placesIn(root)) {
        const type = module.constructor;
        const text = `${module.type} ${Object.entries(module.options).map(String)}`;
        if (seen.has(text) || !isModuleType(type)) continue;
        seen.add(text);
        const rebuild = () => {
          const made = construct(type, { ...module.options, random: new RandomStream(1) });
          if (!(made instanceof Module)) return;
          // Parts that were given as options are the row's.
          for (const p of namedParameters(made).values()) if (!given.has(p.identity)) p.dispose();
          for (const b of namedBuffers(made).values()) if (!buffers.has(b)) b.dispose();
        };
        await expectNothingLeft(faulty, kind, root, { [`${row.name}: ${text}`]: rebuild });
      }
      root.dispose();
    }
    expect(seen.size).toBeGreaterThan(100);
  });

  it('a network is initialized in whole or not at all', async () => {
    const faulty = await useFaulty(make());
    const network = makeNetwork();
    const x = new RandomStream(1).normal(shape);
    const calls = {
      initialize: () => initialize(network, x),
      initializeSync: () => initializeSync(network, x),
    };
    await expectNothingLeft(faulty, kind, network, calls, {
      undo: () => resetInitialization(network),
    });
  });

  it('a step of training is done in whole or not at all', async () => {
    const faulty = await useFaulty(make());
    const [network, original] = [makeNetwork(), makeNetwork()];
    const x = new RandomStream(1).normal(shape);
    const flow = new Flow({ network });
    const { parameters } = flow;
    const optimizer = new Adam();
    const calls = {
      train: async () => {
        const loss = () => negativeLogLikelihood(flow, x);
        const options = { parameters, optimizer, loss, batches: [x], schedule: constant(0.1) };
        for await (const _ of train(options));
      },
      'Adam.step': () => {
        dispose(network.backward(x, x));
        optimizer.step(parameters, { learningRate: 0.1 });
      },
    };
    const undo = () => {
      restore(network, original);
      optimizer.dispose();
    };
    await expectNothingLeft(faulty, kind, network, calls, {
      undo,
      trials: Number.POSITIVE_INFINITY,
    });
  });

  it('what forwards keep is freed', async () => {
    const faulty = await useFaulty(make());
    const network = makeNetwork();
    const x = new RandomStream(1).normal(shape);
    await initialize(network, x);
    const pass = () =>
      tidy(() => {
        const { y, logdet } = network.forward(x);
        return network.backward(y, y, { dlogdet: logdet });
      });
    const calls = { keeping: () => keeping('all', pass) };
    await expectNothingLeft(faulty, kind, network, calls, { trials: Number.POSITIVE_INFINITY });
  });

  it('vectors, operators, solvers and copies leave nothing', async () => {
    const faulty = await useFaulty(make());
    const network = makeNetwork();
    const random = new RandomStream(1);
    const x = random.normal(shape);
    await initialize(network, x);
    const { y } = network.forward(x);
    const { parameters } = network;
    const vector = parameters.map((p) => random.normal(p.shape));
    const flat = flatten(vector);
    const dlogdet = random.normal([3]);
    const both = jacobian(network, x, { with: 'both', logdet: true });
    const some = jacobian(network, x, { with: 'parameters', parameters: [parameters[0]!] });
    const curvature = gaussNewton(network, x, { with: 'input', damping: 0.1 });
    const a = random.normal([6, 4]);
    const A = makeOperator({
      domain: { shape: [4, 1] },
      range: { shape: [6, 1] },
      apply: (u: typeof a) => matmul(a, u),
      applyAdjoint: (v: typeof a) => matmul(a, v, { transposeA: true }),
    });
    const square = composeOperators(A.adjoint, A);
    const [u, v] = [random.normal([4, 1]), random.normal([6, 1])];
    const [data, rest, joined] = [
      random.normal([2, 3]),
      random.normal([2, 2]),
      random.normal([2, 5]),
    ];
    const three = { maxIterations: 3 };
    await expectNothingLeft(faulty, kind, network, {
      gradients: () => gradients(parameters),
      addVectors: () => addVectors(vector, vector, 2),
      scaleVector: () => scaleVector(vector, 2),
      flatten: () => flatten(vector),
      unflatten: () => unflatten(flat, vector),
      dotVectors: () => dotVectors(vector, vector),
      normOfVector: () => normOfVector(vector),
      gradientNorm: () => {
        dispose(network.backward(y, x));
        return gradientNorm(parameters);
      },
      flattenPair: () => flattenPair([data, rest]),
      unflattenPair: () => unflattenPair(joined, [[3], [2]]),
      vjp: () => vjp(network, y, x, { dlogdet }),
      jacobian: () => jacobian(network, x, { with: 'both' }).dispose(),
      'Jacobian, apply': () => both.apply([x, vector]),
      'Jacobian, adjoint': () => both.adjoint.apply([y, dlogdet]),
      'Jacobian of some parameters, adjoint': () => some.adjoint.apply(y),
      gaussNewton: () => curvature.apply(x),
      'sum of operators': () => addOperators(square, scaleOperator(square, 2)).apply(u),
      'product of operators': () => square.apply(u),
      cg: () => cg(square, u, three),
      lsqr: () => lsqr(A, v, three),
      lsmr: () => lsmr(A, v, three),
      operatorNorm: () => operatorNorm(square, three),
      dotTest: () => dotTest(A),
      toArrays: () => toArrays(A).apply([1, 2, 3, 4]),
      copyModule: () => copyModule(network).dispose(),
      replacePart: () => {
        const part = new Conv1x1({ channels: 4 });
        try {
          replacePart(network, '1', part).dispose();
        } finally {
          part.dispose();
        }
      },
      build: () => build(describeModule(network), { modules: flowCatalogue }).dispose(),
    });
  });

  it('checks leave nothing, and put back what they move', async () => {
    const faulty = await useFaulty(make());
    const x = new RandomStream(1).normal([1, 2]);
    const f = new ActNorm({ channels: 2 });
    const bijection = { checkBijection: () => checkBijection(f, { x }) };
    await expectNothingLeft(faulty, kind, f, bijection, { trials: 40 });
    const g = new WithContext(new DenseBlock({ inChannels: 2, hidden: 1, outChannels: 1 }));
    const [data, context] = [x.reshape([2, 1]), x.reshape([2, 1])];
    const conditioner = { checkConditioner: () => checkConditioner(g, { x: data, context }) };
    await expectNothingLeft(faulty, kind, g, conditioner, { trials: 40 });
  });
});
