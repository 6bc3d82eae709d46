/** The command: trains a conditional Glow on pairs of images and data, samples posteriors, and checks them. */
import { negativeLogLikelihood } from '@invnet/flows';
import {
  announce,
  oneOf,
  openRun,
  program,
  randomStream,
  trainRun,
  whole,
  writeResults,
} from 'example-kit';
import { toCoordinates } from './coordinates.ts';
import { dataNames, presets, problems, sizesOf, withPreset } from './data.ts';
import { type Evaluation, evaluate, heldOut, momentErrors } from './evaluation.ts';
import { buildFlow } from './model.ts';
import { checkCurves, lossCurve, posteriorPanels } from './pictures.ts';
import { disposeObservations } from './problem.ts';
import { summary } from './summary.ts';

const app = {
  name: 'mri-posterior',
  about:
    'Trains a conditional Glow to sample the posterior of images given undersampled data, and checks the samples where ' +
    'the right answer is known. Sizes and budgets default to what suits --data.',
  config: {
    data: oneOf(dataNames, { default: 'brain', help: 'what is imaged' }),
    scales: whole({ most: 5, help: 'scales, each of half the resolution' }),
    depth: whole({ most: 64, help: 'flow steps per scale' }),
    hidden: whole({ most: 512, help: 'channels inside the couplings' }),
    batch: whole({ most: 1024, help: 'images per training step' }),
  },
  flags: { cases: whole({ help: 'held-out images to check on' }) },
  budget: presets.brain.budget,
  measure: { name: 'nats', unit: 'nats', of: (loss: number) => loss },
  writes:
    'posterior-*.png (one for each set of images), checks.png, loss.png, losses.csv, metrics.json and model.safetensors',
};

await program(app, async ({ options, signal }) => {
  const run = await openRun(app, withPreset(options), (config) =>
    buildFlow(presets[config.data].channels, sizesOf(config), randomStream(config.seed, 'weights')),
  );
  const { data, seed } = run.config;
  const { scales, depth, hidden, batch } = sizesOf(run.config);
  announce(
    run,
    `Conditional Glow, ${data}: ${scales} scales × ${depth} steps, ${hidden} hidden channels, batches of ${batch}`,
  );
  const problem = await problems[data]();
  const kappa = problem.spread / problem.noise;
  await trainRun(run, {
    signal,
    batches: async function* (step) {
      for (; ; step++) {
        const random = randomStream(seed, 'training', step);
        const observations = await problem.draw('training', batch, random);
        yield { observations, v: toCoordinates(observations.x, observations, kappa) };
      }
    },
    loss: ({ v, observations }) => negativeLogLikelihood(run.model, v, observations.context),
    disposeBatch: ({ v, observations }) => {
      v.dispose();
      disposeObservations(observations);
    },
    samples: { perStep: batch, called: 'images' },
    // Gradients add up over the numbers of an image.
    clipNorm: 0.4 * problem.channels * problem.size ** 2,
  });

  const { cases = presets[data].cases } = options.flags;
  console.error(`Sampling posteriors of ${cases} held-out images …`);
  const about = { flow: run.model, problem, seed, signal };
  const evaluations: Record<string, Evaluation> = {
    'held out': await evaluate({ ...about, batches: heldOut(problem, { count: cases, seed }) }),
  };
  for (const [name, draw] of Object.entries(problem.elsewhere ?? {})) {
    const batches = [await draw(randomStream(seed, 'test'))];
    evaluations[name] = await evaluate({ ...about, batches });
  }
  const moments = await momentErrors(about);

  const files: Record<string, Uint8Array> = {
    'checks.png': checkCurves(evaluations, problem.region?.name).png(),
    'loss.png': lossCurve(run.state.losses).png(),
  };
  for (const [name, { examples }] of Object.entries(evaluations)) {
    files[`posterior-${name.replace(' ', '-')}.png`] = posteriorPanels(examples, problem).png();
  }
  await writeResults(run, { files, metrics: { ...metricsOf(evaluations), momentErrors: moments } });
  console.log(`${summary(evaluations, moments)}\nResults             ${run.out}`);
});

/** What goes into metrics.json: numbers, without images. */
function metricsOf(evaluations: Readonly<Record<string, Evaluation>>) {
  const entries = Object.entries(evaluations).map(([name, { examples: _, ...numbers }]) => [
    name,
    numbers,
  ]);
  return { evaluations: Object.fromEntries(entries) };
}
