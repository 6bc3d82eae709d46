/** Every class of the catalogue, with options drawn at random: configurations, files and copies. */
import { flowCatalogue, standardNormal } from '@invnet/flows';
import {
  activationTypes,
  build,
  copyModule,
  describe as describeModule,
  type Json,
  type Module,
  named,
  namedBuffers,
  namedParameters,
  summary,
} from '@invnet/layers';
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { modelBytes, modelFromBytes } from '../src/index.ts';
import { autoregressive } from './model-options/autoregressive.ts';
import { combinators } from './model-options/combinators.ts';
import { conditioners } from './model-options/conditioners.ts';
import { continuous } from './model-options/continuous.ts';
import { couplings } from './model-options/couplings.ts';
import type { Options } from './model-options/draws.ts';
import { elementwise } from './model-options/elementwise.ts';
import { flows } from './model-options/flows.ts';
import { linear } from './model-options/linear.ts';
import { networks } from './model-options/networks.ts';
import { residual } from './model-options/residual.ts';
import { squeezes } from './model-options/squeezes.ts';
import { transformers } from './model-options/transformers.ts';

beforeEach(() => setBackend('reference'));

const operator = named('doubling', { forward: (u: object) => u, adjoint: (r: object) => r });
const customParts = named('block', { forward: () => {}, backward: () => {} });
const ownParts = named('own', { forward: () => {}, inverse: () => {}, backward: () => {} });
const factories = { doubling: () => operator, block: () => customParts, own: () => ownParts };

/** Options of every type, in the order of the rooms that the layers stand in, then the networks. */
const options: Options = {
  ...elementwise,
  ...linear,
  ...squeezes,
  ...transformers,
  ...conditioners,
  ...combinators,
  ...couplings,
  ...autoregressive,
  ...residual,
  ...continuous,
  ...networks,
  ...flows,
};

/** Options that were given, with a module of their type around them where they are none's own. */
function moduleOf(type: string, json: Json): Json {
  const isActivation = activationTypes.some((t) => t.type === type);
  if (!isActivation) return json;
  const $type = ['relu', 'elu', 'gelu', 'silu'].includes(type) ? 'ActivationLayer' : 'Elementwise';
  return { $type, activation: json };
}

const step = named('step', (channels: readonly number[]) =>
  build({ $type: 'ActNorm', channels: channels[0]! }, { modules: flowCatalogue }),
);
const named_ = { ...factories, step: () => step };

it('has options for every type of the catalogue', () => {
  expect(Object.keys(options).sort()).toEqual(flowCatalogue.map((t) => t.type).sort());
  expect(new Set(flowCatalogue.map((t) => t.type)).size).toBe(flowCatalogue.length);
  expect(standardNormal().type).toBe('StandardNormal');
});

describe.each(Object.keys(options))('%s', (type) => {
  it('is plain JSON from which it is built again, saved, loaded and copied', async () => {
    const seed = fc.nat(1000);
    await fc.assert(
      fc.asyncProperty(options[type]!, seed, async (drawn, n) => {
        const before = memory().tensors;
        const built = (json: Json, s: number) =>
          build(json, { modules: flowCatalogue, named: named_, random: new RandomStream(s) });
        const first = fill(moduleOf(type, drawn), built);
        const json: Json = JSON.parse(JSON.stringify(describeModule(first)));
        expect(json).toEqual(describeModule(first));
        // Built again, twice, with other weights: the same structure.
        const [second, third] = [built(json, n), built(json, n + 1)];
        expect(summary(second)).toBe(summary(first));
        expect(summary(third)).toBe(summary(first));
        expect(describeModule(second)).toEqual(json);
        // A file, and a copy, have the same numbers.
        const scattered = built(json, n + 2);
        for (const p of namedParameters(scattered).values()) p.changed();
        const loaded = modelFromBytes(await modelBytes(scattered, { note: 'x' }), {
          modules: flowCatalogue,
          named: named_,
        });
        const copy = copyModule(scattered);
        const numbers = await numbersOf(scattered);
        expect(await numbersOf(loaded)).toEqual(numbers);
        expect(await numbersOf(copy)).toEqual(numbers);
        expect(describeModule(loaded)).toEqual(json);
        for (const m of [first, second, third, scattered, loaded, copy]) m.dispose();
        expect(memory().tensors).toBe(before);
      }),
      { numRuns: 8, seed: 4 },
    );
  });
});

/** Built from options of which some are left out: its configuration has the defaults. */
function fill(json: Json, built: (json: Json, seed: number) => Module): Module {
  const { $type, ...given } = json as { readonly $type: string };
  const type = flowCatalogue.find((t) => t.type === $type)!;
  const decoded = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, decode(value as Json, built)]),
  );
  const made = type as unknown as { build?(options: object): Module } & (new (o: object) => Module);
  return type.build && Object.hasOwn(type, 'build') ? made.build!(decoded) : new made(decoded);
}

function decode(value: Json, built: (json: Json, seed: number) => Module): unknown {
  if (Array.isArray(value)) return value.map((v: Json) => decode(v, built));
  if (typeof value !== 'object' || value === null) return value;
  const record = value as { readonly [key: string]: Json };
  if (typeof record.$named === 'string') return named_[record.$named as keyof typeof named_]();
  if (typeof record.$type !== 'string') {
    return Object.fromEntries(Object.entries(record).map(([k, v]) => [k, decode(v, built)]));
  }
  const isActivation = activationTypes.some((t) => t.type === record.$type);
  if (!isActivation) return fill(value, built);
  const { $type, ...given } = record;
  return activationTypes.find((t) => t.type === $type)!.build!(given as never);
}

async function numbersOf(module: Module): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const [path, p] of namedParameters(module)) found[path] = [...(await p.data.data())];
  for (const [path, b] of namedBuffers(module)) found[path] = [...(await b.read())];
  return found;
}
