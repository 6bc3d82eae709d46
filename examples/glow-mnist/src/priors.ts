/**
 * What learned priors are worth: Glow with a standard normal latent, with learned priors, of places and of a class,
 * each trained for the same time of one core; and how well those of a class tell classes apart, by the larger likelihood.
 *
 *     node src/priors.ts [--minutes 8] [--images 2000] [--seed 0] [standard | learned | places | …]
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { indexBatches, loadMnist, type Mnist, takeRows } from '@invnet/datasets';
import {
  bitsPerDim,
  ClassConditional,
  dequantize,
  Flow,
  negativeLogLikelihood,
  oneHot,
} from '@invnet/flows';
import { Logit, sigmoid } from '@invnet/layers';
import { Glow, LearnedPrior, Sequential } from '@invnet/networks';
import { RandomStream, setBackend, type Tensor, tidy } from '@invnet/tensor';
import { Adam, train } from '@invnet/train';
import { dims, side } from './app.ts';

const classes = 10;
const batchSize = 16;
const testBatch = 100;
const learningRate = 4e-3;
const warmup = 50;
/** Part of the time after which the learning rate falls. */
const decayStart = 0.4;

/** The models that are compared. */
const models: Readonly<Record<string, () => Flow>> = {
  standard: () => flowOf(),
  learned: () => flowOf(new LearnedPrior()),
  places: () => flowOf(new LearnedPrior({ size: [side / 4, side / 4] })),
  top: () => flowOf(new LearnedPrior({ classes })),
  means: () =>
    flowOf(new LearnedPrior(), new ClassConditional({ channels: 1, size: [side, side], classes })),
};

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: 'string', default: '8' },
    images: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '0' },
  },
  allowPositionals: true,
});
const seed = Number(values.seed);
await setBackend('wasm', { threads: 1, wide: true });
const [training, test] = [await loadMnist({ split: 'train' }), await loadMnist({ split: 'test' })];
for (const [name, make] of Object.entries(models)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const flow = make();
  const steps = await trainFor(flow, Number(values.minutes) * 60);
  const { bits, accuracy } = evaluate(flow, Number(values.images));
  const found = accuracy === undefined ? '' : `, ${(100 * accuracy).toFixed(1)} % of classes right`;
  console.log(`${name}: ${bits.toFixed(4)} bits/dim after ${steps} steps${found}`);
  flow.dispose();
}

/** That of the example, with a prior. */
function flowOf(prior?: LearnedPrior, base?: ClassConditional): Flow {
  const random = new RandomStream(seed);
  const scaleFunction = sigmoid({ low: 0.1, high: 1.9 });
  const sizes = { channels: 1, hidden: 32, scales: 2, steps: 8 };
  const glow = new Glow({ ...sizes, scaleFunction, random, prior });
  const network = new Sequential({ logit: new Logit(), glow });
  return new Flow(base ? { network, base } : { network });
}

/** Trains for so many seconds of this process, which other processes do not take away; gives how many steps it took. */
async function trainFor(flow: Flow, seconds: number): Promise<number> {
  const start = process.cpuUsage();
  const used = () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / (1e6 * seconds);
  };
  const schedule = (step: number) => {
    const decay = Math.max(0, Math.min(1, (used() - decayStart) / (1 - decayStart)));
    const rise = Math.min(1, (step + 1) / warmup);
    return learningRate * rise * 0.5 * (1 + Math.cos(Math.PI * decay));
  };
  const noise = new RandomStream(seed + 1);
  function* batches(): Generator<Batch> {
    for (const { indices } of indexBatches({ count: training.count, batchSize, seed })) {
      if (used() >= 1) return;
      yield batchOf(flow, training, indices, noise);
    }
  }
  const metrics = train({
    parameters: flow.parameters,
    optimizer: new Adam(),
    loss: ({ x, context }) => negativeLogLikelihood(flow, x, context),
    batches: batches(),
    schedule,
    clipNorm: 100,
    disposeBatch: ({ x, context }) => {
      x.dispose();
      context?.dispose();
    },
  });
  let steps = 0;
  for await (const { step, loss } of metrics) {
    steps = step;
    if (step % 200 === 0) {
      const share = Math.round(100 * used());
      console.error(`${share} %, step ${step}: ${bitsPerDim(loss, dims).toFixed(3)} bits/dim`);
    }
  }
  return steps;
}

/** Bits per dimension, given the class where there is one; and how often that of the largest likelihood is right. */
function evaluate(flow: Flow, images: number): { bits: number; accuracy: number | undefined } {
  const noise = new RandomStream(2);
  let [nats, right] = [0, 0];
  for (let first = 0; first < images; first += testBatch) {
    const count = Math.min(testBatch, images - first);
    const indices = Uint32Array.from({ length: count }, (_, i) => first + i);
    tidy(() => {
      const { x, context } = batchOf(flow, test, indices, noise);
      for (const l of flow.logProb(x, context).dataSync()) nats -= l;
      if (!context) return;
      const each = Array.from({ length: classes }, (_, k) =>
        flow.logProb(x, oneHot([k], classes)).dataSync(),
      );
      for (const [i, index] of indices.entries()) {
        const likelihoods = each.map((l) => l[i]!);
        right += Number(likelihoods.indexOf(Math.max(...likelihoods)) === test.labels[index]);
      }
    });
  }
  return {
    bits: bitsPerDim(nats / images, dims),
    accuracy: flow.usesContext ? right / images : undefined,
  };
}

interface Batch {
  readonly x: Tensor;
  readonly context: Tensor | undefined;
}

/** Images, with their classes where the flow wants them. */
function batchOf(flow: Flow, data: Mnist, indices: Uint32Array, noise: RandomStream): Batch {
  const pixels = takeRows(data.images, indices, dims);
  const x = dequantize(pixels, [indices.length, 1, side, side], noise);
  const labels = Array.from(indices, (i) => data.labels[i]!);
  return { x, context: flow.usesContext ? oneHot(labels, classes) : undefined };
}
