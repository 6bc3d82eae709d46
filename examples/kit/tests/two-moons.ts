import { twoMoons } from '@invnet/datasets';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import type { Tensor } from '@invnet/tensor';
import {
  announce,
  openRun,
  program,
  randomStream,
  trainRun,
  whole,
  writeResults,
} from 'example-kit';

const app = {
  name: 'two-moons',
  about: 'Fits a flow to two moons.',
  config: {
    hidden: whole({ default: 32, most: 512, help: 'channels inside the couplings' }),
    batch: whole({ default: 256, most: 4096, help: 'points in a training step' }),
  },
  flags: { points: whole({ default: 10_000, help: 'points to test on' }) },
  budget: { steps: 300, learningRate: 4e-3 },
  writes: 'losses.csv, metrics.json and model.safetensors',
};

await program(app, async ({ options, signal }) => {
  const run = await openRun(app, options, ({ hidden, seed }) => {
    const random = randomStream(seed, 'weights');
    const network = new Glow({ channels: 2, ndims: 0, scales: 1, steps: 6, hidden, random });
    return new Flow({ network });
  });
  const { batch, seed } = run.config;
  announce(run, `Glow on two moons: batches of ${batch}`);
  await trainRun(run, {
    signal,
    batches: function* (step) {
      for (; ; step++) yield twoMoons().sample(batch, randomStream(seed, 'training', step));
    },
    loss: (x: Tensor) => negativeLogLikelihood(run.model, x),
    disposeBatch: (x) => x.dispose(),
  });
  using x = twoMoons().sample(options.flags.points, randomStream(seed, 'test'));
  using loss = negativeLogLikelihood(run.model, x);
  const [testNats] = await loss.data();
  await writeResults(run, { files: {}, metrics: { testNats } });
  console.log(`Test points         ${testNats!.toFixed(4)} nats`);
});
