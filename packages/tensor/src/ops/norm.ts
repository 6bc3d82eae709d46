/**
 * Norms and inner products over several tensors, as if they were one vector, read back as numbers.
 *
 * Squares leave the range of float32 long before the numbers do: at 2·10¹⁹ and 10⁻¹⁹. Where that may have
 * spoiled a sum, it is done again with all numbers scaled by a power of two, which loses none of their digits.
 */
import type { DType } from '../backend.ts';
import { requireList } from '../checks.ts';
import { ValueError } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { tidy } from '../tidy.ts';
import { abs, affine, mul, requireSameShape } from './elementwise.ts';
import { concat } from './layout.ts';
import { max, sum, sumSquares } from './reduce.ts';

/**
 * √Σx² over all numbers of all tensors; 0 for none. Reads from the backend once, but for norms out of the
 * ordinary, so tensors must stay as they are until it is known.
 *
 * @example await norm([tensor([3, 0]), tensor([4])]) // 5
 */
export async function norm(tensors: readonly Tensor[]): Promise<number> {
  requireList('norm', 'tensors', tensors);
  const squares = await total(tensors, (t) => sumSquares(t));
  if (isSafe(squares, tensors)) return Math.sqrt(squares);
  const scale = await scaleOf(tensors);
  if (scale === undefined) return Math.sqrt(squares);
  return Math.sqrt(await total(tensors, (t) => tidy(() => sumSquares(affine(t, scale))))) / scale;
}

/**
 * Σab over all numbers of tensors in pairs. Reads from the backend once, but for products out of the
 * ordinary, so tensors must stay as they are until it is known.
 *
 * @throws ValueError, ShapeError unless there are as many on both sides, of the same shapes.
 * @example await innerProduct([tensor([1, 2])], [tensor([3, 4])]) // 11
 */
export async function innerProduct(a: readonly Tensor[], b: readonly Tensor[]): Promise<number> {
  requirePairs(a, b);
  const products = await total(a, (t, i) => tidy(() => sum(mul(t, b[i]!))));
  if (isSafe(products, a)) return products;
  const [left, right] = [await scaleOf(a), await scaleOf(b)];
  if (left === undefined || right === undefined) return products;
  // What is not too large is lost all the more where it is made smaller.
  if (Number.isFinite(products) && left * right <= 1) return products;
  const scaled = await total(a, (t, i) =>
    tidy(() => sum(mul(affine(t, left), affine(b[i]!, right)))),
  );
  return scaled / left / right;
}

/** One number of each tensor, added up here, in double precision and in one order whatever the backend. */
async function total(
  tensors: readonly Tensor[],
  f: (t: Tensor, i: number) => Tensor,
): Promise<number> {
  return (await read(tensors, f)).reduce((result, v) => result + v, 0);
}

/** One number of each tensor, read all at once. */
async function read(
  tensors: readonly Tensor[],
  f: (t: Tensor, i: number) => Tensor,
): Promise<number[]> {
  if (tensors.length === 0) return [];
  using results = tidy(() =>
    concat(
      tensors.map((t, i) => f(t, i).reshape([1])),
      0,
    ),
  );
  return [...(await results.data())];
}

/** Is a sum of squares or products right, whichever of its terms may have left the range of numbers? */
function isSafe(sum: number, tensors: readonly Tensor[]): boolean {
  const [first] = tensors;
  if (!first) return true;
  // Beside this, what each term may have lost at the lower end does not count.
  const floor = tensors.reduce((count, t) => count + t.size, 0) * smallestSafe[first.dtype];
  return Math.abs(sum) >= floor && Math.abs(sum) < Number.POSITIVE_INFINITY;
}

/** The smallest number with all its digits, over the share of a last digit. */
const smallestSafe: Readonly<Record<DType, number>> = {
  float32: 2 ** (-126 + 24),
  float64: 2 ** (-1022 + 53),
};

/** A power of two by which the largest number is about 1; none where it is zero or not finite. */
async function scaleOf(tensors: readonly Tensor[]): Promise<number | undefined> {
  const each = await read(tensors, (t) => tidy(() => max(abs(t))));
  const largest = each.reduce((result, v) => Math.max(result, v), 0);
  if (!(largest > 0 && largest < Number.POSITIVE_INFINITY)) return undefined;
  const limit = tensors[0]!.dtype === 'float64' ? 1022 : 126;
  return 2 ** Math.max(-limit, Math.min(limit, -Math.floor(Math.log2(largest))));
}

function requirePairs(a: readonly Tensor[], b: readonly Tensor[]): void {
  requireList('innerProduct', 'a', a);
  requireList('innerProduct', 'b', b);
  if (a.length !== b.length) {
    throw new ValueError(
      `innerProduct: lists of ${a.length} and ${b.length} tensors; expected one length.`,
    );
  }
  a.forEach((t, i) => {
    requireSameShape('innerProduct', t, b[i]!);
  });
}
