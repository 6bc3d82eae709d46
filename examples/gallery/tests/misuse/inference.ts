/** Right calls of `@invnet/inference`. */
import * as inference from '@invnet/inference';
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
  return {
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
