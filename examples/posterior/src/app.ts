/** The command line of this example. */
import { estimatorNames } from '@invnet/inference';
import { benchmarkTaskNames } from '@invnet/inference/tasks';
import { type App, oneOf, text, type Values, whole } from 'example-kit';

/** What is known of a run, in its folder. */
export const runFile = 'run.json';

const file = '<file>';

/** Flags that stay as they are for the whole life of a run. */
export const config = {
  task: oneOf(benchmarkTaskNames, {
    default: 'two_moons',
    help: 'what to simulate, where there is no --x',
  }),
  simulations: whole({ default: 10_000, least: 20, help: 'how many to learn from, of a task' }),
  x: text({
    placeholder: file,
    help: 'observations that were simulated, NPY [N, …], in place of a task',
  }),
  theta: text({ placeholder: file, help: 'the parameters of each, NPY [N, D]' }),
  low: text({
    placeholder: '<numbers>',
    help: 'lower bounds of the parameters in --theta, with commas',
  }),
  high: text({ placeholder: '<numbers>', help: 'upper bounds of them' }),
  missing: oneOf(['refuse', 'drop'], {
    default: 'refuse',
    help: 'rows of --x with NaN in them: an error, or left out and counted in the report',
  }),
  estimator: text({
    placeholder: '<names>',
    default: 'spline',
    help: `the network, or several with commas, which the report compares: ${estimatorNames.join(', ')}`,
  }),
};

/** Flags of what a posterior is asked. */
export const flags = {
  names: text({ placeholder: '<names>', help: 'of the parameters, with commas, for the report' }),
  observed: text({
    placeholder: file,
    help: 'the observation to ask about, NPY; else the one of --observation, or the last row of --x',
  }),
  observation: whole({ default: 1, most: 10, help: 'which of the ten of a task' }),
  samples: whole({ default: 10_000, least: 20, help: 'samples of the posterior' }),
  checks: whole({
    default: 300,
    least: 20,
    help: 'simulations that the calibration is checked on',
  }),
};

/** This example for the kit. */
export const app: App<typeof config, typeof flags> = {
  name: 'posterior',
  about:
    'Learns the posterior of parameters from simulations, of a task of the benchmark of simulation-based inference or of ' +
    'your own in NPY files, asks it about an observation, and reports whether it can be believed.',
  config,
  flags,
  budget: { learningRate: 5e-3 },
  epochs: true,
  goesOnFrom: runFile,
  writes:
    'posterior.safetensors (the model), samples.npy, report.html and report.json; while it trains, a checkpoint in model.safetensors; ' +
    'of several estimators, files such as posterior-spline.safetensors and one report',
};

/** The values of both. */
export type Settings = Values<typeof config>;
export type Asked = Values<typeof flags>;
