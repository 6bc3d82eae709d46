/**
 * Losses with their gradients, to begin the backward pass of a network with. All are means, so that a learning
 * rate does not depend on the number of samples or of labels.
 * Mathematics: docs/math/metrics/losses.md and docs/math/metrics/ssim.md
 */
import {
  add,
  affine,
  conv,
  convInputGrad,
  div,
  exp,
  formatShape,
  full,
  log,
  max,
  mean,
  mul,
  requireBetween,
  requireOptions,
  requireSameShape,
  requireTensor,
  requireWhole,
  type Shape,
  ShapeError,
  square,
  sub,
  sum,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { requireNumbers } from './numbers.ts';
import { K1, K2, requireRoom, sampleCorrection, UNIFORM_SIDE } from './ssim.ts';

/** A loss, and the gradient to start `backward` with; both belong to the caller. */
export interface Loss {
  /** One number, of shape []. */
  readonly loss: Tensor;
  /** ∂loss/∂x, of the shape of the first argument. */
  readonly gradient: Tensor;
}

/**
 * ½‖estimate − truth‖²/N for N samples.
 *
 * @throws ShapeError unless both have one shape, of at least one axis.
 * @example
 * const { loss, gradient } = halfSquaredError(y, truth);
 * network.backward(y, gradient);
 */
export function halfSquaredError(estimate: Tensor, truth: Tensor): Loss {
  requireSameShape('halfSquaredError', estimate, truth);
  const [samples] = estimate.shape;
  if (samples === undefined) {
    throw new ShapeError('halfSquaredError: got single numbers; expected samples, [N, …].');
  }
  return tidy(() => {
    const error = sub(estimate, truth);
    return {
      loss: affine(sumSquares(error), 0.5 / samples),
      gradient: affine(error, 1 / samples),
    };
  });
}

/**
 * Cross-entropy of the softmax over channels, the mean of −log softmax(logits)[label] over labelled places;
 * logits of any size neither overflow nor lose the gradient.
 *
 * @param logits - [N, K, …]: K numbers per place, one for each class.
 * @param labels - N·… classes from 0 to K − 1, in the order of places.
 * @param options - `mask`: 0 for places without a label, which have no part in loss and gradient, whatever
 * stands in `labels`. By default all have one.
 * @throws ShapeError unless there is a label, and a number of the mask, for each place.
 * @throws ValueError for a label that is no class, and a mask that leaves nothing.
 * @example
 * const { loss, gradient } = softmaxCrossEntropy(logits, classes, { mask: labelled });
 */
export function softmaxCrossEntropy(
  logits: Tensor,
  labels: ArrayLike<number>,
  options: { readonly mask?: ArrayLike<number> } = {},
): Loss {
  requireOptions('softmaxCrossEntropy', options, ['mask']);
  const { shape } = requireTensor('softmaxCrossEntropy', logits, 'logits');
  const { marks, count } = marksOf(shape, labels, options.mask);
  return tidy(() => {
    const x = logits.reshape([shape[0]!, shape[1]!, -1]);
    const target = tensor(marks, x.shape, logits);
    const along = { axes: [1], keepDims: true };
    const shifted = sub(x, max(x, along));
    const logSoftmax = sub(shifted, log(sum(exp(shifted), along)));
    const loss = affine(sum(mul(target, logSoftmax)), -1 / count);
    const labelled = sum(target, along);
    const difference = sub(mul(labelled, exp(logSoftmax)), target);
    return { loss, gradient: affine(difference, 1 / count).reshape(shape) };
  });
}

/**
 * 1 − SSIM with the uniform window, the mean over all windows, channels and samples: what `ssim` gives, as a
 * loss, each channel compared by itself.
 *
 * @param estimate - [N, C, …] with one to three spatial axes of at least 7; complex images as magnitudes.
 * @param options - `range`: the largest value less the smallest that an image of its kind may have.
 * @throws ShapeError unless both have one such shape. @throws ValueError for a range not above 0.
 * @example
 * const { loss, gradient } = ssimLoss(magnitude, truth, { range: 1 });
 */
export function ssimLoss(
  estimate: Tensor,
  truth: Tensor,
  options: { readonly range: number },
): Loss {
  requireOptions('ssimLoss', options, ['range']);
  requireBetween('ssimLoss', 'range', options.range, 0);
  requireSameShape('ssimLoss', estimate, truth);
  const { shape } = estimate;
  const sizes = shape.slice(2);
  if (sizes.length < 1 || sizes.length > 3) {
    throw new ShapeError(
      `ssimLoss: got ${formatShape(shape)}; expected [N, C, …] with one to three spatial axes.`,
    );
  }
  requireRoom('ssimLoss', sizes, UNIFORM_SIDE);
  const [c1, c2] = [(K1 * options.range) ** 2, (K2 * options.range) ** 2];
  const unbias = sampleCorrection(sizes.length);
  return tidy(() => {
    const x = estimate.reshape([-1, 1, ...sizes]);
    const y = truth.reshape(x.shape);
    const { local, adjoint } = windowMeans(x);
    const [meanX, meanY] = [local(x), local(y)];
    const means = mul(meanX, meanY);
    const squares = add(square(meanX), square(meanY));
    const covariance = affine(sub(local(mul(x, y)), means), unbias);
    const variances = affine(sub(local(add(square(x), square(y))), squares), unbias);
    // SSIM = (a₁ a₂)/(b₁ b₂): similarity of means times similarity of structure.
    const [a1, a2] = [affine(means, 2, c1), affine(covariance, 2, c2)];
    const [b1, b2] = [affine(squares, 1, c1), affine(variances, 1, c2)];
    const structure = div(a2, b2);
    const similarity = mul(div(a1, b1), structure);
    const loss = affine(mean(similarity), -1, 1);

    const byCovariance = div(affine(a1, 2 * unbias), mul(b1, b2));
    const byVariance = affine(div(similarity, b2), -unbias);
    const byMean = add(
      mul(meanY, sub(affine(div(structure, b1), 2), byCovariance)),
      affine(mul(meanX, add(div(similarity, b1), byVariance)), -2),
    );
    const gradient = add(
      add(adjoint(byMean), affine(mul(x, adjoint(byVariance)), 2)),
      mul(y, adjoint(byCovariance)),
    );
    return { loss, gradient: affine(gradient, -1 / similarity.size).reshape(shape) };
  });
}

/** The labels as marks of ones [N, K, …] for the labelled places, and how many those are. */
function marksOf(shape: Shape, labels: ArrayLike<number>, mask: ArrayLike<number> | undefined) {
  const op = 'softmaxCrossEntropy';
  const [samples = 0, classes = 0, ...sizes] = shape;
  if (shape.length < 2) {
    throw new ShapeError(`${op}: logits are ${formatShape(shape)}; expected [N, K, …].`);
  }
  const places = sizes.reduce((product, size) => product * size, 1);
  for (const [name, values] of Object.entries({ labels, ...(mask !== undefined && { mask }) })) {
    requireNumbers(op, name, values);
    if (values.length === samples * places) continue;
    throw new ShapeError(
      `${op}: ${name} has ${values.length} numbers for logits ${formatShape(shape)}; expected one for each ` +
        `place, ${samples * places}.`,
    );
  }
  const marks = new Uint8Array(samples * classes * places);
  let count = 0;
  for (let i = 0; i < labels.length; i++) {
    if (mask?.[i] === 0) continue;
    requireWhole(op, `labels[${i}]`, labels[i]!, 0, classes - 1);
    const place = i % places;
    marks[((i - place) / places) * classes * places + labels[i]! * places + place] = 1;
    count += 1;
  }
  if (count > 0) return { marks, count };
  throw new ValueError(`${op}: the mask leaves no label; expected some of it above 0.`);
}

/** Means over windows of images [N, 1, …], axis by axis, and the adjoint of that map. */
function windowMeans(x: Tensor) {
  const axes = x.rank - 2;
  const kernels = Array.from({ length: axes }, (_, axis) => {
    const sizes = Array.from({ length: axes }, (_, i) => (i === axis ? UNIFORM_SIDE : 1));
    return full([1, 1, ...sizes], 1 / UNIFORM_SIDE, x);
  });
  const shapes = kernels.map((_, axis) =>
    x.shape.map((size, i) => (i >= 2 && i < 2 + axis ? size - UNIFORM_SIDE + 1 : size)),
  );
  return {
    local: (image: Tensor) => kernels.reduce((means, kernel) => conv(means, kernel), image),
    adjoint: (means: Tensor) =>
      kernels.reduceRight(
        (image, kernel, axis) => convInputGrad(image, kernel, shapes[axis]!),
        means,
      ),
  };
}
