/** Model files of other libraries as networks here, and back. */
export type { FreiaOptions } from './freia.ts';
export { exportFreia, importFreia } from './freia.ts';
export type { InvertibleNetworksJlOptions } from './invertible-networks-jl.ts';
export {
  exportInvertibleNetworksJl,
  importInvertibleNetworksJl,
} from './invertible-networks-jl.ts';
export type { NflowsOptions } from './nflows.ts';
export { exportNflows, importNflows } from './nflows.ts';
export type { NormflowsOptions } from './normflows.ts';
export { exportNormflows, importNormflows } from './normflows.ts';
export type { PerceptronOptions } from './perceptron.ts';
export { Perceptron, ResidualPerceptron } from './perceptron.ts';
export type { WeightsSource } from './state-dict.ts';
export { WeightsError } from './state-dict.ts';
