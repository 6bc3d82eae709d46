/**
 * The text that a file's metadata hold of a run, read back. It may come from anywhere, so nothing in it is
 * trusted: numbers obey the limits of the command line, and each other.
 */
import type { BatchPlace } from '@invnet/datasets';
import type { RandomState } from '@invnet/tensor';
import { CheckpointError } from '@invnet/train';
import { firstBlocks, trainingImages } from './model.ts';
import { type Budget, type Limit, limits, type RunConfig, whole } from './options.ts';

/** Where a run stands. */
export interface RunState {
  /** Steps done. */
  step: number;
  /** Seconds of training so far. */
  seconds: number;
  /** Where the next batch begins. */
  place: BatchPlace;
  /** The dequantization noise of the next batch. */
  noise: RandomState;
  /** Most tensor memory that was live at once. */
  peakBytes: number;
  /** Bits per dimension of each step's batch. */
  readonly bitsPerDim: number[];
}

/** What a file says of a run beside its model. */
export interface SavedRun {
  readonly config: RunConfig;
  readonly budget: Budget;
  readonly state: RunState;
}

/**
 * The run that a text describes.
 *
 * @param place - What messages call the text.
 * @throws CheckpointError that says where it describes none.
 */
export function parseRun(text: string, place: string): SavedRun {
  const run = savedRun(json(text, place), place);
  const { config, state } = run;
  const { step, noise, bitsPerDim } = state;
  const perEpoch = Math.floor(trainingImages / config.batch);
  const expected = {
    epoch: Math.floor(step / perEpoch),
    position: config.batch * (step % perEpoch),
  };
  const { epoch, position } = state.place;
  if (epoch !== expected.epoch || position !== expected.position) {
    fail(
      `${place}.state.place`,
      `epoch ${epoch}, position ${position}`,
      `epoch ${expected.epoch}, position ${expected.position}, where step ${step} ends`,
    );
  }
  if (noise.seed !== config.seed) {
    fail(`${place}.state.noise.seed`, String(noise.seed), `${config.seed}, as in config`);
  }
  if (bitsPerDim.length !== step) {
    fail(
      `${place}.state.bitsPerDim`,
      `of length ${bitsPerDim.length}`,
      `one for each of ${step} steps`,
    );
  }
  return run;
}

type Check<T> = (value: unknown, place: string) => T;

const finite = { expected: 'a finite number', accepts: Number.isFinite };
const notNegative = { expected: 'a number of at least 0', accepts: (n: number) => n >= 0 };
const count = number(whole(0));

const savedRun = record<SavedRun>({
  config: record<RunConfig>({
    hidden: number(limits.hidden),
    scales: number(limits.scales),
    steps: number(limits.steps),
    batch: number(limits.batch),
    seed: number(limits.seed),
  }),
  budget: record<Budget>(
    {
      minutes: number(limits.minutes),
      learningRate: number(limits.learningRate),
      epochs: number(limits.epochs),
    },
    ['epochs'],
  ),
  state: record<RunState>({
    step: number(whole(1)),
    seconds: number(notNegative),
    place: record<BatchPlace>({ epoch: count, position: count }),
    noise: record<RandomState>({
      seed: count,
      block: number(whole(firstBlocks.noise, firstBlocks.testNoise - 1)),
    }),
    peakBytes: count,
    bitsPerDim: list(number(finite)),
  }),
});

function number({ expected, accepts }: Limit): Check<number> {
  return (value, place) => {
    if (typeof value === 'number' && Number.isFinite(value) && accepts(value)) return value;
    return fail(place, show(value), expected);
  };
}

function list<T>(item: Check<T>): Check<T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) return fail(place, show(value), 'a list');
    return value.map((v, i) => item(v, `${place}[${i}]`));
  };
}

/** An object of these fields and no others; those that are optional may be left out. */
function record<T extends object>(
  fields: { readonly [K in keyof T]-?: Check<NonNullable<T[K]>> },
  optional: readonly (keyof T & string)[] = [],
): Check<T> {
  const checks = new Map(Object.entries<Check<unknown>>(fields));
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return fail(place, show(value), 'an object');
    }
    const given = new Map<string, unknown>(Object.entries(value));
    for (const key of given.keys()) {
      if (!checks.has(key)) fail(place, `with ${show(key)}`, `no more than ${[...checks.keys()]}`);
    }
    const missing: readonly string[] = optional.filter((key) => !given.has(key));
    const present = [...checks].filter(([key]) => !missing.includes(key));
    const entries = present.map(([key, check]) => [key, check(given.get(key), `${place}.${key}`)]);
    // Each field is there, and of its type.
    return Object.fromEntries(entries) as T;
  };
}

function json(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail(place, show(text), 'JSON');
  }
}

function fail(place: string, found: string, expected: string): never {
  throw new CheckpointError(`--resume: ${place} is ${found}; expected ${expected}.`);
}

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value);
}
