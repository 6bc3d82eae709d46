/** The command: trains a network on each split, measures both beside the baselines, and writes the results. */
import { add, affine, tidy } from '@invnet/tensor';
import {
  announce,
  type Config,
  ModuleGroup,
  megabytes,
  openRun,
  program,
  randomStream,
  trainRun,
  writeResults,
} from 'example-kit';
import { app } from './app.ts';
import { kernelRidge } from './baseline.ts';
import { predict, type Scores, type StepMemory, score, stepMemory } from './evaluation.ts';
import { Segmenter } from './model.ts';
import { classMaps, confusions, lossCurve, percent } from './pictures.ts';
import {
  loadScene,
  type Scene,
  type SplitName,
  type Splits,
  splitNames,
  splitsOf,
} from './scene.ts';
import { type Batch, batches } from './views.ts';

await program(app, async ({ options, signal }) => {
  const scene = await loadScene();
  const run = await openRun(app, options, (config) => buildModels(scene, config));
  const { parts } = run.model;
  const { seed } = run.config;
  const splits = splitsOf(scene, seed);
  const { depth, channels, hidden, volume } = parts.random.options;
  announce(
    run,
    `A hyperbolic network for each split of Indian Pines${volume ? ' as a volume' : ''}: ${depth} layers, ` +
      `${channels} channels, ${hidden} inside the layers`,
  );
  await trainRun(run, {
    signal,
    batches: (step) => batches(scene, splits, { seed, step }),
    loss: ({ image, labels, masks }: Batch) =>
      tidy(() => {
        const [first, second] = splitNames.map((name) =>
          parts[name].lossAndGradients(image, labels, masks[name]),
        );
        // Two networks that share nothing: each has the gradient of its own loss, and this is for the display.
        return affine(add(first!, second!), 0.5);
      }),
    disposeBatch: ({ image }) => image.dispose(),
    clipNorm: 1,
  });

  console.error('Labelling all pixels, fitting the baselines, measuring memory …');
  const outcomes = {
    random: await outcomeOf(parts.random, scene, splits.random),
    blocks: await outcomeOf(parts.blocks, scene, splits.blocks),
  };
  const memory = [depth, 4 * depth].map((layers) =>
    stepMemory(scene, splits.random, parts.random.options, layers),
  );
  const metrics = await writeResults(run, {
    files: {
      'classes.png': classMaps(scene, splits, outcomes).png({ zoom: 2 }),
      'confusion.png': confusions(scene, outcomes).png({ zoom: 2 }),
      'loss.svg': lossCurve(run.state.losses).svg,
    },
    metrics: {
      random: measured(splits.random, outcomes.random),
      blocks: measured(splits.blocks, outcomes.blocks),
      memory,
    },
  });
  console.log(summary(metrics, options.out));
});

/** A network for each split, alike but for their weights. */
function buildModels(scene: Scene, config: Config<typeof app.config>) {
  const { depth, volume, seed } = config;
  const { channels = volume ? 2 : 32 } = config;
  const { hidden = 2 * channels } = config;
  const sizes = {
    bands: scene.bands,
    classes: scene.classes.length,
    depth,
    channels,
    hidden,
    volume,
  };
  const build = (part: number) =>
    new Segmenter({ ...sizes, random: randomStream(seed, 'weights', part) });
  return new ModuleGroup({ random: build(0), blocks: build(1) });
}

/** The labels of a split's network, and the scores of all methods on its test pixels. */
async function outcomeOf(model: Segmenter, scene: Scene, split: Splits[SplitName]) {
  const predicted = await predict(model, scene);
  const { matrix, ...network } = score(scene, split, predicted);
  const baseline = async (side: number) => {
    const { matrix: _, ...scores } = score(scene, split, await kernelRidge(scene, split, side));
    return scores;
  };
  const methods = { network, ridgeOnSpectra: await baseline(1), ridgeOnMeans: await baseline(9) };
  return { predicted, matrix, methods };
}

function measured({ train, test }: Splits[SplitName], { methods }: { methods: Methods }) {
  const count = (mask: Uint8Array) => mask.reduce((sum, bit) => sum + bit, 0);
  return { trainPixels: count(train), testPixels: count(test), ...methods };
}

type Methods = Readonly<Record<'network' | 'ridgeOnSpectra' | 'ridgeOnMeans', Scores>>;

interface Summarized {
  readonly random: Methods;
  readonly blocks: Methods;
  readonly memory: readonly StepMemory[];
}

function summary({ random, blocks, memory }: Summarized, out: string): string {
  const three = (s: Scores) =>
    [percent(s.overallAccuracy), percent(s.averageAccuracy), s.kappa.toFixed(3)].join(' / ');
  const row = (title: string, a: string, b: string) => `${title.padEnd(30)}${a.padEnd(26)}${b}`;
  const method = (title: string, of: keyof Methods) =>
    row(title, three(random[of]), three(blocks[of]));
  return [
    row('Test pixels: OA / AA / κ', 'random pixels', 'blocks'),
    method('Hyperbolic network', 'network'),
    method('Kernel ridge, spectra', 'ridgeOnSpectra'),
    method('Kernel ridge, 9 × 9 means', 'ridgeOnMeans'),
    ...memory.map(
      ({ depth, peakBytes, parameterBytes }) =>
        `Peak memory of ${depth} layers`.padEnd(30) +
        `${megabytes(peakBytes)}, of which parameters and gradients ${megabytes(parameterBytes)}`,
    ),
    `Results                       ${out}`,
  ].join('\n');
}
