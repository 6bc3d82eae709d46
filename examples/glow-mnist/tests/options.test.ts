import { expect, test } from 'vitest';
import { lossChart } from '../src/loss-chart.ts';
import { defaults, OptionError, parseOptions } from '../src/options.ts';

test('flags override defaults, which stand in one place', () => {
  const options = parseOptions(['--', '--hidden', '16', '--epochs', '0.5', '--resume']);
  expect(options?.config).toEqual({
    hidden: 16,
    scales: defaults.scales,
    steps: defaults.steps,
    batch: defaults.batch,
    seed: defaults.seed,
  });
  expect(options?.budget.epochs).toBe(0.5);
  expect(options?.resume).toBe(true);
  expect([...options!.given].sort()).toEqual(['epochs', 'hidden', 'resume']);
  expect(parseOptions(['--help'])).toBeUndefined();
});

test.each([
  ['--seed', '-1'],
  ['--seed=-1'],
  ['--batch', ''],
  ['--learning-rate', 'NaN'],
  ['--out='],
])('refuses %s %s', (...args) => {
  expect(() => parseOptions(args)).toThrow(OptionError);
});

test.each([[[8]], [[8, 8, 8]], [[9, 5, 4, 3]]])(
  'a chart of %j has finite coordinates',
  (losses) => {
    const svg = lossChart(losses, 3.5);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
    expect(svg).toContain('test 3.500');
  },
);
