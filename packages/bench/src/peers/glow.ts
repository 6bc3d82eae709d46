/**
 * The Glow that other libraries train in `bench gpu`: written once over the few operations that it
 * needs, and differentiated by each library in its own way. It computes what our `Glow` does, from
 * the same parameters.
 *
 * Left out: initialization by data, which happened before, and putting the latent variables back
 * where the pixels were, on which the likelihood does not depend.
 */
import type { GlowSizes } from './peer.ts';

/** What the network needs of a library; `A` is its array. Images are in the library's own layout. */
export interface Ops<A> {
  /** Element by element, with broadcasting. */
  add(a: A, b: A): A;
  sub(a: A, b: A): A;
  mul(a: A, b: A): A;
  div(a: A, b: A): A;
  /** factor·a + offset */
  affine(a: A, factor: number, offset?: number): A;
  abs(a: A): A;
  square(a: A): A;
  log(a: A): A;
  relu(a: A): A;
  sigmoid(a: A): A;
  /** The sum of all elements. */
  sum(a: A): A;
  eye(size: number): A;
  /** v vᵀ */
  outer(v: A): A;
  matmul(a: A, b: A): A;
  /** W x at every position. */
  mix(w: A, x: A): A;
  /** x + b and x·b per channel. */
  addChannels(x: A, b: A): A;
  mulChannels(x: A, b: A): A;
  /** 3×3 or 1×1, same size. */
  conv(x: A, w: A): A;
  /** Halves the resolution: every second position along each axis becomes a channel. */
  squeeze(x: A): A;
  /** Two halves of the channels. */
  split(x: A): [A, A];
  concat(a: A, b: A): A;
  /** Another hold on an array that is used more than once. */
  again(a: A): A;
}

/** The mean negative log-likelihood in nats. */
export function glowLoss<A>(ops: Ops<A>, parameters: readonly A[], images: A, sizes: GlowSizes): A {
  const { again } = ops;
  const rest = [...parameters];
  const take = () => {
    const parameter = rest.shift();
    if (parameter === undefined) throw new Error('Glow has more layers here than parameters.');
    return parameter;
  };
  const terms: A[] = [];
  let x = images;
  let width = sizes.channels;
  let positions = sizes.side ** 2;
  for (let scale = 0; scale < sizes.scales; scale++) {
    if (scale > 0) {
      const [inside, latent] = ops.split(x);
      terms.push(ops.affine(ops.sum(ops.square(latent)), 0.5));
      x = inside;
      width /= 2;
    }
    x = ops.squeeze(x);
    width *= 4;
    positions /= 4;
    for (let step = 0; step < sizes.steps; step++) {
      const s = take();
      x = ops.addChannels(ops.mulChannels(x, again(s)), take());
      terms.push(ops.affine(ops.sum(ops.log(ops.abs(s))), -sizes.batch * positions));
      x = ops.mix(orthogonal(ops, width, take(), take(), take()), x);
      const [x1, x2] = ops.split(x);
      let h = ops.relu(ops.addChannels(ops.conv(again(x1), take()), take()));
      h = ops.relu(ops.addChannels(ops.conv(h, take()), take()));
      const [r, t] = ops.split(ops.addChannels(ops.conv(h, take()), take()));
      const factor = ops.affine(ops.sigmoid(r), 1, 0.5);
      terms.push(ops.affine(ops.sum(ops.log(again(factor))), -1));
      x = ops.concat(x1, ops.add(ops.mul(x2, factor), t));
    }
  }
  const total = terms.reduce((a, b) => ops.add(a, b), ops.affine(ops.sum(ops.square(x)), 0.5));
  const dims = sizes.channels * sizes.side ** 2;
  return ops.affine(total, 1 / sizes.batch, 0.5 * dims * Math.log(2 * Math.PI));
}

/** H(v₁)H(v₂)H(v₃) */
function orthogonal<A>(ops: Ops<A>, width: number, v1: A, v2: A, v3: A): A {
  const left = ops.matmul(reflection(ops, width, v1), reflection(ops, width, v2));
  return ops.matmul(left, reflection(ops, width, v3));
}

/** I − 2vvᵀ/vᵀv */
function reflection<A>(ops: Ops<A>, width: number, v: A): A {
  const norm = ops.sum(ops.square(ops.again(v)));
  return ops.sub(ops.eye(width), ops.affine(ops.div(ops.outer(v), norm), 2));
}
