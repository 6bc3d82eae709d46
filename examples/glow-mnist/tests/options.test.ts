import { FlagError, parseOptions } from 'example-kit';
import { expect, test } from 'vitest';
import { app } from '../src/app.ts';

test('flags override defaults, which stand in one place', () => {
  const options = parseOptions(app, ['--', '--hidden', '16', '--epochs', '0.5', '--resume']);
  expect(options?.config).toEqual({
    hidden: 16,
    scales: 2,
    steps: 8,
    batch: 16,
    seed: 0,
  });
  expect(options?.budget).toEqual({ epochs: 0.5, learningRate: 4e-3 });
  expect(options?.resume).toBe(true);
  expect([...options!.given].sort()).toEqual(['epochs', 'hidden', 'resume']);
  expect(parseOptions(app, ['--help'])).toBeUndefined();
});

test.each([
  ['faster', "Unexpected argument 'faster'"],
  ['--seed -1', "'--seed' argument is ambiguous"],
  ['--seed=-1', "--seed is '-1'; expected a whole number of at least 0"],
  ['--batch=', "--batch is ''; expected a whole number from 1 to 1024"],
  ['--hidden 4.5', "--hidden is '4.5'; expected a whole number from 1 to 512"],
  ['--hidden 1000000', "--hidden is '1000000'; expected a whole number from 1 to 512"],
  ['--steps 1e9', "--steps is '1e9'; expected a whole number from 1 to 64"],
  ['--scales 50', "--scales is '50'; expected a whole number from 1 to 2"],
  ['--threads 0', "--threads is '0'; expected a whole number from 1 to 256"],
  ['--epochs many', "--epochs is 'many'; expected a number above 0"],
  ['--minutes 0', "--minutes is '0'; expected a number above 0"],
  ['--minutes 1e300', "--minutes is '1e300'; expected a number above 0, of at most 1000000"],
  ['--learning-rate NaN', "--learning-rate is 'NaN'; expected a number above 0"],
  ['--minutes 1 --epochs 1', '--minutes and --epochs exclude each other'],
  ['--resume --overwrite', '--resume and --overwrite exclude each other'],
  ['--out=', "--out is ''; expected a text that is not empty"],
])('refuses %s', (args, message) => {
  const parse = () => parseOptions(app, args.split(' '));
  expect(parse).toThrow(FlagError);
  expect(parse).toThrow(message);
});
