/**
 * A residual flow on two moons: six blocks whose Lipschitz constant is bounded, log-determinants by Russian
 * roulette in training and exactly for the picture of the density.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { twoMoons } from '@invnet/datasets';
import { panels } from '@invnet/figures';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import {
  ActNorm,
  InvertibleResidual,
  lipschitzBlock,
  Sequential,
  TrainingStep,
  zeroGrad,
} from '@invnet/layers';
import { RandomStream, tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { report } from '../check.ts';

const random = new RandomStream(1);
const blocks = Array.from({ length: 6 }, () =>
  lipschitzBlock({ channels: 2, hidden: [32, 32], coefficient: 0.97, random }),
);
const flowOf = (logdet: 'roulette' | 'exact') =>
  new Flow({
    network: new Sequential([
      norm,
      ...blocks.map((block) => new InvertibleResidual({ block, logdet, random })),
    ]),
  });
const norm = new ActNorm({ channels: 2 });
const [flow, exact] = [flowOf('roulette'), flowOf('exact')];

const adam = new Adam();
const steps = 50;
for (let i = 1; i <= steps; i++) {
  using x = twoMoons().sample(128, random);
  zeroGrad(flow.parameters);
  // A step moves the norms of the weights, and the noise of the estimates.
  const step = new TrainingStep();
  using loss = step.run(() => negativeLogLikelihood(flow, x));
  step.commit(() => adam.step(flow.parameters, { learningRate: 3e-2 }));
  if (i === 1 || i === steps) console.log(`step ${i}: ${(await loss.data())[0]!.toFixed(3)} nats`);
}

using x = twoMoons().sample(4, random);
const { y, logdet } = flow.network.forward(x);
await report('inverse by iteration', flow.network.inverse(y).x, x);
const { logdet: known } = exact.network.forward(x);
console.log(
  'log-determinants, estimated:',
  [...(await logdet.data())].map((v) => v.toFixed(2)).join(' '),
);
console.log(
  '                    exactly:',
  [...(await known.data())].map((v) => v.toFixed(2)).join(' '),
);

const [width, height] = [64, 48];
const place = (i: number, count: number, low: number, high: number) =>
  low + ((i + 0.5) / count) * (high - low);
const [across, down] = [[-2, 2] as const, [-1.5, 1.5] as const];
const points = Array.from({ length: height * width }, (_, i) => [
  place(i % width, width, ...across),
  -place(Math.floor(i / width), height, -down[1], -down[0]),
]);
using logProb = exact.logProb(tensor(points));
const density = Array.from(await logProb.data(), Math.exp);
const picture = panels([{ width, height, values: density }], {
  title: 'Density of a residual flow',
  size: 320,
  x: { range: across },
  y: { range: [down[1], down[0]] },
});
await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/residual-flow.svg', picture.svg);
console.log('written: out/gallery/residual-flow.svg');
