/** Gauss–Newton beside gradient descent on the likelihood of two moons; writes both curves. */
import { mkdir, writeFile } from 'node:fs/promises';
import { twoMoons } from '@invnet/datasets';
import { curves } from '@invnet/figures';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { addInPlace, cg, disposeVector, gaussNewton } from '@invnet/jvp';
import { gradients, initialize, zeroGrad } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { mean, neg, RandomStream, type Tensor } from '@invnet/tensor';

const x = twoMoons().sample(256, new RandomStream(2));

async function train(newton: boolean): Promise<number[]> {
  const random = new RandomStream(1);
  const network = new Glow({ channels: 2, ndims: 0, hidden: 16, scales: 1, steps: 3, random });
  await initialize(network, x);
  const flow = new Flow({ network });
  const { parameters } = flow;
  const evaluate = async () => {
    using logProb = flow.logProb(x);
    using average = mean(logProb);
    using loss = neg(average);
    return (await loss.data())[0]!;
  };
  const losses = [await evaluate()];
  for (let iteration = 0; iteration < 20; iteration++) {
    zeroGrad(parameters);
    negativeLogLikelihood(flow, x).dispose();
    let direction: readonly Tensor[] = gradients(parameters);
    if (newton) {
      const G = gaussNewton(network, x, { with: 'parameters', damping: 0.05 });
      const solution = await cg(G, direction, { tolerance: 1e-2, maxIterations: 30 });
      disposeVector(direction);
      direction = solution.x;
      G.dispose();
    }
    const move = (length: number) =>
      parameters.forEach((p, i) => {
        addInPlace(p.data, direction[i]!, length);
      });
    // Halved until the loss falls.
    let length = 1;
    move(-length);
    let loss = await evaluate();
    while (!(loss < losses.at(-1)!) && length > 1e-4) {
      length /= 2;
      move(length);
      loss = await evaluate();
    }
    losses.push(loss);
    disposeVector(direction);
  }
  return losses;
}

const series = [
  { name: 'gradient descent', y: await train(false) },
  { name: 'Gauss–Newton', y: await train(true) },
];
for (const { name, y } of series) {
  console.log(`${name}: ${y[0]!.toFixed(3)} → ${y.at(-1)!.toFixed(3)} nats`);
}
await mkdir('out/gallery', { recursive: true });
const picture = curves({
  title: 'Two moons',
  x: { label: 'iteration' },
  y: { label: 'negative log-likelihood' },
  series: series.map(({ name, y }) => ({ name, x: [...y.keys()], y })),
});
await writeFile('out/gallery/gauss-newton.svg', picture.svg);
console.log('written: out/gallery/gauss-newton.svg');
