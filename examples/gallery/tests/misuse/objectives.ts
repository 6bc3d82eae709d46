/** Right calls of the objectives of `@invnet/flows`. */
import * as flows from '@invnet/flows';
import * as layers from '@invnet/layers';
import { affine, neg, RandomStream, square, sumPerSample, type Tensor } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';

const value = (x: Tensor) => affine(sumPerSample(square(x)), 0.5);
const energy = {
  value,
  withGradient: (x: Tensor) => ({ value: value(x), gradient: affine(x, 1) }),
};
const density = { logDensity: (x: Tensor) => neg(value(x)), score: (x: Tensor) => neg(x) };

/** Calls of all exports that fit, sample and weigh by energies. */
export function objectiveCalls(): Calls {
  const x = new RandomStream(5).normal([3, 2]);
  const flow = new flows.Flow({ network: new layers.AffineLayer({ channels: 2 }) });
  const undo = () => layers.zeroGrad(flow.parameters);
  const draws = { shape: [3, 2], seed: 1 };
  const loss = { ...draws, gradient: 'total', inverseTemperature: 0.5, context: undefined };
  const chains = { samples: 4, warmup: 1, steps: 1, stepSize: 0.1, acceptance: 0.8, seed: 1 };
  const numbers = Float32Array.from({ length: 16 }, (_, i) => (i * 7) % 5);
  const pulled = [flows.latentEnergy, flows.latentPosterior].map((pull) => [
    call(pull, [flow, energy]),
    on(pull(flow, energy), 'value', [x]),
    on(pull(flow, energy), 'withGradient', [x]),
  ]);
  return {
    NonFiniteEnergyError: [make(flows.NonFiniteEnergyError, ['an operation', 1, 3, 'another'])],
    alphaDivergence: [call(flows.alphaDivergence, [flow, energy, { ...loss, alpha: 2 }], { undo })],
    chainDiagnostics: [call(flows.chainDiagnostics, [numbers, { draws: 4, chains: 2 }])],
    energyOf: [
      call(flows.energyOf, [density]),
      on(flows.energyOf(density), 'value', [x]),
      on(flows.energyOf(density), 'withGradient', [x]),
    ],
    hamiltonianMonteCarlo: [call(flows.hamiltonianMonteCarlo, [energy, { ...chains, start: x }])],
    hessianProduct: [call(flows.hessianProduct, [flow, x, x])],
    importanceSample: [
      call(flows.importanceSample, [flow, energy, { ...draws, context: undefined }]),
    ],
    latentEnergy: pulled[0]!,
    latentPosterior: pulled[1]!,
    neuTra: [call(flows.neuTra, [flow, energy, { ...chains, shape: [2, 2], context: undefined }])],
    reverseKL: [call(flows.reverseKL, [flow, energy, loss], { undo })],
    scoreOf: [call(flows.scoreOf, [flow, x])],
    weightStatistics: [call(flows.weightStatistics, [[-1, 0, 2]])],
  };
}
