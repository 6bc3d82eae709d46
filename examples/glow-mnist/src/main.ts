/** The command: trains Glow on MNIST, measures it and writes the results. Its flags are in app.ts. */
import { loadMnist } from '@invnet/datasets';
import { openMpi } from '@invnet/mpi';
import {
  announce,
  checkpointPath,
  isWriter,
  megabytes,
  openRun,
  program,
  type StandardMetrics,
  trainRun,
  writeResults,
} from 'example-kit';
import { app, side } from './app.ts';
import { buildFlow } from './model.ts';
import { type Metrics, measure } from './results.ts';
import { trainingOn } from './training.ts';

await program(app, async ({ options, signal }) => {
  const communicator = options.flags.mpi ? openMpi() : undefined;
  const run = await openRun(app, options, buildFlow, { communicator });
  const { scales, steps, hidden, batch } = run.config;
  announce(
    run,
    `Glow on MNIST: ${scales} scales × ${steps} steps, ${hidden} hidden channels, batches of ${batch}`,
  );
  await trainRun(run, trainingOn(await loadMnist({ split: 'train' }), run, signal));
  if (isWriter(communicator)) console.error('Evaluating on the test images …');
  const measured = await measure(run, signal);
  if (isWriter(communicator)) summarize(await writeResults(run, measured), run.out);
  communicator?.close();
});

function summarize(m: Metrics & StandardMetrics, out: string): void {
  console.log(
    [
      `Test images         ${m.testBitsPerDim.toFixed(4)} bits/dim over ${m.testImages}`,
      `First batch         ${m.firstBitsPerDim.toFixed(4)} bits/dim`,
      `Inverse error       ${m.inverseError.toExponential(2)} relative`,
      `Peak memory         ${megabytes(m.peakBytes)}, of which parameters ${megabytes(m.parameterBytes)}`,
      `Speed               ${Math.round(m.imagesPerSecond)} images/s on ${m.backend}`,
      `Results             ${out}`,
      '',
      'The model, to be used by another program:',
      '',
      ...howToLoad(checkpointPath(out), m).map((line) => `  ${line}`.trimEnd()),
    ].join('\n'),
  );
}

/** A program that loads the model and samples from it. */
function howToLoad(path: string, { seed, sampleTemperature }: Metrics & StandardMetrics): string[] {
  return [
    "import { Flow, flowCatalogue } from '@invnet/flows';",
    "import { loadModel } from '@invnet/train';",
    '',
    `const path = ${JSON.stringify(path)};`,
    'const flow = await loadModel(path, { modules: flowCatalogue, as: Flow });',
    `const shape = [16, 1, ${side}, ${side}];`,
    `const images = flow.sample({ shape, seed: ${seed}, temperature: ${sampleTemperature} });`,
  ];
}
