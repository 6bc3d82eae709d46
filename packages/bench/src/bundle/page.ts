/**
 * The smallest page that trains: one flow on points of the plane, by maximum likelihood, on the
 * backend that there is without asking, wasm on one thread. `bench bundle` weighs it.
 */
import { twoMoons } from '@invnet/datasets';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { RandomStream, type Tensor } from '@invnet/tensor';
import { Adam, constant, train } from '@invnet/train';

function* batches(random: RandomStream): Generator<Tensor> {
  for (let i = 0; i < 1000; i++) yield twoMoons().sample(256, random);
}

const random = new RandomStream(1);
const network = new Glow({ channels: 2, hidden: 32, ndims: 0, scales: 1, steps: 8, random });
const flow = new Flow({ network });
const steps = train({
  parameters: flow.parameters,
  optimizer: new Adam(),
  loss: (x: Tensor) => negativeLogLikelihood(flow, x),
  batches: batches(random),
  schedule: constant(1e-3),
  disposeBatch: (x) => x.dispose(),
});
for await (const { step, loss } of steps) {
  document.title = `Step ${step}: ${loss.toFixed(3)} nats`;
}
