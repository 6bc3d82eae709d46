/** Right calls of `@invnet/weights`. */
import { readFileSync } from 'node:fs';
import { relu } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import * as weights from '@invnet/weights';
import { type Calls, call, make, on } from './call.ts';

const recorded = (name: string) =>
  readFileSync(
    new URL(`../../../../packages/weights/tests/recorded/${name}.safetensors`, import.meta.url),
  );

/** Calls of all exports of weights. */
export function weightCalls(): Calls {
  const random = new RandomStream(7);
  const [glow, swaps, vectors, inn, julia] = [
    'normflows-glow',
    'normflows-realnvp',
    'nflows-images',
    'freia-glow',
    'julia-glow',
  ].map(recorded);
  const places = [1, 4, 7, 9].map((i) => [`flows.${i}`, 'PermuteSwap']);
  const squeezed = { gaps: { '_transform._transforms.0': 'SqueezeTransform' } };
  const channels = { channels: [2, 3, 2], activation: relu(), random };
  const plain = new weights.Perceptron({ channels: [2, 3, 2] });
  const residual = new weights.ResidualPerceptron({ channels: [2, 3, 2] });
  const x = random.normal([2, 2]);
  return {
    WeightsError: [make(weights.WeightsError, ['a message', 'a key'])],
    importNormflows: [
      call(weights.importNormflows, [
        glow,
        { scaleMap: 'sigmoid', splitMode: 'channel', squeeze: true, logscaleFactor: 3 },
      ]),
      call(weights.importNormflows, [swaps, { leaky: 0.1, gaps: Object.fromEntries(places) }]),
    ],
    exportNormflows: [call(weights.exportNormflows, [weights.importNormflows(glow!)])],
    importNflows: [call(weights.importNflows, [vectors, { ...squeezed, activation: relu() }])],
    exportNflows: [call(weights.exportNflows, [weights.importNflows(vectors!, squeezed)])],
    importFreia: [
      call(weights.importFreia, [
        inn,
        {
          ...{ clamp: 2, clampActivation: 'ATAN', globalAffineType: 'EXP', activation: relu() },
          ...{ volumePreserving: false, permutesBefore: true },
        },
      ]),
    ],
    exportFreia: [call(weights.exportFreia, [weights.importFreia(inn!)])],
    importInvertibleNetworksJl: [
      call(weights.importInvertibleNetworksJl, [
        julia,
        { low: 0, high: 1, pattern: 'checkerboard' },
      ]),
    ],
    exportInvertibleNetworksJl: [
      call(weights.exportInvertibleNetworksJl, [weights.importInvertibleNetworksJl(julia!)]),
    ],
    Perceptron: [
      make(weights.Perceptron, [channels]),
      make(weights.Perceptron, [{ channels: [2, 3], ndims: 1, kernels: [3], random }]),
      on(plain, 'forward', [x]),
    ],
    ResidualPerceptron: [
      make(weights.ResidualPerceptron, [channels]),
      on(residual, 'forward', [x]),
    ],
  };
}
