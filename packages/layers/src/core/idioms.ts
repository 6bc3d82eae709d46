/** Small tensor idioms that layers share. */
import {
  add,
  formatShape,
  requireTensor,
  ShapeError,
  sumPerChannel,
  type Tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';

/** Number of positions of [N, C, ...]: the product of the spatial sizes. */
export function positions(x: Tensor): number {
  if (requireTensor('positions', x).rank < 2) {
    throw new ShapeError(`positions: got ${formatShape(x.shape)}; expected [N, C, …].`);
  }
  return x.size / (x.shape[0]! * x.shape[1]!);
}

/** A vector per channel as [1, C, 1, …], to broadcast over x. Shares memory. */
export function alongChannels(vector: Tensor, x: Tensor): Tensor {
  requireTensor('alongChannels', vector);
  requireTensor('alongChannels', x);
  return vector.reshape([1, -1, ...x.shape.slice(2).map(() => 1)]);
}

/** A number per sample as [N, 1, …], to broadcast over x. Shares memory. */
export function perSample(values: Tensor, x: Tensor): Tensor {
  requireTensor('perSample', values);
  requireTensor('perSample', x);
  return values.reshape([-1, ...x.shape.slice(1).map(() => 1)]);
}

/** Σ over all but the channels, shape [C]. */
export function channelSums(x: Tensor): Tensor {
  using sums = sumPerChannel(x);
  return sums.reshape([-1]);
}

/** The sum of those terms that are there, or zeros like `like`. */
export function sumOfTerms(like: Tensor, ...terms: (Tensor | undefined)[]): Tensor {
  return tidy(() => {
    let total: Tensor | undefined;
    for (const t of terms) if (t) total = total ? add(total, t) : t;
    return total ?? zerosLike(like);
  });
}
