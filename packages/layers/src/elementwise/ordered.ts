/** Channels in increasing order. Mathematics: docs/math/elementwise/constrained.md */
import { concat, type Shape, slice, sub, type Tensor, ValueError } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Tangent } from '../core/tangent.ts';
import { aboveZero } from './above-zero.ts';
import { type InvertibleActivation, requireActivation } from './activation.ts';
import { softplus } from './activations.ts';
import { sumsFrom, sumsThrough } from './cumulative.ts';
import { Elementwise } from './elementwise.ts';

/** Options of `Ordered`. */
export interface OrderedOptions {
  readonly channels: number;
  /** What makes a gap, above zero, of a number. Default: `softplus()`; with `exp()` it is Stan's map. */
  readonly gap?: InvertibleActivation;
}

/**
 * y₁ = x₁ and y_c = y_(c−1) + f(x_c), so that the channels increase at every position; logdet = Σ log f′.
 * Gaps narrower than the digits of y are lost in it. The inverse of a gap that was rounded to zero is finite all
 * the same; that of one below zero is NaN.
 *
 * @example
 * const cutpoints = new Ordered({ channels: 4 });
 * const { y } = cutpoints.forward(x); // x [N, 4, ...], y[n, 0] < y[n, 1] < …
 */
export class Ordered extends Bijection {
  static readonly type: string = 'Ordered';
  readonly options: Required<OrderedOptions>;
  readonly gaps: Elementwise;

  /** @throws ValueError unless channels ≥ 2, and for a gap whose range is not from 0 on. */
  constructor(options: OrderedOptions) {
    super();
    requireModuleOptions('Ordered', options, ['channels', 'gap']);
    const { channels, gap = softplus() } = options;
    requireWhole('Ordered', 'channels', channels, 2);
    requireActivation('Ordered', 'gap', gap);
    if (gap.range[0] !== 0 || gap.range[1] !== Number.POSITIVE_INFINITY) {
      throw new ValueError(
        `Ordered: gap is ${gap.name}, of the range ${gap.range.join(' to ')}; expected 0 to Infinity, as ` +
          'of softplus().',
      );
    }
    this.options = { channels, gap };
    this.gaps = new Elementwise(gap);
  }

  protected apply(x: Tensor) {
    const { y: gaps, logdet } = this.gaps.forward(behind(x));
    return { y: sumsThrough(joined(x, gaps)), logdet };
  }

  protected invert(y: Tensor) {
    const { x: free, logdet } = this.gaps.inverse(gapsOf(y));
    return { x: joined(y, free), logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const dsums = sumsFrom(dy);
    const back = this.gaps.backward(gapsOf(y), behind(dsums), { dlogdet });
    return { x: joined(y, back.x), dx: joined(dsums, back.dx) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const back = this.gaps.backwardInverse(behind(x), behind(dx), { dlogdet });
    const dgaps = joined(dx, back.dy);
    // The adjoint of the differences: each gap pulls at both of its ends.
    const [lower, last] = [
      slice(dgaps, 1, 0, x.shape[1]! - 1),
      slice(dgaps, 1, x.shape[1]! - 1, 1),
    ];
    return {
      y: sumsThrough(joined(x, back.y)),
      dy: concat([sub(lower, behind(dgaps)), last], 1),
    };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const moved = this.gaps.jvp(behind(x), { x: dx && behind(dx) });
    return {
      y: sumsThrough(joined(x, moved.y)),
      dy: dx && sumsThrough(joined(dx, moved.dy)),
      logdet: moved.logdet,
      dlogdet: moved.dlogdet,
    };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const moved = this.gaps.jvpInverse(gapsOf(y), { x: dy && differences(dy) });
    return {
      x: joined(y, moved.x),
      dx: dy && joined(dy, moved.dx),
      logdet: moved.logdet,
      dlogdet: moved.dlogdet,
    };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('Ordered', x, this.options.channels);
  }
}

/** All channels but the first. */
function behind(x: Tensor): Tensor {
  return slice(x, 1, 1, x.shape[1]! - 1);
}

/** The first channel of `x`, and others behind it. */
function joined(x: Tensor, others: Tensor): Tensor {
  return concat([slice(x, 1, 0, 1), others], 1);
}

/** y_c − y_(c−1) for all channels but the first. */
function differences(y: Tensor): Tensor {
  return sub(behind(y), slice(y, 1, 0, y.shape[1]! - 1));
}

/** The same of numbers in order, kept above zero. */
function gapsOf(y: Tensor): Tensor {
  return aboveZero(differences(y));
}
