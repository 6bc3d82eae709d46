/**
 * Who makes the conditioners inside couplings and networks: the caller, by one of his own or a function, or
 * the default. Left out: what they compute.
 */
import { formatValue, type RandomStream, requireFunction, ValueError } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import { nameOf } from '../tree/named.ts';
import { defaultConditioner } from './default-conditioner.ts';
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

/** What a network takes for its conditioners: what makes them, or all of them, in order. */
export type Conditioners = ConditionerFactory | readonly Conditioner[];

/** What the default conditioner is made with. */
export interface ConditionerDefaults {
  /** Default: 64. */
  readonly hidden?: number | undefined;
  readonly random?: RandomStream | undefined;
}

/**
 * A coupling's conditioner: the given one, what the given function makes, or the default.
 *
 * @throws ValueError for what is neither, or a function that returns something else.
 */
export function makeConditioner(
  op: string,
  given: Conditioner | ConditionerFactory | undefined,
  shape: ConditionerShape,
  defaults: ConditionerDefaults,
): Conditioner {
  requireModuleOptions(op, defaults, ['hidden']);
  if (given === undefined) {
    const { hidden, random } = defaults;
    const { inChannels, outChannels, ndims, contextChannels } = shape;
    return defaultConditioner({
      inChannels,
      outChannels,
      ndims,
      contextChannels,
      ...(hidden !== undefined && { hidden }),
      ...(random && { random }),
    });
  }
  if (typeof given !== 'function') return requireConditioner(op, 'conditioner', given);
  const made = given(shape);
  if (made instanceof Conditioner) return made;
  throw new ValueError(
    `${op}: conditioner(${JSON.stringify(shape)}) gave ${formatValue(made)}; expected a conditioner.`,
  );
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

/**
 * The conditioners of a network: it hands out what the caller gave, and notes it, since files hold what was
 * made in place of the function. A function with a name (see `named`) stands there by that.
 */
export class ConditionerSupply {
  readonly #op: string;
  readonly #given: Conditioners | undefined;
  readonly #made: Conditioner[] = [];

  /** @throws ValueError for what is neither a function nor a list. */
  constructor(op: string, given: Conditioners | undefined) {
    this.#op = op;
    this.#given = given;
    if (given === undefined || typeof given === 'function') return;
    if (!Array.isArray(given)) {
      throw new ValueError(
        `${op}: conditioner is ${formatValue(given)}; expected a function that makes conditioners, or a ` +
          'list of them.',
      );
    }
  }

  /** What the network's couplings are made with: nothing, where they make their defaults. */
  get factory(): { readonly conditioner?: ConditionerFactory } {
    return this.#given === undefined ? {} : { conditioner: (shape) => this.#next(shape) };
  }

  /**
   * What the network's options say of it, once all were made.
   *
   * @throws ValueError for a list with more than the network has couplings.
   */
  get options(): { readonly conditioner?: Conditioners } {
    const given = this.#given;
    if (given === undefined) return {};
    if (typeof given === 'function') {
      return { conditioner: nameOf(given) === undefined ? this.#made : given };
    }
    if (given.length > this.#made.length) throw this.#wrongNumber(given, `${this.#made.length}`);
    return { conditioner: this.#made };
  }

  #next(shape: ConditionerShape): Conditioner {
    const given = this.#given!;
    const i = this.#made.length;
    if (typeof given !== 'function' && i >= given.length) {
      throw this.#wrongNumber(given, 'more, one for each coupling');
    }
    const one = typeof given === 'function' ? given : given[i]!;
    const made = makeConditioner(this.#op, one, shape, {});
    this.#made.push(made);
    return made;
  }

  #wrongNumber(given: readonly Conditioner[], expected: string): ValueError {
    return new ValueError(
      `${this.#op}: conditioner is a list of ${given.length}; expected ${expected}.`,
    );
  }
}
