/**
 * Couplings on a checkerboard, whose entropy is log 8 = 2.079 nats: rational-quadratic splines, and affine ones with no
 * fewer parameters, which bend the plane too smoothly for its edges.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { checkerboard } from '@invnet/datasets';
import { panels } from '@invnet/figures';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import {
  AffineTransformer,
  countParameters,
  expClamp,
  RationalQuadraticSpline,
  Sequential,
  type Transformer,
  TransformerCoupling,
  zeroGrad,
} from '@invnet/layers';
import { mean, RandomStream, tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { report } from '../check.ts';

const steps = 1000;
const held = checkerboard().sample(20_000, new RandomStream(2));

/** Trains couplings that move one coordinate and the other by turns. */
async function trained(transformer: Transformer, couplings: number, hidden: number): Promise<Flow> {
  const random = new RandomStream(1);
  const network = new Sequential(
    Array.from({ length: couplings }, (_, i) => {
      const moves = i % 2 === 0 ? 'second' : 'first';
      return new TransformerCoupling({ channels: 2, transformer, hidden, ndims: 0, moves, random });
    }),
  );
  const flow = new Flow({ network });
  const adam = new Adam();
  for (let step = 1; step <= steps; step++) {
    using x = checkerboard().sample(384, random);
    zeroGrad(flow.parameters);
    negativeLogLikelihood(flow, x).dispose();
    const share = Math.min(1, step / 50, 1 - step / (steps + 1));
    adam.step(flow.parameters, { learningRate: 0.01 * share });
  }
  adam.dispose();
  return flow;
}

async function heldOut(flow: Flow): Promise<string> {
  using logProb = flow.logProb(held);
  using average = mean(logProb);
  const nats = -(await average.data())[0]!;
  return `${countParameters(flow)} parameters, held-out ${nats.toFixed(3)} nats`;
}

const splines = await trained(new RationalQuadraticSpline({ bins: 12, bound: 3 }), 2, 48);
const scales = await trained(new AffineTransformer({ scaleFunction: expClamp() }), 4, 44);
console.log(`splines: ${await heldOut(splines)}, expected below 2.15`);
console.log(`affine:  ${await heldOut(scales)}`);

using x = checkerboard().sample(1000, new RandomStream(3));
const { y } = splines.network.forward(x);
await report('inverse of splines', splines.network.inverse(y).x, x);

const size = 96;
const points = Array.from({ length: size ** 2 }, (_, i) => [
  ((i % size) + 0.5) * (4.4 / size) - 2.2,
  2.2 - (Math.floor(i / size) + 0.5) * (4.4 / size),
]);
const pictures = [];
for (const [title, flow] of [['splines', splines] as const, ['affine', scales] as const]) {
  using logProb = flow.logProb(tensor(points));
  const values = Array.from(await logProb.data(), Math.exp);
  pictures.push({ width: size, height: size, values, title });
}
const picture = panels(pictures, { title: 'Densities of flows on a checkerboard', size: 240 });
await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/splines.svg', picture.svg);
console.log('written: out/gallery/splines.svg');
