/** The command: trains a reversible network on MNIST, tests it, and writes the results. */
import { loadMnist } from '@invnet/datasets';
import { confusionMatrix, overallAccuracy } from '@invnet/metrics';
import { RevNet } from '@invnet/networks';
import {
  announce,
  megabytes,
  openRun,
  program,
  randomStream,
  trainRun,
  writeResults,
} from 'example-kit';
import { app } from './app.ts';
import { type Batch, batches, batchOf, stepsPerEpoch } from './digits.ts';
import { lossOf, predict, stepMemory } from './evaluation.ts';
import { confusions, lossCurve, mistakes } from './pictures.ts';

const classes = 10;

await program(app, async ({ options, signal }) => {
  const run = await openRun(app, options, ({ width, blocks, seed }) => {
    const random = randomStream(seed, 'weights');
    return new RevNet({ channels: 1, classes, width, blocks: [blocks, blocks, blocks], random });
  });
  const { width, blocks, batch, seed } = run.config;
  announce(
    run,
    `A reversible network on MNIST: 3 resolutions × ${blocks} blocks, ${width} channels at first, ` +
      `batches of ${batch}`,
  );
  const data = await loadMnist({ split: 'train' });
  await trainRun(run, {
    signal,
    batches: (step) => batches(data, { batch, seed, step }),
    loss: (one: Batch) => lossOf(run.model, one),
    disposeBatch: ({ x }) => x.dispose(),
    stepsPerEpoch: stepsPerEpoch(data, batch),
    samples: { perStep: batch, called: 'images' },
    clipNorm: 10,
  });

  console.error('Reading the test images …');
  const test = await loadMnist({ split: 'test' });
  const count = options.flags.images;
  const predicted = await predict(run.model, test, { count, signal });
  const matrix = confusionMatrix(predicted, test.labels.subarray(0, count), { classes });
  const one = batchOf(test, [...Array(Math.min(batch, count)).keys()]);
  const memory = [blocks, 4 * blocks].map((depth) => stepMemory(run.model, one, depth));
  one.x.dispose();
  const accuracy = overallAccuracy(matrix);
  await writeResults(run, {
    files: {
      'mistakes.png': mistakes(test, predicted).png(),
      'confusion.png': confusions(matrix).png(),
      'loss.svg': lossCurve(run.state.losses).svg,
    },
    metrics: { testImages: count, accuracy, confusion: matrix, memory },
  });
  console.log(
    [
      `Test images         ${(100 * accuracy).toFixed(2)} % of ${count} are right`,
      ...memory.map(
        ({ blocks: depth, peakBytes }) =>
          `Memory of a step    ${megabytes(peakBytes)} at 3 × ${depth} blocks, beside parameters and gradients`,
      ),
      `Results             ${run.out}`,
    ].join('\n'),
  );
});
