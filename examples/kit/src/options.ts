/**
 * An example's command line: its own flags and those that all examples have, parsed and explained.
 *
 * Left out: everything that needs a network or a backend; those errors come from the library.
 */
import { availableParallelism } from 'node:os';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ValueError } from '@invnet/tensor';
import {
  type Flag,
  FlagError,
  type Flags,
  oneOf,
  positive,
  text,
  toggle,
  type Values,
  whole,
} from './flags.ts';

/** No flags. */
export type NoFlags = Record<never, never>;

/** What an example is, as far as its command line and its files are concerned. */
export interface App<C extends Flags = Flags, F extends Flags = NoFlags> {
  /** Of its folder in `examples`, its results in `out`, and its entry in the model file. */
  readonly name: string;
  /** What it does, in a sentence. */
  readonly about: string;
  /** Flags that shape the network and the data: fixed for the whole life of a run. `seed` is always one. */
  readonly config: C;
  /** Flags of its own that may differ whenever it is started. */
  readonly flags?: F;
  /** How long it trains, unless it is told. */
  readonly budget: Budget;
  /** Do its data come in epochs? Then there is `--epochs` in place of `--steps`. */
  readonly epochs?: boolean;
  /** What is recorded of each step's loss. Default: the loss itself. */
  readonly measure?: Measure;
  /** The files that it writes, for `--help`. */
  readonly writes: string;
  /** The file whose run `--resume` goes on with. Default: `model.safetensors`. */
  readonly goesOnFrom?: string;
  /** What a run of an earlier form of its files is in this one's. */
  readonly upgrade?: (saved: unknown) => unknown;
}

/** How long to train, by one of three, and how fast; may differ between the legs of a resumed run. */
export interface Budget {
  /** Minutes of training. */
  readonly minutes?: number;
  /** Steps from the start, or passes over the data: then a run is reproducible to the last bit. */
  readonly steps?: number;
  readonly epochs?: number;
  /** The largest. */
  readonly learningRate: number;
}

/** A number that stands for a loss. */
export interface Measure {
  /** Its column in `losses.csv`. */
  readonly name: string;
  /** Behind it while training runs. */
  readonly unit: string;
  readonly of: (loss: number) => number;
}

/** The values of an app's configuration. */
export type Config<C extends Flags> = Values<C> & { readonly seed: number };

/** Everything that a command line says. */
export interface Options<C extends Flags = Flags, F extends Flags = Flags> {
  readonly config: Config<C>;
  readonly flags: Values<F>;
  readonly budget: Budget;
  /** Flags that were given, by name: on resuming, the others follow the file. */
  readonly given: ReadonlySet<string>;
  readonly backend: (typeof backends)[number];
  /** Of native and wasm; results do not depend on it. */
  readonly threads: number;
  readonly out: string;
  readonly resume: boolean;
  /** Whether an earlier model in `out` may be replaced. */
  readonly overwrite: boolean;
}

const backends = ['native', 'wasm', 'gpu', 'reference'] as const;

const lengths = {
  minutes: positive({ help: 'time to train' }),
  steps: whole({ help: 'steps to train, in place of minutes: reproducible to the last bit' }),
  epochs: positive({
    help: 'passes over the data, fractions allowed, in place of minutes: reproducible to the last bit',
  }),
};

/**
 * Reads the arguments behind the program's name; undefined when help is asked for.
 *
 * @throws FlagError for an unknown flag or a value that cannot be used.
 * @example parseOptions(app, ['--hidden', '16', '--steps', '500'])?.config.hidden // 16
 */
export function parseOptions<C extends Flags, F extends Flags>(
  app: App<C, F>,
  args: readonly string[],
): Options<C, F> | undefined {
  const flags = flagsOf(app);
  const given = parse(flags, args);
  if (given.has('help')) return undefined;
  for (const [a, b] of [lengthsOf(app), ['resume', 'overwrite']] as const) {
    if (given.has(a) && given.has(b)) {
      throw new FlagError(`${dashed(a)} and ${dashed(b)} exclude each other; give one of them.`);
    }
  }
  // Each value is of its flag's type: `accepts` has seen it, or it is the default.
  const values = <T extends Flags>(of: T) =>
    Object.fromEntries(
      Object.entries(of).map(([name, flag]) => [name, given.get(name) ?? flag.default]),
    ) as Values<T>;
  const { config, standard } = partsOf(app);
  const { learningRate, backend, threads, out, resume, overwrite } = values(standard);
  const own: Flags = app.flags ?? {};
  return {
    config: values(config) as Config<C>,
    flags: values(own) as Values<F>,
    budget: { ...lengthFor(app, given), learningRate },
    given: new Set(given.keys()),
    backend,
    threads,
    out,
    resume,
    overwrite,
  };
}

/** The text of `--help`. */
export function helpOf(app: App<Flags, Flags>): string {
  const { minutes, steps, epochs } = app.budget;
  const lengthDefaults: Readonly<Record<string, unknown>> = { minutes, steps, epochs };
  const entries = Object.entries(flagsOf(app)).map(([name, flag]) => {
    const standard = lengthDefaults[name] ?? flag.default;
    const ending = standard === undefined || standard === false ? '' : ` (default ${standard})`;
    return [`${dashed(name)} ${flag.placeholder}`.trimEnd(), flag.help + ending] as const;
  });
  const indent = 4 + Math.max(...entries.map(([name]) => name.length));
  const lines = entries.map(
    ([name, help]) =>
      `  ${name}`.padEnd(indent) + wrapped(help, 100 - indent).join(`\n${' '.repeat(indent)}`),
  );
  const about = wrapped(app.about, 100).join('\n');
  const writes = wrapped(`Writes ${app.writes}.`, 100).join('\n');
  return (
    `${about}\n\nUsage: app ${app.name} [flags]\n\n${lines.join('\n')}\n\n${writes}\n` +
    'Ctrl-C saves a checkpoint and stops.'
  );
}

/** How a flag is written on the command line. @example dashed('learningRate') // '--learning-rate' */
export function dashed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The two names of a budget's length, of which one is given. */
export function lengthsOf(app: App<Flags, Flags>): readonly ['minutes', 'steps' | 'epochs'] {
  return ['minutes', app.epochs ? 'epochs' : 'steps'];
}

/** The flags of an app's configuration, and those of all examples. */
export function partsOf<C extends Flags>(app: App<C, Flags>) {
  return {
    config: {
      ...app.config,
      seed: whole({ least: 0, default: 0, help: 'seed of everything random' }),
    },
    length: Object.fromEntries(lengthsOf(app).map((name) => [name, lengths[name]])),
    standard: {
      learningRate: positive({
        default: app.budget.learningRate,
        help: 'peak learning rate of Adam',
      }),
      backend: oneOf(backends, { default: 'native', help: 'what computes' }),
      threads: whole({
        most: 256,
        default: Math.min(4, availableParallelism()),
        help: 'threads of native and wasm, by the cores here; results do not depend on it',
      }),
      out: text({
        placeholder: '<folder>',
        default: `out/${app.name}`,
        help: 'where results go',
      }),
      resume: toggle({
        help: `go on from <out>/${app.goesOnFrom ?? 'model.safetensors'}; flags left out keep the values that it was made with`,
      }),
      overwrite: toggle({ help: 'replace an earlier model in <out>' }),
      help: toggle({ help: 'this text' }),
    },
  };
}

/** All flags in the order of the help. @throws ValueError where an app takes the name of another. */
function flagsOf(app: App<Flags, Flags>): Flags {
  const { config, length, standard } = partsOf(app);
  const all: Record<string, Flag<unknown>> = {};
  for (const part of [length, config, app.flags ?? {}, standard]) {
    for (const [name, flag] of Object.entries(part)) {
      if (Object.hasOwn(all, name)) {
        throw new ValueError(
          `${app.name}: ${dashed(name)} is described twice; rename one of them.`,
        );
      }
      all[name] = flag;
    }
  }
  return all;
}

/** The values that were given, by the names of their flags. */
function parse(flags: Flags, args: readonly string[]): Map<string, unknown> {
  const written = new Map(
    Object.entries(flags).map(([name, flag]) => [dashed(name), { name, flag }]),
  );
  const options: ParseArgsOptionsConfig = Object.fromEntries(
    [...written].map(([dashes, { flag }]) => [
      dashes.slice(2),
      { type: flag.placeholder === '' ? 'boolean' : 'string' },
    ]),
  );
  const given = new Map<string, unknown>();
  // `pnpm start -- --steps 1` hands the dashes on.
  const { values } = parsed(args[0] === '--' ? args.slice(1) : [...args], options);
  for (const [key, value] of Object.entries(values)) {
    const { name, flag } = written.get(`--${key}`)!;
    const said = flag.read(String(value));
    if (!flag.accepts(said)) {
      throw new FlagError(`--${key} is '${value}'; expected ${flag.expected}.`);
    }
    given.set(name, said);
  }
  return given;
}

function parsed(args: string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args, options });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // parseArgs explains how to escape a positional argument, which no example takes.
    throw new FlagError(`${error.message.split('. ')[0]}. See --help.`);
  }
}

/** The length that was given, or the app's own. */
function lengthFor(
  app: App<Flags, Flags>,
  given: ReadonlyMap<string, unknown>,
): Omit<Budget, 'learningRate'> {
  const name = lengthsOf(app).find((length) => given.has(length));
  if (name) return { [name]: given.get(name) };
  const { learningRate: _, ...length } = app.budget;
  return length;
}

function wrapped(words: string, width: number): string[] {
  const lines = [''];
  for (const word of words.split(' ')) {
    if (`${lines.at(-1)} ${word}`.length > width) lines.push(word);
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trimStart();
  }
  return lines;
}
