/**
 * Who makes the conditioners inside couplings and networks: the caller, by one of his own or a function, or
 * the default. Left out: what they compute.
 */
import { requireFunction, requireList } from '@invnet/tensor';
import { type Conditioner, requireConditioner } from '../core/conditioner.ts';
import { nameOf } from '../tree/named.ts';
import { type ConditionerDefaults, defaultConditioner } from './default-conditioner.ts';
import { WithContext } from './with-context.ts';

/** What a coupling asks of its conditioner. */
export interface ConditionerShape {
  /** Channels of the part of x that it sees. */
  readonly inChannels: number;
  /** Channels of its result. */
  readonly outChannels: number;
  /** Number of spatial axes, 0 to 3. */
  readonly ndims: number;
  /** Channels of the context, which it gets as its second argument; 0 for none. */
  readonly contextChannels: number;
}

/**
 * Makes a conditioner of the shape that a coupling asks for. Networks call it for each coupling, in the
 * order of their parts.
 *
 * @example
 * const wide: ConditionerFactory = ({ inChannels, outChannels, ndims }) =>
 *   new ResNet({ inChannels, outChannels, ndims, hidden: 32 });
 * new Glow({ channels: 3, conditioner: wide });
 */
export type ConditionerFactory = (shape: ConditionerShape) => Conditioner;

/** What a network takes for its conditioners: what makes them, or all of them, in order; more are left alone. */
export type Conditioners = ConditionerFactory | readonly Conditioner[];

/**
 * A coupling's conditioner: the given one, what the given function makes, or the default.
 *
 * @throws ValueError for what is neither, or a function that returns something else.
 */
export function makeConditioner(
  op: string,
  given: Conditioner | ConditionerFactory | undefined,
  shape: ConditionerShape,
  defaults: Pick<ConditionerDefaults, 'hidden' | 'random'>,
): Conditioner {
  if (given === undefined) return defaultConditioner({ ...defaults, ...shape });
  const made = typeof given === 'function' ? given(shape) : given;
  return requireConditioner(op, 'conditioner', made);
}

/**
 * A factory of conditioners that see the context beside x, joined along the channels: `make` is asked for
 * one that takes the channels of both.
 *
 * @example
 * const conditioner = withContext((sizes) => new ResidualBlock({ ...sizes, hidden: 32 }));
 * new ConditionalGlow({ channels: 1, contextChannels: 2, conditioner });
 */
export function withContext(
  make: (shape: Omit<ConditionerShape, 'contextChannels'>) => Conditioner,
): ConditionerFactory {
  requireFunction('withContext', 'make', make);
  return ({ inChannels, contextChannels, ...rest }) => {
    const inner = make({ ...rest, inChannels: inChannels + contextChannels });
    return contextChannels > 0 ? new WithContext(inner, { contextChannels }) : inner;
  };
}

/** The conditioners of one network, while it is built. */
export interface ConditionerSupply {
  /** What its couplings are made with; without it they make their defaults. */
  readonly conditioner: ConditionerFactory | undefined;
  /** What its options say: all that were made, or a function that has a name (see `named`). */
  readonly made: Conditioners | undefined;
}

/**
 * Hands out what a network was given for its conditioners, and notes it: files hold what was made in place
 * of the function that made it.
 *
 * @throws ValueError for what is neither a function nor a list; and when a conditioner is asked for that is
 * none, or that a list has not.
 */
export function supplyConditioners(op: string, given: Conditioners | undefined): ConditionerSupply {
  if (given === undefined) return { conditioner: given, made: given };
  if (typeof given !== 'function') requireList(op, 'conditioner', given);
  const made: Conditioner[] = [];
  const conditioner = (shape: ConditionerShape) => {
    const one = typeof given === 'function' ? given(shape) : given[made.length]!;
    made.push(requireConditioner(op, `conditioner ${made.length}`, one));
    return one;
  };
  return { conditioner, made: nameOf(given) === undefined ? made : given };
}
