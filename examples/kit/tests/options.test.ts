import { ValueError } from '@invnet/tensor';
import { expect, test } from 'vitest';
import {
  type App,
  FlagError,
  helpOf,
  oneOf,
  parseOptions,
  positive,
  text,
  toggle,
  whole,
} from '../src/index.ts';

const app = {
  name: 'tomography',
  about: 'Images what nobody sees.',
  config: {
    hidden: whole({ default: 16, least: 4, most: 64, help: 'channels' }),
    data: oneOf(['random', 'blocks'], { default: 'random', help: 'how they are parted' }),
    noise: positive({ most: 1, help: 'deviation of the noise' }),
  },
  flags: {
    volumeFile: text({ placeholder: '<file>', help: 'a volume of your own' }),
    wholeVolume: toggle({ help: 'over all slices' }),
  },
  budget: { minutes: 2, learningRate: 1e-3 },
  writes: 'metrics.json',
};

test('each kind of flag is parsed, and is its default where it is left out', () => {
  const none = parseOptions(app, [])!;
  expect(none).toMatchObject({ out: 'out/tomography', resume: false, overwrite: false });
  expect(none.config).toEqual({ hidden: 16, data: 'random', noise: undefined, seed: 0 });
  expect(none.flags).toEqual({ volumeFile: undefined, wholeVolume: false });
  expect(none.budget).toEqual({ minutes: 2, learningRate: 1e-3 });
  expect(none.given.size).toBe(0);
  const some = parseOptions(
    app,
    '-- --data blocks --noise 0.5 --volume-file a.nii --whole-volume --steps 7 --seed 3'.split(' '),
  )!;
  expect(some.config).toEqual({ hidden: 16, data: 'blocks', noise: 0.5, seed: 3 });
  expect(some.flags).toEqual({ volumeFile: 'a.nii', wholeVolume: true });
  expect(some.budget).toEqual({ steps: 7, learningRate: 1e-3 });
  expect([...some.given].sort()).toEqual(
    ['data', 'noise', 'seed', 'steps', 'volumeFile', 'wholeVolume'].sort(),
  );
});

test.each([
  ['--data stripes', "--data is 'stripes'; expected one of 'random', 'blocks'"],
  ['--noise 2', "--noise is '2'; expected a number above 0, of at most 1"],
  ['--hidden 3', "--hidden is '3'; expected a whole number from 4 to 64"],
  ['--volume-file=', "--volume-file is ''; expected a text that is not empty"],
  ['--whole-volume=yes', '--whole-volume'],
  ['--volumeFile a', "Unknown option '--volumeFile'"],
  ['--epochs 1', "Unknown option '--epochs'"],
  ['--minutes 1 --steps 5', '--minutes and --steps exclude each other'],
])('refuses %s', (args, message) => {
  const parse = () => parseOptions(app, args.split(' '));
  expect(parse).toThrow(FlagError);
  expect(parse).toThrow(message);
});

test('help has a line for each flag, with its default', () => {
  expect(parseOptions(app, ['--seed', '1', '--help'])).toBeUndefined();
  const help = helpOf(app);
  expect(help).toMatch(/^Images what nobody sees\.\n\nUsage: app tomography \[flags\]\n/);
  expect(help).toMatch(/\n {2}--volume-file <file> +a volume of your own\n/);
  expect(help).toMatch(/\n {2}--whole-volume +over all slices\n/);
  expect(help).toMatch(
    /\n {2}--data <name> +how they are parted: random or blocks \(default random\)/,
  );
  expect(help).toMatch(/\n {2}--minutes <number> +time to train \(default 2\)\n/);
  for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
});

test('an app cannot take the name of a flag that all have', () => {
  const greedy: App = { ...app, config: { out: whole({ help: 'outer layers' }) }, flags: {} };
  expect(() => parseOptions(greedy, [])).toThrow(ValueError);
  expect(() => parseOptions(greedy, [])).toThrow('--out is described twice');
});
