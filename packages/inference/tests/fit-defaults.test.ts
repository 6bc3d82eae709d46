/** What learning takes by default, of several sizes. */
import { Adam, AdamW } from '@invnet/train';
import { expect, test } from 'vitest';
import { likelihoodPace, matchingPace, withDefaults } from '../src/estimators/fit-defaults.ts';

/** Steps of an epoch, and those in which weights shrink by e at the first rate. */
function stepsOf(rows: number, size: number, pace = likelihoodPace) {
  const { average, optimizer } = withDefaults({}, { rows, size, pace });
  if (!(optimizer instanceof AdamW)) throw new Error('expected AdamW');
  return {
    epoch: 1 / (1 - average!) / pace.averaged,
    shrinking: 1 / (pace.rate * optimizer.weightDecay),
  };
}

test('weights shrink in as many epochs for all numbers of rows, the sooner the more parameters', () => {
  for (const rows of [10_000, 100_000]) {
    for (const size of [2, 5]) {
      const { epoch, shrinking } = stepsOf(rows, size);
      expect(shrinking / epoch).toBeCloseTo(300 / size ** 2, 6);
      expect(stepsOf(rows, size, matchingPace).shrinking / epoch).toBeCloseTo(1500 / size ** 2, 6);
    }
  }
});

test('few rows and many parameters leave weights the steps to learn', () => {
  for (const [rows, size] of [
    [100, 10],
    [1000, 64],
    [100_000, 64],
  ] as const) {
    expect(stepsOf(rows, size).shrinking).toBeCloseTo(250, 6);
  }
});

test('what is asked for stays', () => {
  const optimizer = new Adam();
  const how = { epochs: 3, patience: 2, batchSize: 50, average: 0.5, schedule: () => 1, optimizer };
  const made = withDefaults(how, { rows: 1000, size: 2, pace: likelihoodPace });
  expect(made).toEqual(how);
});
