/**
 * Sets of any size as tensors: elements along the second axis, and, where sets of a batch differ in size, a
 * last feature that says which are there.
 */
import {
  affine,
  BackendError,
  concat,
  formatShape,
  ones,
  permute,
  relu,
  requireList,
  requireTensor,
  type Shape,
  ShapeError,
  sign,
  slice,
  sum,
  type Tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';

/**
 * Sets of different sizes as one batch: behind each as many zeros as it has fewer elements than the largest,
 * and a last feature that is 1 for elements and 0 for what is behind them, as `masked: true` reads it.
 *
 * @param sets - each [elements, features], of one number of features.
 * @returns [N, M, features + 1]
 * @throws ShapeError for sets of other shapes; an empty list is a ValueError.
 * @example
 * const summary = new DeepSet({ features: 2, hidden: 16, outChannels: 4, masked: true });
 * summary.forward(padSets([random.normal([3, 2]), random.normal([5, 2])])); // context [2, 5, 3]
 */
export function padSets(sets: readonly Tensor[]): Tensor {
  requireList('padSets', 'sets', sets);
  if (sets.length === 0) throw new ValueError('padSets: expected at least one set.');
  const [, features] = requireTensor('padSets', sets[0]!).shape;
  sets.forEach((set, i) => {
    const { rank, shape } = requireTensor('padSets', set);
    if (rank === 2 && shape[1] === features) return;
    throw new ShapeError(
      `padSets: set ${i} is ${formatShape(shape)}; expected [elements, ${features ?? 'features'}].`,
    );
  });
  const most = Math.max(...sets.map((set) => set.shape[0]!));
  return tidy(() =>
    concat(
      sets.map((set) => {
        const there = set.shape[0]!;
        const marked = concat([set, ones([there, 1], set)], 1);
        const more = most - there;
        const whole = more > 0 ? concat([marked, zeros([more, features! + 1], set)], 0) : marked;
        return whole.reshape([1, most, features! + 1]);
      }),
      0,
    ),
  );
}

/** The shape itself. @throws ShapeError unless it is [N, M, features], one more where the last is a mask. */
export function requireSets(op: string, shape: Shape, features: number, masked: boolean): Shape {
  const last = features + (masked ? 1 : 0);
  if (shape.length === 3 && shape[2] === last) return shape;
  throw new ShapeError(
    `${op}: got ${formatShape(shape)}; expected sets [N, elements, ${last}]` +
      `${masked ? ', the last feature being 1 for elements that are there, as of padSets' : ''}.`,
  );
}

/**
 * The mask [N, 1, M] of sets [N, M, features + 1], 1 where the last feature is above ½ and 0 elsewhere.
 *
 * @throws ValueError for a set that is empty, where the backend reads at once; elsewhere its result is NaN.
 */
export function maskOf(op: string, sets: Tensor): Tensor {
  const [n, m, last] = sets.shape;
  const mask = tidy(() => marked(slice(sets, 2, last! - 1, 1)).reshape([n!, 1, m!]));
  const empty = countsNow(mask)?.indexOf(0) ?? -1;
  if (empty < 0) return mask;
  throw new ValueError(
    `${op}: set ${empty} of ${n} is empty, for its mask leaves none of ${m} elements; expected at least one.`,
  );
}

/** 1 where a mask is above ½, else 0. */
export function marked(mask: Tensor): Tensor {
  return tidy(() => relu(sign(affine(mask, 1, -0.5))));
}

/** The features of sets [N, M, …] as channels, [N, features, M]; without a mask behind them. */
export function elementsOf(sets: Tensor, features: number): Tensor {
  return tidy(() => permute(slice(sets, 2, 0, features), [0, 2, 1]));
}

/** Back to sets [N, M, features], with zeros where the mask is. */
export function asSets(elements: Tensor, masked: boolean): Tensor {
  return tidy(() => {
    const sets = permute(elements, [0, 2, 1]);
    const [n, m] = sets.shape;
    return masked ? concat([sets, zeros([n!, m!, 1], sets)], 2) : sets;
  });
}

/** How many elements each set has, [N, 1]: by its mask, or all. */
export function sizesOf(sets: Tensor, mask: Tensor | undefined): Tensor {
  const [n, m] = sets.shape;
  return mask ? sum(mask, { axes: [2] }) : affine(ones([n!, 1], sets), m!);
}

function countsNow(mask: Tensor): number[] | undefined {
  try {
    return tidy(() => Array.from(sum(mask, { axes: [1, 2] }).dataSync()));
  } catch (error) {
    if (error instanceof BackendError) return undefined;
    throw error;
  }
}
