/** Angles as a conditioner sees them. Mathematics: docs/math/elementwise/circular-shift.md */
import {
  affine,
  concat,
  mul,
  requireBetween,
  type Shape,
  slice,
  split,
  sub,
  type Tensor,
} from '@invnet/tensor';
import {
  requireChannels,
  requireIndices,
  requireModuleOptions,
  requireWhole,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { sineAndCosine } from '../elementwise/circle.ts';
import { inverseOf, type Run, runsOf, taken } from '../linear/permutation.ts';

/** Options of `PeriodicFeatures`. */
export interface PeriodicFeaturesOptions {
  readonly channels: number;
  /** Which channels are angles, counted from 0. Default: all. */
  readonly circular?: readonly number[];
  /** Half of what is once around. Default: π. */
  readonly bound?: number;
}

/** Sine and cosine of the angles, which are derivatives of each other. */
interface SavedAngles {
  readonly sine: Tensor;
  readonly cosine: Tensor;
}

/**
 * (sin πx_A/b, cos πx_A/b, x_B) for the channels A that are angles and the others B: what a conditioner of
 * angles is shown, so that it does not tell one turn from the next. C channels become C + |A|.
 *
 * @example
 * const features = new PeriodicFeatures({ channels: 3, circular: [2] });
 * const { y } = features.forward(x); // x [N, 3, ...], y [N, 4, ...]: sine, cosine, channels 0 and 1
 */
export class PeriodicFeatures extends Conditioner<SavedAngles> {
  static readonly type: string = 'PeriodicFeatures';
  readonly options: Readonly<Required<PeriodicFeaturesOptions> & Record<string, unknown>>;
  readonly #runs: readonly Run[];
  readonly #inverseRuns: readonly Run[];

  /** @throws ValueError for channels that there are not, or named twice, and unless bound is above 0. */
  constructor(options: PeriodicFeaturesOptions) {
    super();
    requireModuleOptions('PeriodicFeatures', options, ['channels', 'circular', 'bound']);
    const { channels, bound = Math.PI } = options;
    requireWhole('PeriodicFeatures', 'channels', channels, 1);
    const all = Array.from({ length: channels }, (_, c) => c);
    const { circular = all } = options;
    requireIndices('PeriodicFeatures', 'circular', circular, channels);
    requireBetween('PeriodicFeatures', 'bound', bound, 0);
    this.options = { channels, circular: [...circular], bound };
    const order = [...circular, ...all.filter((c) => !circular.includes(c))];
    this.#runs = runsOf(order);
    this.#inverseRuns = runsOf(inverseOf(order));
  }

  protected apply(x: Tensor) {
    const { angles, others } = this.#parted(taken(x, this.#runs));
    const [sine, cosine] = sineAndCosine(affine(angles, this.#rate));
    return { y: concat([sine, cosine, ...others], 1), saved: { sine, cosine } };
  }

  protected applyBackward(dy: Tensor, { sine, cosine }: SavedAngles) {
    const count = this.options.circular.length;
    const dsine = slice(dy, 1, 0, count);
    const { angles: dcosine, others } = this.#parted(slice(dy, 1, count, this.options.channels));
    const dangles = affine(sub(mul(cosine, dsine), mul(sine, dcosine)), this.#rate);
    return { dx: taken(concat([dangles, ...others], 1), this.#inverseRuns) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { y, saved } = this.apply(x);
    if (!dx) return { y };
    const { angles, others } = this.#parted(taken(dx, this.#runs));
    const moved = affine(angles, this.#rate);
    const dsine = mul(saved.cosine, moved);
    const dcosine = affine(mul(saved.sine, moved), -1);
    return { y, dy: concat([dsine, dcosine, ...others], 1) };
  }

  protected applyShape(x: Shape): Shape {
    const { channels, circular } = this.options;
    const [n, , ...size] = requireChannels('PeriodicFeatures', x, channels);
    return [n!, channels + circular.length, ...size];
  }

  get #rate(): number {
    return Math.PI / this.options.bound;
  }

  /** The angles, which stand first, and what is behind them, if anything is. */
  #parted(x: Tensor): { readonly angles: Tensor; readonly others: readonly Tensor[] } {
    const { channels, circular } = this.options;
    const rest = channels - circular.length;
    if (rest === 0) return { angles: x, others: [] };
    const [angles, others] = split(x, 1, [circular.length, rest]);
    return { angles: angles!, others: [others!] };
  }
}
