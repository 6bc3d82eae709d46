/**
 * Flags of a command line as data: each is described once, and from that come its parsing, its help, its
 * type, and the check of what a saved run says it was.
 *
 * Left out: the command line as a whole, which is options.ts.
 */
import { InvNetError } from '@invnet/tensor';

/** A flag, whose values are of type T; one without a default may be left out. */
export interface Flag<T> {
  /** What it is, for `--help`. */
  readonly help: string;
  /** What stands behind its name, such as `<count>`; nothing behind a switch. */
  readonly placeholder: string;
  readonly default: T;
  /** What its values are, for messages. */
  readonly expected: string;
  /** The value that a text stands for, which `accepts` has yet to judge. */
  read(text: string): unknown;
  accepts(value: unknown): boolean;
}

/** Flags by name; `learningRate` is `--learning-rate` on the command line. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** The values of flags. */
export type Values<F extends Flags> = { readonly [K in keyof F]: F[K]['default'] };

/** A flag that cannot be used, or contradicts another; the message is for the user. */
export class FlagError extends InvNetError {
  override name = 'FlagError';
}

interface Described {
  readonly help: string;
}

interface Defaulting<T> {
  readonly default: T;
}

interface WholeRange {
  /** Default: 1. */
  readonly least?: number;
  /** Default: no limit. */
  readonly most?: number;
}

/**
 * Whole numbers within limits, both included.
 *
 * @example whole({ default: 32, most: 512, help: 'channels inside the couplings' })
 */
export function whole(options: Described & WholeRange & Defaulting<number>): Flag<number>;
export function whole(options: Described & WholeRange): Flag<number | undefined>;
export function whole({
  help,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
  ...rest
}: Described & WholeRange & Partial<Defaulting<number>>): Flag<number | undefined> {
  return {
    help,
    placeholder: '<count>',
    default: rest.default,
    expected:
      most === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${least}`
        : `a whole number from ${least} to ${most}`,
    read: toNumber,
    accepts: (n) => Number.isSafeInteger(n) && Number(n) >= least && Number(n) <= most,
  };
}

/**
 * Numbers above 0, fractions included.
 *
 * @example positive({ default: 0.005, most: 1, help: 'deviation of the noise' })
 */
export function positive(
  options: Described & { readonly most?: number } & Defaulting<number>,
): Flag<number>;
export function positive(options: Described & { readonly most?: number }): Flag<number | undefined>;
export function positive({
  help,
  most = 1e6,
  ...rest
}: Described & { readonly most?: number } & Partial<Defaulting<number>>): Flag<number | undefined> {
  return {
    help,
    placeholder: '<number>',
    default: rest.default,
    expected: `a number above 0, of at most ${most}`,
    read: toNumber,
    accepts: (n) => typeof n === 'number' && n > 0 && n <= most,
  };
}

/**
 * One of some words.
 *
 * @example oneOf(['random', 'blocks'], { default: 'random', help: 'how pixels are parted' })
 */
export function oneOf<const T extends string>(
  words: readonly T[],
  { help, ...rest }: Described & Defaulting<NoInfer<T>>,
): Flag<T> {
  const known: readonly unknown[] = words;
  return {
    help: `${help}: ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
    placeholder: '<name>',
    default: rest.default,
    expected: `one of ${words.map((word) => `'${word}'`).join(', ')}`,
    read: (text) => text,
    accepts: (value) => known.includes(value),
  };
}

/**
 * Any text that is not empty, such as the name of a file.
 *
 * @example text({ placeholder: '<file>', help: 'a volume of your own' })
 */
export function text(
  options: Described & { readonly placeholder: string } & Defaulting<string>,
): Flag<string>;
export function text(
  options: Described & { readonly placeholder: string },
): Flag<string | undefined>;
export function text({
  help,
  placeholder,
  ...rest
}: Described & { readonly placeholder: string } & Partial<Defaulting<string>>): Flag<
  string | undefined
> {
  return {
    help,
    placeholder,
    default: rest.default,
    expected: 'a text that is not empty',
    read: (given) => given,
    accepts: (value) => typeof value === 'string' && value !== '',
  };
}

/** A switch, off unless it is given. @example toggle({ help: 'over the whole volume' }) */
export function toggle({ help }: Described): Flag<boolean> {
  return {
    help,
    placeholder: '',
    default: false,
    expected: 'true or false',
    read: () => true,
    accepts: (value) => typeof value === 'boolean',
  };
}

function toNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}
