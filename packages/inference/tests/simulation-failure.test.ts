/** Simulations that failed: whoever learns from the others is told of them without asking. */
import { setBackend, ValueError } from '@invnet/tensor';
import { beforeAll, expect, it } from 'vitest';
import {
  type LearningWarning,
  neuralLikelihood,
  neuralPosterior,
  type Pairs,
  type Simulator,
  simulate,
  uniformPrior,
} from '../src/index.ts';

const prior = uniformPrior({ low: [0], high: [1] });
const simulator: Simulator = ([a], { random }) => {
  if (a! < 0.25) throw new RangeError('too small');
  return [a! < 0.5 ? Number.NaN : a!, random.normalArray(1)[0]!];
};
const learning = {
  estimator: { kind: 'affine', transforms: 1, hidden: 4 },
  epochs: 1,
  seed: 1,
} as const;
/** Those that learning gives, which it has told before, in this order. */
const warningsOf = async (learn: typeof neuralPosterior | typeof neuralLikelihood, of: Pairs) => {
  const told: LearningWarning[] = [];
  const onWarning = (warning: LearningWarning) => told.push(warning);
  const result = await learn(prior, of, { ...learning, onWarning }).result();
  ('posterior' in result ? result.posterior : result.likelihood).dispose();
  expect(result.warnings).toEqual(told);
  return told;
};

beforeAll(() => setBackend('wasm'));

it('is the first warning of what is learned from the others, with how many failed and why', async () => {
  const simulations = await simulate(simulator, prior, { count: 80, seed: 3 }).result();
  const { theta, x, failures } = simulations;
  const count = (reason: string) => failures.filter((one) => one.reason === reason).length;
  expect(Math.min(count('threw'), count('not finite'))).toBeGreaterThan(1);
  const message =
    `${failures.length} of 80 simulations failed, and are left out: ${count('threw')} threw (first: RangeError: too small), ` +
    `${count('not finite')} gave numbers that are not finite (first: number 0 of the observation is NaN). What is learned is ` +
    'given that a simulation succeeds.';
  // A context of one value everywhere is a warning of the fit.
  const constant = { ...x, data: x.data.map((value, i) => (i % 2 === 0 ? value : 0)) };
  const [first, ...others] = await warningsOf(neuralPosterior, { ...simulations, x: constant });
  expect(first).toEqual({ kind: 'failed-simulations', message });
  expect(others.map(({ kind }) => kind)).toEqual(['constant-column']);
  expect(await warningsOf(neuralLikelihood, simulations)).toEqual([first]);
  // Of pairs from anywhere nothing is known, and of one failure no others.
  expect(await warningsOf(neuralLikelihood, { theta, x })).toEqual([]);
  const one = failures.filter(({ reason }) => reason === 'threw').slice(0, 1);
  const [single] = await warningsOf(neuralLikelihood, { theta, x, failures: one });
  expect(single!.message).toContain(
    `1 of ${theta.shape[0]! + 1} simulations failed, and are left out: 1 threw (RangeError: too small). `,
  );
});

it('takes what simulate gives, and says so of anything else', () => {
  const pairs = {
    theta: { shape: [2, 1], data: Float64Array.of(0, 1) },
    x: { shape: [2, 1], data: Float64Array.of(3, 4) },
  };
  const made = (failures: unknown) => () => {
    const simulations: Pairs = { ...pairs, ...Object(failures) };
    return neuralPosterior(prior, simulations, learning);
  };
  expect(made({ failures: [] })).not.toThrow();
  expect(made({ failures: 3 })).toThrow('failures is 3; expected a list, such as that of simulate');
  expect(made({ failures: [3] })).toThrow('failures[0] is 3; expected { index, theta');
  expect(made({ failures: [{ reason: 'lost' }] })).toThrow("failures[0].reason is 'lost'");
  expect(made({ failures: [{ reason: 'lost' }] })).toThrow(ValueError);
});
