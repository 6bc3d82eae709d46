/** Simulation-based inference: priors, simulators, posteriors and their diagnostics. */
export { SimulationError } from './simulation/simulation-error.ts';
