/** The recorded models, and how each is read and written. */
import { Flow } from '@invnet/flows';
import {
  exportFreia,
  exportInvertibleNetworksJl,
  exportNflows,
  exportNormflows,
  type FreiaOptions,
  type InvertibleNetworksJlOptions,
  importFreia,
  importInvertibleNetworksJl,
  importNflows,
  importNormflows,
  type NflowsOptions,
  type NormflowsOptions,
  type WeightsSource,
} from '../src/index.ts';

export interface Case {
  readonly load: (source: WeightsSource) => Flow;
  readonly save: (flow: Flow) => Promise<Uint8Array<ArrayBuffer>>;
}

const normflows = (options: NormflowsOptions = {}): Case => ({
  load: (source) => importNormflows(source, options),
  save: exportNormflows,
});

const freia = (options: FreiaOptions = {}): Case => ({
  load: (source) => new Flow({ network: importFreia(source, options) }),
  save: ({ network }) => exportFreia(network),
});

const nflows = (options: NflowsOptions = {}): Case => ({
  load: (source) => importNflows(source, options),
  save: exportNflows,
});

const julia = (options: InvertibleNetworksJlOptions = {}): Case => ({
  load: (source) => new Flow({ network: importInvertibleNetworksJl(source, options) }),
  save: ({ network }) => exportInvertibleNetworksJl(network),
});

const swaps = [1, 4, 7, 9].map((i) => [`flows.${i}`, 'PermuteSwap']);

export const cases: Readonly<Record<string, Case>> = {
  'normflows-glow': normflows(),
  'normflows-glow-exp': normflows({ scaleMap: 'exp', splitMode: 'channel_inv' }),
  'normflows-odd': normflows({ leaky: 0.1, squeeze: false }),
  'normflows-realnvp': normflows({ leaky: 0.1, gaps: Object.fromEntries(swaps) }),
  'normflows-vectors': normflows({ scaleMap: 'sigmoid_inv' }),
  'freia-all-in-one': freia(),
  'freia-odd': freia({ clamp: 1.5, globalAffineType: 'SIGMOID' }),
  'freia-glow': freia({ clamp: 1.5 }),
  'freia-tanh': freia({ clampActivation: 'TANH', globalAffineType: 'EXP' }),
  'freia-blocks': freia({ permutesBefore: true }),
  'freia-gin': freia({ volumePreserving: true }),
  'freia-sigmoid': freia({ clampActivation: 'SIGMOID', globalAffineType: 'EXP' }),
  'nflows-vectors': nflows(),
  'nflows-images': nflows({ gaps: { '_transform._transforms.0': 'SqueezeTransform' } }),
  'julia-glow': julia(),
  'julia-flat': julia(),
  'julia-line': julia(),
  'julia-volume': julia(),
  'julia-patch': julia({ pattern: 'patch', low: 0.5, high: 1.5 }),
};
