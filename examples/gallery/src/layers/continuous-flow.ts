/**
 * Two moons by a continuous flow, trained by flow matching, beside couplings by splines. The same velocities by the
 * midpoint rule are a flow with exact gradients, which goes on by maximum likelihood, as FFJORD does.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { twoMoons } from '@invnet/datasets';
import { panels } from '@invnet/figures';
import { Flow, flowMatching, negativeLogLikelihood } from '@invnet/flows';
import {
  ContinuousFlow,
  countParameters,
  MidpointFlow,
  RationalQuadraticSpline,
  Sequential,
  SmoothField,
  TransformerCoupling,
  zeroGrad,
} from '@invnet/layers';
import { mean, RandomStream, type Tensor, tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { report } from '../check.ts';

const moons = twoMoons();
const held = moons.sample(1000, new RandomStream(2));

type Loss = (flow: Flow, x: Tensor, random: RandomStream) => Tensor;

async function train(flow: Flow, loss: Loss, steps: number, learningRate: number): Promise<void> {
  const random = new RandomStream(1);
  const adam = new Adam();
  const begin = performance.now();
  for (let step = 1; step <= steps; step++) {
    using x = moons.sample(256, random);
    zeroGrad(flow.parameters);
    loss(flow, x, random).dispose();
    const share = Math.min(1, step / 20, 1 - step / (steps + 1));
    adam.step(flow.parameters, { learningRate: learningRate * share });
  }
  adam.dispose();
  zeroGrad(flow.parameters);
  const took = (performance.now() - begin) / steps;
  console.log(`  ${steps} steps of ${took.toFixed(1)} ms`);
}

async function heldOut(name: string, flow: Flow, bound: number): Promise<void> {
  using logProb = flow.logProb(held);
  using average = mean(logProb);
  const nats = -(await average.data())[0]!;
  const size = countParameters(flow);
  console.log(
    `${name}, ${size} parameters: held-out ${nats.toFixed(3)} nats, expected below ${bound}`,
  );
}

const random = new RandomStream(3);
const likelihood: Loss = (flow, x) => negativeLogLikelihood(flow, x);

const couplings = Array.from({ length: 4 }, (_, i) => {
  const moves = i % 2 === 0 ? 'second' : 'first';
  const transformer = new RationalQuadraticSpline({ bins: 8, bound: 3 });
  return new TransformerCoupling({
    ...{ channels: 2, transformer, hidden: 32, ndims: 0, moves, random },
  });
});
const splines = new Flow({ network: new Sequential(couplings) });
await train(splines, likelihood, 300, 0.01);
await heldOut('splines', splines, 1.2);

const field = new SmoothField({ channels: 2, hidden: [64, 64, 64], random });
const continuous = new Flow({ network: new ContinuousFlow({ field }) });
await train(continuous, (flow, x, draws) => flowMatching(flow, { x, random: draws }), 2500, 0.008);
await heldOut('flow matching', continuous, 1.15);

// A bijection for any number of steps: its inverse and its density are exact.
const midpoint = new Flow({ network: new MidpointFlow({ field, steps: 6 }) });
await heldOut('the same field by 6 steps of the midpoint rule', midpoint, 1.15);
using z = midpoint.network.forward(held).y;
await report('inverse by iteration', midpoint.network.inverse(z).x, held);
await train(midpoint, likelihood, 10, 0.001);
await heldOut('and 10 steps of maximum likelihood', midpoint, 1.15);

const [width, height] = [64, 48];
const [across, down] = [[-2, 2] as const, [-1.5, 1.5] as const];
const place = (i: number, count: number, [low, high]: readonly [number, number]) =>
  low + ((i + 0.5) / count) * (high - low);
using points = tensor(
  Array.from({ length: height * width }, (_, i) => [
    place(i % width, width, across),
    place(height - 1 - Math.floor(i / width), height, down),
  ]),
);
const densityOf = async (flow: Flow) => {
  using logProb = flow.logProb(points);
  return { width, height, values: Array.from(await logProb.data(), Math.exp) };
};
const picture = panels(await Promise.all([splines, continuous, midpoint].map(densityOf)), {
  title: 'Splines, flow matching, and the midpoint rule',
  size: 240,
  x: { range: across },
  y: { range: [down[1], down[0]] },
});
await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/continuous-flow.svg', picture.svg);
console.log('written: out/gallery/continuous-flow.svg');
