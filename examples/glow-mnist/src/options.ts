/**
 * The command line: flags, their defaults (the one place where they stand) and their checks.
 *
 * Left out: everything that needs a network or a backend; those errors come from the library.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

/** What shapes the network and the data stream; fixed for the whole life of a checkpoint. */
export interface RunConfig {
  readonly hidden: number;
  readonly scales: number;
  readonly steps: number;
  readonly batch: number;
  readonly seed: number;
}

/** What may differ between the legs of a resumed run. */
export interface Budget {
  /** Passes over the training set; decides when it is given, else the clock does. */
  readonly epochs?: number;
  /** Minutes of training. */
  readonly minutes: number;
  readonly learningRate: number;
}

/** Everything that the command line says. */
export interface Options {
  readonly config: RunConfig;
  readonly budget: Budget;
  /** Flags that were given, by name: on resuming, the others follow the checkpoint. */
  readonly given: ReadonlySet<string>;
  readonly backend: string;
  /** Of native and wasm; results do not depend on it. */
  readonly threads: number;
  readonly out: string;
  readonly resume: boolean;
  /** Whether an earlier model in `out` may be replaced. */
  readonly overwrite: boolean;
}

/** A flag that cannot be used; the message is for the user. */
export class OptionError extends Error {
  override name = 'OptionError';
}

/** Defaults of all flags. */
export const defaults = {
  hidden: 32,
  scales: 2,
  steps: 8,
  batch: 16,
  seed: 0,
  minutes: 3,
  learningRate: 4e-3,
  backend: 'native',
  threads: Math.min(4, availableParallelism()),
  out: 'out/glow-mnist',
} as const;

/** What a number may be. */
export interface Limit {
  readonly expected: string;
  readonly accepts: (n: number) => boolean;
}

/** Whole numbers within limits, both included. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Limit {
  return {
    expected:
      most === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${least}`
        : `a whole number from ${least} to ${most}`,
    accepts: (n) => Number.isSafeInteger(n) && n >= least && n <= most,
  };
}

const positive: Limit = {
  expected: 'a number above 0, of at most 1000000',
  accepts: (n) => n > 0 && n <= 1e6,
};

/** What flags may be, here and in a file that is resumed: networks that a machine can hold. */
export const limits = {
  hidden: whole(1, 512),
  // 28 can be halved twice.
  scales: whole(1, 2),
  steps: whole(1, 64),
  batch: whole(1, 1024),
  seed: whole(0),
  minutes: positive,
  epochs: positive,
  learningRate: positive,
  threads: whole(1, 256),
} as const;

/** The text of `--help`. */
export const help = `Trains Glow on MNIST, then samples from it and measures it.

Usage: start [flags]

  --minutes <number>        time to train (default ${defaults.minutes})
  --epochs <number>         passes over the training images, fractions allowed; replaces --minutes
                            and makes a run reproducible to the last bit
  --hidden <count>          channels inside the couplings, up to 512 (default ${defaults.hidden})
  --scales <count>          scales, each of half the resolution: 1 or 2 (default ${defaults.scales})
  --steps <count>           flow steps per scale, up to 64 (default ${defaults.steps})
  --batch <count>           images per training step (default ${defaults.batch})
  --learning-rate <number>  peak learning rate of Adam (default ${defaults.learningRate})
  --backend <name>          native (wasm where it cannot be had), wasm or reference (default ${defaults.backend})
  --threads <count>         threads of native and wasm (default ${defaults.threads}, by the cores here);
                            results do not depend on it
  --seed <number>           seed of everything random (default ${defaults.seed})
  --out <folder>            where results go (default ${defaults.out})
  --resume                  go on from <out>/model.safetensors; flags left out keep the values
                            that the checkpoint was made with
  --overwrite               replace an earlier model in <out>
  --help                    this text

Writes samples.png, reconstructions.png, loss.svg, losses.csv, metrics.json and model.safetensors.
Ctrl-C saves a checkpoint and stops.`;

/**
 * Reads the arguments behind the script's name; undefined when help is asked for.
 *
 * @throws OptionError for an unknown flag or a value that cannot be used.
 * @example parseOptions(['--hidden', '16', '--epochs', '0.5'])?.config.hidden // 16
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  const number = (flag: NumberFlag, limit: Limit, otherwise: number) =>
    numberFlag(flag, values[flag], limit, otherwise);
  return {
    config: {
      hidden: number('hidden', limits.hidden, defaults.hidden),
      scales: number('scales', limits.scales, defaults.scales),
      steps: number('steps', limits.steps, defaults.steps),
      batch: number('batch', limits.batch, defaults.batch),
      seed: number('seed', limits.seed, defaults.seed),
    },
    budget: {
      ...(values.epochs !== undefined && { epochs: number('epochs', limits.epochs, 1) }),
      minutes: number('minutes', limits.minutes, defaults.minutes),
      learningRate: number('learning-rate', limits.learningRate, defaults.learningRate),
    },
    given: new Set(Object.keys(values)),
    backend: values.backend ?? defaults.backend,
    threads: number('threads', limits.threads, defaults.threads),
    out: values.out ?? defaults.out,
    resume: values.resume ?? false,
    overwrite: values.overwrite ?? false,
  };
}

type NumberFlag = Exclude<keyof typeof limits, 'learningRate'> | 'learning-rate';

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    const { values } = parseArgs({
      // `pnpm start -- --epochs 1` hands the dashes on.
      args: args[0] === '--' ? args.slice(1) : [...args],
      options: {
        minutes: text,
        epochs: text,
        hidden: text,
        scales: text,
        steps: text,
        batch: text,
        'learning-rate': text,
        backend: text,
        threads: text,
        seed: text,
        out: text,
        resume: flag,
        overwrite: flag,
        help: flag,
      },
    });
    if (values.minutes !== undefined && values.epochs !== undefined) {
      throw new OptionError('--minutes and --epochs exclude each other; give one of them.');
    }
    if (values.resume && values.overwrite) {
      throw new OptionError('--resume and --overwrite exclude each other; give one of them.');
    }
    if (values.out === '') throw new OptionError('--out is empty; expected the name of a folder.');
    return { values };
  } catch (error) {
    if (error instanceof OptionError || !(error instanceof Error)) throw error;
    // parseArgs explains how to escape a positional argument, which this command does not take.
    throw new OptionError(`${error.message.split('. ')[0]}. See --help.`);
  }
}

function numberFlag(
  name: string,
  value: string | undefined,
  { expected, accepts }: Limit,
  otherwise: number,
): number {
  if (value === undefined) return otherwise;
  const n = value.trim() === '' ? Number.NaN : Number(value);
  if (!Number.isFinite(n) || !accepts(n)) {
    throw new OptionError(`--${name} is '${value}'; expected ${expected}.`);
  }
  return n;
}
