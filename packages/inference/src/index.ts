/** Simulation-based inference: priors, simulators, posteriors and their diagnostics. */

export { inferenceCatalogue } from './catalogue.ts';
export type { C2st, C2stOptions } from './diagnostics/c2st.ts';
export { c2st } from './diagnostics/c2st.ts';
// Diagnostics.
export type {
  CalibrateOptions,
  Calibration,
  CalibrationProgress,
  Sampler,
} from './diagnostics/calibrate.ts';
export { calibrate } from './diagnostics/calibrate.ts';
export type {
  CalibrationRanks,
  CalibrationTest,
  ParameterCalibration,
} from './diagnostics/calibration-tests.ts';
// Estimators and summaries.
export type {
  Estimator,
  EstimatorName,
  EstimatorOptions,
  EstimatorShape,
} from './estimators/estimator.ts';
export { estimatorNames } from './estimators/estimator.ts';
// Likelihoods.
export type {
  LikelihoodDensityOptions,
  LikelihoodParts,
  LikelihoodSampleOptions,
  LikelihoodSamples,
} from './likelihoods/likelihood.ts';
export { Likelihood } from './likelihoods/likelihood.ts';
export type {
  NeuralLikelihoodOptions,
  NeuralLikelihoodResult,
} from './likelihoods/neural-likelihood.ts';
export { neuralLikelihood } from './likelihoods/neural-likelihood.ts';
// Posteriors.
export type { MapOptions, Maximum } from './posteriors/maximum.ts';
export type {
  NeuralPosteriorOptions,
  NeuralPosteriorResult,
} from './posteriors/neural-posterior.ts';
export { neuralPosterior } from './posteriors/neural-posterior.ts';
export type { Observations } from './posteriors/observations.ts';
export type {
  PosteriorDensityOptions,
  PosteriorParts,
  PosteriorSampleOptions,
  UnusualObservation,
  WatchOptions,
} from './posteriors/posterior.ts';
export { Posterior } from './posteriors/posterior.ts';
export type {
  TruncatedPosteriorOptions,
  TruncatedPosteriorProgress,
  TruncatedPosteriorResult,
} from './posteriors/truncated-posterior.ts';
export { truncatedPosterior } from './posteriors/truncated-posterior.ts';
export type { Typicality } from './posteriors/typical-observations.ts';
export { TypicalObservations } from './posteriors/typical-observations.ts';
// Priors.
export {
  betaPrior,
  gammaPrior,
  independentPrior,
  logNormalPrior,
  normalPrior,
  uniformPrior,
} from './priors/families.ts';
export type { PriorParts, PriorSampleOptions } from './priors/prior.ts';
export { MissingDensityError, Prior } from './priors/prior.ts';
export type { Support } from './priors/support.ts';
export { Run } from './run.ts';
export type { SimulationWorker, WorkerSimulator } from './simulation/lanes.ts';
// Simulators.
export type { Pairs } from './simulation/pairs.ts';
export { serveSimulator } from './simulation/serve-simulator.ts';
export type {
  SimulateOptions,
  SimulationProgress,
  Simulations,
} from './simulation/simulate.ts';
export { simulate } from './simulation/simulate.ts';
export { SimulationError } from './simulation/simulation-error.ts';
export type { LearningWarning, SimulationFailure } from './simulation/simulation-failure.ts';
export type {
  FailureReason,
  Observation,
  SimulateBatch,
  SimulateOne,
  SimulationContext,
  Simulator,
} from './simulation/simulator.ts';
export { FeatureStandardization } from './summaries/feature-standardization.ts';
export type { Summary, SummaryKind, SummaryOptions } from './summaries/summary.ts';
