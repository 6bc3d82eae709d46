/** Normalizing flows: densities, samples and their losses. */
export type { BaseSampleOptions, Draw } from './bases/base-distribution.ts';
export { BaseDistribution } from './bases/base-distribution.ts';
export type { ClassConditionalOptions } from './bases/class-conditional.ts';
export { ClassConditional } from './bases/class-conditional.ts';
export type { ConditionalNormalOptions } from './bases/conditional-normal.ts';
export { ConditionalNormal } from './bases/conditional-normal.ts';
export type { EntryOptions, EntryValues } from './bases/entries.ts';
export type { MultivariateNormalOptions } from './bases/multivariate-normal.ts';
export { MultivariateNormal } from './bases/multivariate-normal.ts';
export type { NormalOptions } from './bases/normal.ts';
export { Normal } from './bases/normal.ts';
export type { NormalMixtureOptions } from './bases/normal-mixture.ts';
export { NormalMixture } from './bases/normal-mixture.ts';
export { oneHot } from './bases/one-hot.ts';
export { StandardNormal, standardNormal } from './bases/standard-normal.ts';
export type { StudentTOptions } from './bases/student-t.ts';
export { StudentT } from './bases/student-t.ts';
export type { UniformOptions } from './bases/uniform.ts';
export { Uniform } from './bases/uniform.ts';
export { flowCatalogue } from './catalogue.ts';
export type { FlowMatchingBatch } from './continuous/flow-matching.ts';
export { flowMatching } from './continuous/flow-matching.ts';
export type { Pixels } from './dequantize.ts';
export { bitsPerDim, dequantize } from './dequantize.ts';
export type { SampleOptions } from './flow.ts';
export { Flow, negativeLogLikelihood } from './flow.ts';
export type { MixtureComponent, MixtureFlowOptions } from './mixture-flow.ts';
export { MixtureFlow } from './mixture-flow.ts';
export type { AlphaDivergenceOptions } from './objectives/alpha-divergence.ts';
export { alphaDivergence } from './objectives/alpha-divergence.ts';
export type { ChainDiagnostics, ChainSizes } from './objectives/chains.ts';
export { chainDiagnostics } from './objectives/chains.ts';
export type { EnergyLossOptions } from './objectives/draws.ts';
export type { Energy, LogDensity } from './objectives/energy.ts';
export { energyOf, NonFiniteEnergyError } from './objectives/energy.ts';
export type {
  ChainOptions,
  Chains,
  HamiltonianOptions,
  NeuTraOptions,
} from './objectives/hamiltonian.ts';
export { hamiltonianMonteCarlo, neuTra } from './objectives/hamiltonian.ts';
export { hessianProduct } from './objectives/hessian.ts';
export type {
  ImportanceOptions,
  ImportanceSample,
  WeightStatistics,
} from './objectives/importance.ts';
export { importanceSample, weightStatistics } from './objectives/importance.ts';
export { latentEnergy, latentPosterior } from './objectives/latent-energy.ts';
export { reverseKL } from './objectives/reverse-kl.ts';
export { scoreOf } from './objectives/score.ts';
export type { VariationalOptions } from './variational-dequantization.ts';
export { VariationalDequantization, variationalLoss } from './variational-dequantization.ts';
