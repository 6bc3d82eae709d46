/**
 * The text that a file's metadata hold of a run, read back. It may come from anywhere, so nothing in it is
 * trusted: values obey the flags that they were given by, and each other.
 */
import { CheckpointError } from '@invnet/train';
import type { Flag, Flags } from './flags.ts';
import { type App, type Budget, type Config, lengthsOf, partsOf } from './options.ts';

/** Where a run stands. The data of a step follow from the seed and the step. */
export interface RunState {
  /** Steps done. */
  step: number;
  /** Seconds of training so far. */
  seconds: number;
  /** Most tensor memory that was live at once. */
  peakBytes: number;
  /** What the app's measure says of each step's loss. */
  readonly losses: number[];
}

/** What a file says of a run beside its model. */
export interface SavedRun<C> {
  readonly config: C;
  readonly budget: Budget;
  readonly state: RunState;
}

/**
 * The run that a text describes.
 *
 * @param place - What messages call the text.
 * @throws CheckpointError that says where it describes none.
 */
export function parseRun<C extends Flags>(
  app: App<C, Flags>,
  text: string,
  place: string,
): SavedRun<Config<C>> {
  const saved = json(text, place);
  const { config, length, standard } = partsOf(app);
  const run = record<SavedRun<Config<C>>>({
    config: values<Config<C>>(config),
    budget: values<Budget>({ ...length, learningRate: standard.learningRate }),
    state: record<RunState>({
      step: number('a whole number of at least 1', (n) => Number.isSafeInteger(n) && n > 0),
      seconds: number('a number of at least 0', (n) => n >= 0),
      peakBytes: number('a whole number of at least 0', (n) => Number.isSafeInteger(n) && n >= 0),
      losses: list(number('a finite number', () => true)),
    }),
  })(app.upgrade ? app.upgrade(saved) : saved, place);
  const { step, losses } = run.state;
  if (losses.length !== step) {
    fail(`${place}.state.losses`, `of length ${losses.length}`, `one for each of ${step} steps`);
  }
  const lengths = lengthsOf(app);
  const given = lengths.filter((name) => run.budget[name] !== undefined);
  if (given.length !== 1) {
    fail(`${place}.budget`, `of ${given.length} lengths`, `either ${lengths.join(' or ')}`);
  }
  return run;
}

/** Gives a value as what it is, or says where it is something else. */
type Check<T> = (value: unknown, place: string) => T;

function number(expected: string, accepts: (n: number) => boolean): Check<number> {
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

/** Values of flags; one without a default may be missing. */
function values<T extends object>(flags: Flags): Check<T> {
  const checks = Object.entries(flags).map(([name, flag]) => [name, valueFor(flag)] as const);
  // The flags are those that T was made from.
  return record<T>(Object.fromEntries(checks) as Parameters<typeof record<T>>[0]);
}

function valueFor(flag: Flag<unknown>): Check<unknown> {
  return (value, place) => {
    if (flag.accepts(value) || (value === undefined && flag.default === undefined)) return value;
    return fail(place, show(value), flag.expected);
  };
}

/** An object of these fields and no others. */
function record<T extends object>(
  fields: {
    readonly [K in keyof T]-?: Check<T[K] | undefined>;
  },
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
    const entries = [...checks]
      .map(([key, check]) => [key, check(given.get(key), `${place}.${key}`)] as const)
      .filter(([, checked]) => checked !== undefined);
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
