/**
 * Where parameters may lie, as plain data: blocks of parameters that are free, above a bound, between bounds, ordered or
 * shares of a whole; and the bijection from all numbers to there.
 */
import {
  type Bijection,
  Box,
  ChannelHalves,
  Elementwise,
  exp,
  Identity,
  Ordered,
  Parallel,
  StickBreaking,
  softplus,
} from '@invnet/layers';
import {
  formatValue,
  nextAbove,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  roundTo,
  ValueError,
} from '@invnet/tensor';

/**
 * Parameters side by side and where they may lie: any numbers (`size` of them), above `low`, between `low` and `high`, in
 * increasing order, or the first `size` of size + 1 shares of a whole.
 */
export type Support =
  | { readonly kind: 'real' | 'ordered' | 'simplex'; readonly size: number }
  | { readonly kind: 'above'; readonly low: number; readonly size: number }
  | { readonly kind: 'box'; readonly low: readonly number[]; readonly high: readonly number[] };

const fields = {
  real: ['size'],
  ordered: ['size'],
  simplex: ['size'],
  above: ['low', 'size'],
  box: ['low', 'high'],
} as const;

/** The blocks themselves. @throws ValueError for what is no list of supports. */
export function requireSupports(op: string, supports: readonly Support[]): readonly Support[] {
  requireList(op, 'support', supports, 'a list of supports');
  if (supports.length === 0) throw new ValueError(`${op}: support is an empty list.`);
  return supports.map((support, i) => {
    const name = `support[${i}]`;
    const kind = typeof support === 'object' && support !== null ? support.kind : undefined;
    if (kind === undefined || !Object.hasOwn(fields, kind)) {
      throw new ValueError(
        `${op}: ${name} is ${formatValue(support)}; expected { kind, … } of kind ${Object.keys(fields).join(', ')}.`,
      );
    }
    requireOptions(`${op}: ${name}`, support, ['kind', ...fields[kind]]);
    // A box checks its bounds itself.
    if (support.kind !== 'box') requireWhole(op, `${name}.size`, support.size, 1, 2 ** 20);
    if (support.kind === 'above') requireFinite(op, `${name}.low`, support.low);
    return support;
  });
}

/** How many parameters all blocks have. */
export function sizeOfSupports(supports: readonly Support[]): number {
  return supports.reduce((sum, support) => sum + sizeOfSupport(support), 0);
}

function sizeOfSupport(support: Support): number {
  return support.kind === 'box' ? support.low.length : support.size;
}

/** From ℝᴰ, [N, D], to all blocks side by side. */
export function bijectionTo(supports: readonly Support[]): Bijection {
  const [first, ...others] = supports;
  if (others.length === 0) return bijectionOf(first!);
  const channels = [sizeOfSupport(first!), sizeOfSupports(others)] as const;
  return new ChannelHalves(new Parallel(bijectionOf(first!), bijectionTo(others)), channels);
}

function bijectionOf(support: Support): Bijection {
  switch (support.kind) {
    case 'real':
      return new Identity();
    case 'above':
      // The logarithm is what suits parameters of unknown size; a bound elsewhere is approached linearly.
      return new Elementwise(support.low === 0 ? exp() : softplus({ low: support.low }));
    case 'box':
      return new Box({ low: support.low, high: support.high });
    case 'ordered':
      return new Ordered({ channels: support.size });
    case 'simplex':
      return new StickBreaking({ channels: support.size });
  }
}

/** Does a row lie in the support, its bounds included? NaN lies nowhere. */
export function isInside(supports: readonly Support[], row: ArrayLike<number>): boolean {
  let from = 0;
  return supports.every((support) => {
    const part = Array.from({ length: sizeOfSupport(support) }, (_, i) => row[from + i]!);
    from += part.length;
    return isInsideBlock(support, part);
  });
}

/** Shares add up to no more than this, which rounding in float32 may add to 1. */
const mostShares = 1 + 2 ** -20;

function isInsideBlock(support: Support, part: readonly number[]): boolean {
  if (!part.every(Number.isFinite)) return false;
  switch (support.kind) {
    case 'real':
      return true;
    case 'above':
      return part.every((value) => value >= support.low);
    case 'box':
      return part.every((value, i) => value >= support.low[i]! && value <= support.high[i]!);
    case 'ordered':
      return part.every((value, i) => i === 0 || value >= part[i - 1]!);
    case 'simplex':
      return part.every((value) => value >= 0) && part.reduce((sum, v) => sum + v, 0) <= mostShares;
  }
}

/** The largest number of float32, in place of infinity, which lies in no support. */
const largest = (2 - 2 ** -23) * 2 ** 127;

/** The smallest positive number of full precision in float32: logarithms of it are finite. */
const leastPositive = 2 ** -126;

/**
 * Moves rows that rounding took beyond a bound back onto it, in place. In float32 a bound such as 0.1 is another number than in
 * float64, and what is close to it may be on the other side.
 */
export function clampInto(supports: readonly Support[], data: Float64Array): void {
  const lows: number[] = [];
  const highs: number[] = [];
  for (const support of supports) {
    for (let i = 0; i < sizeOfSupport(support); i++) {
      const [low, high] = boundsOf(support, i);
      lows.push(low);
      highs.push(high);
    }
  }
  const size = lows.length;
  for (let i = 0; i < data.length; i++) {
    const c = i % size;
    data[i] = Math.min(Math.max(data[i]!, lows[c]!), highs[c]!);
  }
}

function boundsOf(support: Support, i: number): readonly [number, number] {
  const none = Number.POSITIVE_INFINITY;
  if (support.kind === 'box') return [support.low[i]!, support.high[i]!];
  // The bound itself is the end of a map that never gets there.
  if (support.kind === 'above') {
    const { low } = support;
    return [low === 0 ? leastPositive : nextAbove('float32', roundTo('float32', low)), largest];
  }
  if (support.kind === 'simplex') return [leastPositive, 1];
  return [-none, none];
}
