/** Files that are resumed may come from anywhere: whatever their texts say, one clear error. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setBackend } from '@invnet/tensor';
import { CheckpointError, readSafetensors, writeSafetensors } from '@invnet/train';
import { checkpointPath, openRun, parseOptions, parseRun, saveRun } from 'example-kit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { app } from '../src/app.ts';
import { buildFlow } from '../src/model.ts';

const key = 'glow-mnist';
let folder: string;
let metadata: Readonly<Record<string, string>>;

beforeAll(async () => {
  await setBackend('reference');
  folder = await mkdtemp(join(tmpdir(), 'glow-mnist-'));
  const flags = '--hidden 2 --scales 1 --steps 1 --batch 500 --seed 3 --epochs 0.5';
  const run = await openRun(
    app,
    parseOptions(app, [...flags.split(' '), '--out', folder])!,
    buildFlow,
  );
  const losses = Array.from({ length: 121 }, (_, i) => 8 - i / 100);
  Object.assign(run.state, { step: 121, seconds: 1.5, peakBytes: 1000, losses });
  await saveRun(run);
  metadata = readSafetensors(await readFile(checkpointPath(folder))).metadata;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Resumes from the file with other texts in it. */
async function resumeWith(texts: Readonly<Record<string, string>>) {
  const path = checkpointPath(folder);
  const { tensors } = readSafetensors(await readFile(path));
  await writeFile(path, writeSafetensors({ tensors, metadata: { ...metadata, ...texts } }));
  return openRun(app, parseOptions(app, ['--resume', '--out', folder])!, buildFlow);
}

test('a run comes back as it was saved', async () => {
  const { config, budget, state } = await resumeWith({});
  expect({ config, budget, state }).toEqual(JSON.parse(metadata[key]!));
});

/** All places in a value, as lists of keys. */
function placesIn(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  const inner = Object.entries(value).slice(0, Array.isArray(value) ? 3 : undefined);
  return [[], ...inner.flatMap(([k, v]) => placesIn(v).map((rest) => [k, ...rest]))];
}

/** The text with another value at a place; undefined takes it out. */
function spoiled(text: string, [first, ...rest]: string[], value: unknown): string {
  const whole = JSON.parse(text);
  if (first === undefined) return String(JSON.stringify(value));
  const inner =
    rest.length === 0 ? value : JSON.parse(spoiled(JSON.stringify(whole[first]), rest, value));
  if (Array.isArray(whole)) return JSON.stringify(whole.with(Number(first), inner));
  return JSON.stringify({ ...whole, [first]: inner });
}

test('no field is trusted, whatever stands there', () => {
  const text = metadata[key]!;
  const values = [undefined, null, true, '7', '', -1, 0.25, 1e300, 2 ** 53, [], [7], {}, { a: 7 }];
  // Numbers that a run could have, and the one field that may be absent.
  const free: Record<string, readonly unknown[]> = {
    'budget.learningRate': [0.25],
    'budget.epochs': [0.25],
    'state.seconds': [0.25, 1e300, 2 ** 53],
    'state.losses.0': [-1, 0.25, 1e300, 2 ** 53],
    'state.losses.1': [-1, 0.25, 1e300, 2 ** 53],
    'state.losses.2': [-1, 0.25, 1e300, 2 ** 53],
  };
  let refused = 0;
  for (const place of placesIn(JSON.parse(text))) {
    for (const value of values) {
      const parse = () => parseRun(app, spoiled(text, place, value), 'the text');
      if (free[place.join('.')]?.includes(value)) parse();
      else {
        expect(parse, `${place.join('.')} is ${JSON.stringify(value)}`).toThrow(CheckpointError);
        refused++;
      }
    }
  }
  expect(refused).toBeGreaterThan(200);
});

const deep = '['.repeat(200_000);
test.each<[string, Record<string, string> | ((run: string) => Record<string, string>), RegExp]>([
  ['no text', { [key]: '' }, /glow-mnist is ""; expected JSON/],
  ['half a text', (run) => ({ [key]: run.slice(0, -9) }), /expected JSON/],
  ['a list without end', { [key]: deep }, /expected JSON/],
  [
    'a deep list',
    { [key]: deep + ']'.repeat(200_000) },
    /glow-mnist is a list; expected an object/,
  ],
  ['a field more', (run) => ({ [key]: run.replace('{"config"', '{"x":1,"config"') }), /with "x"/],
  [
    'a field of every object',
    (run) => ({ [key]: run.replace('{', '{"__proto__":{},') }),
    /__proto__/,
  ],
  [
    'another step',
    (run) => ({ [key]: run.replace('"step":121', '"step":120') }),
    /of length 121; .*120 steps/,
  ],
  [
    'minutes beside epochs',
    (run) => ({ [key]: run.replace('"budget":{', '"budget":{"minutes":3,') }),
    /of 2 lengths; expected either minutes or epochs/,
  ],
  ['a loss too few', (run) => ({ [key]: run.replace(',6.8]', ']') }), /of length 120; .*121 steps/],
  [
    'another width',
    (run) => ({ [key]: run.replace('"hidden":2', '"hidden":3') }),
    /hidden' is 2 in/,
  ],
  ['another optimizer', { 'invnet.optimizer': 'sgd' }, /state of sgd; expected that of adam/],
  ['a later form', { 'invnet.format': '99' }, /version 99/],
  ['a form of words', { 'invnet.format': '{}' }, /version {}/],
  ['no model', { 'invnet.model': '' }, /'invnet.model' is not JSON/],
  ['null for a model', { 'invnet.model': 'null' }, /no configuration of a module/],
  ['a number for a model', { 'invnet.model': '{"$type":5}' }, /no configuration of a module/],
  ['another model', { 'invnet.model': '{"$type":"Glow"}' }, /is of another network/],
  [
    'parts that are none',
    { 'invnet.model': '{"$type":"Flow","network":null,"base":[]}' },
    /another network/,
  ],
  [
    'a reference to nothing',
    { 'invnet.model': '{"$type":"Flow","network":{"$ref":9}}' },
    /another network/,
  ],
  [
    'a deep model',
    { 'invnet.model': `{"$type":"Flow","network":${deep}${']'.repeat(200_000)}}` },
    /'invnet.model' has more than 500 levels/,
  ],
])('%s in a file is one clear error', async (_, spoil, message) => {
  const texts = typeof spoil === 'function' ? spoil(metadata[key]!) : spoil;
  const resumed = resumeWith(texts);
  await expect(resumed).rejects.toThrow(CheckpointError);
  await expect(resumed).rejects.toThrow(message);
});
