/** Right calls of the residual flows of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';
import { methodsOf } from './layers.ts';

/** Calls of their exports. */
export function residualCalls(): Calls {
  const random = () => new RandomStream(3);
  const x = random().normal([2, 3]);
  const spectral = { coefficient: 0.8, iterations: 2, gain: 1, random: random() };
  const dense = { inChannels: 3, outChannels: 3, ...spectral };
  const conv = { ...dense, size: [2, 2], kernel: 3 };
  const layer = new api.SpectralDense(dense);
  const block = new api.LipschitzBlock({ layers: [layer, new api.LipSwish()] });
  const sizes = {
    channels: 3,
    hidden: [2],
    size: [2],
    kernel: 3,
    activation: 'elu',
    coefficient: 0.8,
    random: random(),
  } as const;
  const roulette = {
    logdet: 'roulette',
    terms: 2,
    samples: 2,
    distribution: 'poisson',
    rate: 1,
    seed: 4,
  } as const;
  const solver = { tolerance: 1e-5, maxIterations: 100, random: random() };
  const sample = { channels: 3, size: [2], random: random() };
  const sylvester = { channels: 3, units: 2, random: random() };
  const counter = new api.Counter('draws');
  return {
    InvertibleResidual: [
      make(api.InvertibleResidual, [{ block, ...solver, ...roulette }]),
      ...methodsOf(new api.InvertibleResidual({ block }), x),
    ],
    lipschitzBlock: [call(api.lipschitzBlock, [sizes])],
    LipschitzActivation: [make(api.LipschitzActivation, [{ activation: 'tanh' }])],
    LipschitzBlock: [
      make(api.LipschitzBlock, [{ layers: [layer, new api.LipSwish()] }]),
      on(block, 'outputShape', [[2, 3]]),
    ],
    LipschitzLayer: [],
    LipSwish: [make(api.LipSwish, [])],
    SpectralConv: [
      make(api.SpectralConv, [conv]),
      on(new api.SpectralConv(conv), 'outputShape', [[1, 3, 2, 2]]),
    ],
    SpectralDense: [
      make(api.SpectralDense, [dense]),
      on(layer, 'outputShape', [[2, 3]]),
      on(layer, 'updateNorm', [2]),
      on(layer, 'norm', []),
    ],
    SpectralLayer: [],
    Planar: [
      make(api.Planar, [{ ...sample, activation: 'tanh' }]),
      ...methodsOf(new api.Planar({ channels: 3 }), x),
    ],
    Radial: [make(api.Radial, [sample]), ...methodsOf(new api.Radial({ channels: 3 }), x)],
    Sylvester: [
      make(api.Sylvester, [{ ...sylvester, rotation: new api.Householder({ channels: 3 }) }]),
      ...methodsOf(new api.Sylvester({ channels: 3 }), x),
    ],
    TriangularSylvester: [
      make(api.TriangularSylvester, [sylvester]),
      ...methodsOf(new api.TriangularSylvester({ channels: 3 }), x),
    ],
    updateLipschitz: [call(api.updateLipschitz, [block, { iterations: 2 }])],
    Counter: [
      make(api.Counter, ['draws']),
      on(counter, 'write', [[1]]),
      on(new api.TrainingStep(), 'noteDraw', [counter]),
    ],
  };
}
