/**
 * The Glow that other libraries train in `bench gpu`: written once over the few operations that it
 * needs, and differentiated by each library in its own way.
 *
 * It has the sizes of ours, but for the 1×1 convolutions: they are plain matrices here, which is
 * less work than Householder reflections. Initialization by data is left out.
 */

/** What the network needs of a library; `A` is its array. Images are in the library's own layout. */
export interface Ops<A> {
  add(a: A, b: A): A;
  sub(a: A, b: A): A;
  mul(a: A, b: A): A;
  scale(a: A, factor: number, offset?: number): A;
  square(a: A): A;
  log(a: A): A;
  relu(a: A): A;
  sigmoid(a: A): A;
  /** The sum of all elements. */
  sum(a: A): A;
  /** x + b per channel, or x·b. */
  addChannels(x: A, b: A): A;
  mulChannels(x: A, b: A): A;
  /** 3×3 or 1×1, same size. */
  conv(x: A, w: A): A;
  /** Halves the resolution. */
  squeeze(x: A): A;
  /** Two halves of the channels. */
  split(x: A): [A, A];
  concat(a: A, b: A): A;
  /** Another hold on an array that is used more than once. */
  again(a: A): A;
}

/** Sizes of the network and its data. */
export interface GlowSizes {
  readonly batch: number;
  readonly channels: number;
  readonly side: number;
  readonly hidden: number;
  readonly scales: number;
  readonly steps: number;
}

/** Shapes of the parameters in the order in which they are used; convolutions as [out, in, k, k]. */
export function glowShapes({ channels, hidden, scales, steps }: GlowSizes): number[][] {
  const shapes: number[][] = [];
  let width = channels * 4;
  for (let scale = 0; scale < scales; scale++) {
    const half = width / 2;
    for (let step = 0; step < steps; step++) {
      shapes.push([width], [width], [width, width, 1, 1]);
      shapes.push([hidden, half, 3, 3], [hidden], [hidden, hidden, 1, 1], [hidden]);
      shapes.push([width, hidden, 3, 3], [width]);
    }
    width = half * 4;
  }
  return shapes;
}

/** The negative log-likelihood per sample, up to a constant. */
export function glowLoss<A>(ops: Ops<A>, parameters: readonly A[], images: A, sizes: GlowSizes): A {
  const next = parameters[Symbol.iterator]();
  const take = () => next.next().value as A;
  const { again } = ops;
  let x = images;
  let positions = sizes.side ** 2;
  let total: A | undefined;
  const count = (term: A) => {
    total = total === undefined ? term : ops.add(total, term);
  };
  for (let scale = 0; scale < sizes.scales; scale++) {
    x = ops.squeeze(x);
    positions /= 4;
    for (let step = 0; step < sizes.steps; step++) {
      const s = take();
      x = ops.addChannels(ops.mulChannels(x, again(s)), take());
      // ½ log s² = log|s|
      count(ops.scale(ops.sum(ops.log(ops.square(s))), (-sizes.batch * positions) / 2));
      x = ops.conv(x, take());
      const [x1, x2] = ops.split(x);
      let h = ops.relu(ops.addChannels(ops.conv(again(x1), take()), take()));
      h = ops.relu(ops.addChannels(ops.conv(h, take()), take()));
      const [r, t] = ops.split(ops.addChannels(ops.conv(h, take()), take()));
      const factor = ops.scale(ops.sigmoid(r), 1, 0.5);
      count(ops.scale(ops.sum(ops.log(again(factor))), -1));
      x = ops.concat(x1, ops.add(ops.mul(x2, factor), t));
    }
    if (scale + 1 < sizes.scales) {
      const [inside, latent] = ops.split(x);
      count(ops.scale(ops.sum(ops.square(latent)), 0.5));
      x = inside;
    }
  }
  count(ops.scale(ops.sum(ops.square(x)), 0.5));
  return ops.scale(total as A, 1 / sizes.batch);
}
