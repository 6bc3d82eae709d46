/**
 * The density of one number, given another: of x from a standard normal, y = x² + noise was seen, so x is one of two
 * numbers. A coupling has nothing to part in one channel; a spline whose parameters the context gives needs no more.
 */
import { Flow } from '@invnet/flows';
import { ConditionalTransform, RationalQuadraticSpline } from '@invnet/layers';
import { full, RandomStream, tensor } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const noise = 0.2;
const random = new RandomStream(1);
const network = new ConditionalTransform({
  channels: 1,
  contextChannels: 1,
  transformer: new RationalQuadraticSpline({ bins: 12, bound: 4 }),
  hidden: 32,
  ndims: 0,
  random,
});
const flow = new Flow({ network });
const draw = () => {
  const [x, n] = [random.normalArray(256), random.normalArray(256, noise)];
  const seen = x.map((v, i) => v * v + n[i]!);
  return { x: tensor(x, [256, 1]), context: tensor(seen, [256, 1]) };
};
await maximizeLikelihood(flow, draw, { steps: 400, learningRate: 1e-2 });

const [from, step, count] = [-2, 0.2, 21];
const grid = Array.from({ length: count }, (_, i) => from + step * i);
const points = tensor(grid, [count, 1]);
for (const seen of [0, 1, 2]) {
  const found = await flow.logProb(points, full([1, 1], seen)).data();
  const exact = posterior(seen);
  console.log(`y = ${seen}   fitted, and exact`);
  for (const [i, x] of grid.entries()) {
    const bar = (density: number) => '■'.repeat(Math.round(10 * density)).padEnd(30);
    console.log(`${x.toFixed(1).padStart(5)}  ${bar(Math.exp(found[i]!))} ${bar(exact(x))}`);
  }
}

/** p(x | y) by quadrature. */
function posterior(seen: number): (x: number) => number {
  const joint = (x: number) => Math.exp(-(x * x) / 2 - (seen - x * x) ** 2 / (2 * noise ** 2));
  const fine = Array.from({ length: 2001 }, (_, i) => -5 + i / 200);
  const mass = fine.reduce((sum, x) => sum + joint(x) / 200, 0);
  return (x) => joint(x) / mass;
}
