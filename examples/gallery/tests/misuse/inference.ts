/** Right calls of `@invnet/inference`. */
import { Flow } from '@invnet/flows';
import * as inference from '@invnet/inference';
import { AffineTransformer, ConditionalTransform, Dense } from '@invnet/layers';
import type { RandomStream } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';

interface Asked {
  readonly x: { readonly shape: readonly number[] };
  readonly count: number;
  readonly seed: RandomStream;
}

/** Calls of all exports of inference. */
export function inferenceCalls(): Calls {
  // Densities of parameters far from 1 may leave the range of numbers on the way.
  const nan = { may: ['nan'] } as const;
  const prior = (f: unknown, args: readonly unknown[]) => call(f, args, nan);
  const bounds = { low: [0, -1], high: [1, 1] };
  const uniform = inference.uniformPrior(bounds);
  const theta = { shape: [2, 2], data: Float64Array.of(0.5, 0, 0.1, -0.5) };
  const sampler = {
    sample: async ({ x, count, seed }: Asked) => {
      const shape = [x.shape[0]!, count, 2];
      return { shape, data: seed.normalArray(x.shape[0]! * count * 2) };
    },
    logProb: async (given: { theta: { shape: readonly number[]; data: Float64Array } }) =>
      given.theta.data.filter((_, i) => i % 2 === 0),
  };
  const parts = {
    support: [
      { kind: 'ordered', size: 1 },
      { kind: 'above', low: 1, size: 1 },
    ],
    sample: (count: number, random: RandomStream) => random.uniformArray(2 * count, 1, 2),
    logDensity: () => 0,
    score: (t: Float64Array) => t,
  };
  const simulator = ([a]: Float64Array) => [a!];
  const run = (options: object) =>
    call(inference.simulate, [simulator, uniform, { count: 3, seed: 1, ...options }]);
  const failed = { index: 2, theta: Float64Array.of(1, 1), reason: 'threw', message: 'Error: no' };
  const observed = {
    theta,
    x: { shape: [2, 1], data: Float64Array.of(1, 2) },
    failures: [failed],
  };
  const network = new Flow({
    network: new ConditionalTransform({
      channels: 2,
      contextChannels: 1,
      ndims: 0,
      transformer: new AffineTransformer(),
    }),
  });
  const summary = new Dense({ inChannels: 1, outChannels: 1 });
  const typical = new inference.TypicalObservations({ features: 1 });
  const posteriorParts = {
    flow: network,
    summary,
    support: [{ kind: 'real', size: 2 }],
    observation: [1],
    typical,
  } as const;
  const posterior = new inference.Posterior(posteriorParts);
  const learning = { estimator: { kind: 'affine', transforms: 1, hidden: 2 }, summary: 'none' };
  const likelihood = new inference.Likelihood({
    flow: new Flow({
      network: new ConditionalTransform({
        channels: 1,
        contextChannels: 2,
        ndims: 0,
        transformer: new AffineTransformer(),
      }),
    }),
    support: uniform.support,
    features: 1,
  });
  return {
    neuralLikelihood: [
      call(inference.neuralLikelihood, [
        uniform,
        observed,
        { estimator: learning.estimator, epochs: 9, batchSize: 1, validation: 0 },
      ]),
    ],
    Likelihood: [
      make(inference.Likelihood, [
        { flow: likelihood.flow, support: uniform.support, features: 1 },
      ]),
      on(likelihood, 'logProb', [{ x: [1], theta }], nan),
      on(
        likelihood,
        'sample',
        [{ x: [1], prior: uniform, count: 4, seed: 1, chains: 2, warmup: 4 }],
        nan,
      ),
    ],
    estimatorNames: [],
    inferenceCatalogue: [],
    neuralPosterior: [
      call(inference.neuralPosterior, [
        uniform,
        observed,
        { ...learning, epochs: 9, batchSize: 1, validation: 0 },
      ]),
    ],
    truncatedPosterior: [
      call(inference.truncatedPosterior, [
        simulator,
        uniform,
        { x: [1], count: 8, seed: 1, rounds: 2, learning: { ...learning, epochs: 9 } },
      ]),
    ],
    Posterior: [
      make(inference.Posterior, [posteriorParts]),
      on(posterior, 'sample', [{ x: [1], count: 2, seed: 1, batchSize: 2, onWarning: () => {} }]),
      on(posterior, 'logProb', [{ x: [1], theta, batchSize: 2 }], nan),
      on(posterior, 'map', [{ x: [1], seed: 1, starts: 1, steps: 2 }], nan),
      on(posterior, 'typicality', [{ x: [1] }], nan),
    ],
    TypicalObservations: [make(inference.TypicalObservations, [{ features: 2 }])],
    FeatureStandardization: [make(inference.FeatureStandardization, [{ features: 2 }])],
    SimulationError: [make(inference.SimulationError, ['a message'])],
    MissingDensityError: [make(inference.MissingDensityError, ['a message'])],
    c2st: [
      call(inference.c2st, [
        { shape: [4, 1], data: [1, 2, 3, 4] },
        { shape: [4, 1], data: [0, 3, 1, 2] },
        { seed: 1, folds: 2, signal: new AbortController().signal, progress: () => {} },
      ]),
    ],
    calibrate: [
      {
        ...call(inference.calibrate, [
          sampler,
          { theta, x: theta },
          { seed: 1, draws: 3, batchSize: 1, names: ['a', 'b'] },
        ]),
        run: (args) => Reflect.apply(inference.calibrate, undefined, args as never).result(),
        may: ['nan'],
      },
    ],
    Prior: [
      make(inference.Prior, [parts]),
      on(uniform, 'sample', [{ count: 3, seed: 1 }]),
      on(uniform, 'logProb', [theta]),
      on(uniform, 'score', [theta]),
      on(uniform, 'contains', [theta]),
    ],
    uniformPrior: [prior(inference.uniformPrior, [bounds])],
    normalPrior: [prior(inference.normalPrior, [{ mean: [0], deviation: [1] }])],
    logNormalPrior: [prior(inference.logNormalPrior, [{ mean: [0], deviation: [1] }])],
    gammaPrior: [prior(inference.gammaPrior, [{ shape: [2], rate: [1] }])],
    betaPrior: [prior(inference.betaPrior, [{ alpha: [2], beta: [1] }])],
    independentPrior: [prior(inference.independentPrior, [[uniform, uniform]])],
    simulate: [run({ batchSize: 2, workers: 1, timeout: 100 })],
    serveSimulator: [
      {
        name: 'serveSimulator',
        args: [simulator],
        run: (args) => {
          // What a worker of a page has.
          Object.assign(globalThis, { addEventListener() {}, postMessage() {} });
          return call(inference.serveSimulator, args).run(args);
        },
        undo: () => {
          Reflect.deleteProperty(globalThis, 'addEventListener');
          Reflect.deleteProperty(globalThis, 'postMessage');
        },
      },
    ],
    Run: [
      {
        name: 'Run.result',
        args: [],
        run: () => inference.simulate(simulator, uniform, { count: 3, seed: 1 }).result(),
      },
    ],
  };
}
