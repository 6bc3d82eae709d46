/** Several conditioners of one input, as one: RealNVP's networks for the scale and for the shift. */
import {
  concat,
  formatShape,
  requireRecord,
  type Shape,
  ShapeError,
  split,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner, requireConditioner } from '../core/conditioner.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Saved } from '../core/saved.ts';
import { sameShape } from '../core/state.ts';
import { sumOfContexts } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';
import { requireName } from '../tree/path.ts';

/** Options of `JoinedConditioners`. */
export interface JoinedConditionersOptions {
  /** The conditioners by name, in the order of their channels in the result. */
  readonly parts: Readonly<Record<string, Conditioner>>;
}

/** What each part saved, and how many channels it gave. */
interface SavedParts {
  readonly parts: readonly Saved[];
  readonly channels: readonly number[];
}

/**
 * g(x) = [g₁(x), g₂(x), …], joined along the channels; a context goes to all of them.
 *
 * Parameters are named by their part: `scale.w1`, `shift.w1`, ….
 *
 * @example
 * const part = () => new DenseBlock({ inChannels: 2, hidden: 32, outChannels: 3 });
 * const conditioner = new JoinedConditioners({ parts: { scale: part(), shift: part() } });
 * new GlowCoupling({ channels: 5, conditioner, ndims: 0 });
 */
export class JoinedConditioners extends Conditioner<SavedParts> {
  static readonly type: string = 'JoinedConditioners';
  readonly inner: Readonly<Record<string, Conditioner>>;

  /** @throws ValueError for no parts, or what is no conditioner. */
  constructor(options: JoinedConditionersOptions) {
    super();
    requireModuleOptions('JoinedConditioners', options, ['parts']);
    const { parts } = options;
    requireRecord('JoinedConditioners', 'parts', parts, 'a record of conditioners');
    const names = Object.keys(parts);
    if (names.length === 0) {
      throw new ValueError(
        'JoinedConditioners: parts is empty; expected at least one conditioner.',
      );
    }
    for (const name of names) {
      requireName('JoinedConditioners', name);
      requireConditioner('JoinedConditioners', name, parts[name]!);
    }
    this.inner = { ...parts };
  }

  get options() {
    return { parts: this.inner };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const made = this.#parts.map((g) => g.forward(x, context));
    const results = made.map(({ y }) => y);
    const y = concat(results, 1);
    for (const part of results) part.dispose();
    const parts = made.map(({ saved }) => saved);
    return { y, saved: { parts, channels: parts.map(({ shape }) => shape[1]!) } };
  }

  protected applyBackward(dy: Tensor, { parts, channels }: SavedParts) {
    const gradients = split(dy, 1, channels);
    const made = this.#parts.map((g, i) => g.backward(gradients[i]!, parts[i]!));
    const [first, ...others] = made.map(({ dx }) => dx);
    return { dx: sumOfTerms(first!, first, ...others), ...sumOfContexts(...made) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const made = this.#parts.map((g) => g.jvp(x, tangent, context));
    return {
      y: concat(
        made.map(({ y }) => y),
        1,
      ),
      dy: concat(
        made.map(({ dy }) => dy),
        1,
      ),
    };
  }

  protected applyShape(x: Shape): Shape | undefined {
    const shapes = this.#parts.map((g) => g.outputShape(x));
    const known = shapes.filter((shape) => shape !== undefined);
    const [n, , ...size] = known[0] ?? [];
    const joined = [n!, known.reduce((sum, [, channels]) => sum + channels!, 0), ...size];
    for (const shape of known) {
      if (sameShape(shape.with(1, 0), joined.with(1, 0))) continue;
      throw new ShapeError(
        `JoinedConditioners: the parts give ${known.map(formatShape).join(' and ')}; expected one ` +
          'resolution.',
      );
    }
    return known.length === shapes.length ? joined : undefined;
  }

  get #parts(): readonly Conditioner[] {
    return Object.values(this.inner);
  }
}
