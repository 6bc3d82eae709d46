/** The command: trains an unrolled loop, tests it on another person's scan and writes the results. */
import { assertAdjoint, operatorOf } from '@invnet/jvp';
import { type RandomStream, slice, type Tensor } from '@invnet/tensor';
import { drawSlices, loadHead, slicesOf, testSlices } from 'brain-mri';
import {
  announce,
  megabytes,
  oneOf,
  openRun,
  program,
  type Run,
  randomStream,
  text,
  trainRun,
  whole,
  writeResults,
} from 'example-kit';
import { CartesianMri } from './cartesian-mri.ts';
import { type Comparison, compareMethods, meanQuality, methods } from './evaluation.ts';
import { measureMemory, type StepMemory } from './memory.ts';
import { disposeScan, type Modality } from './modality.ts';
import { buildLoop } from './model.ts';
import { ParallelBeamCt } from './parallel-beam-ct.ts';
import {
  lossPicture,
  type MethodNames,
  memoryPicture,
  psnrPicture,
  reconstructionsPicture,
} from './pictures.ts';
import { reconstructionLoss } from './reconstruction.ts';
import { readVolume } from './volume-file.ts';

const app = {
  name: 'mri-unrolled',
  about: 'Reconstructs brain images from a part of their data by an unrolled loop (i-RIM).',
  config: {
    size: whole({ default: 128, least: 16, most: 256, help: 'height and width of images' }),
    operator: oneOf(['fourier', 'radon'], {
      default: 'fourier',
      help: 'magnetic resonance imaging or tomography',
    }),
    acceleration: whole({
      default: 4,
      most: 16,
      help: 'fourier: one of so many lines is measured',
    }),
    views: whole({ default: 60, most: 1024, help: 'radon: angles of the beams' }),
    iterations: whole({ default: 8, most: 256, help: 'iterations of the loop' }),
    memory: whole({ default: 16, least: 2, most: 256, help: 'channels of its memory' }),
    hidden: whole({ default: 32, most: 1024, help: 'channels within its blocks' }),
    stride: whole({ default: 4, most: 8, help: 'stride of every fourth block' }),
    batch: whole({ default: 2, most: 256, help: 'images in a training step' }),
  },
  flags: {
    file: text({
      placeholder: '<path>',
      help: 'volume to test on: .nii, .nii.gz, .npy or a folder of DICOM files',
    }),
  },
  budget: { minutes: 30, learningRate: 4e-3 },
  writes:
    'reconstructions.png, psnr.png, loss.png, memory.png, losses.csv, metrics.json and model.safetensors',
};

/** Part of the budget that is trained on squared errors alone, and the part of 1 − SSIM in the loss afterwards. */
const squaresUntil = 0.7;
const ssimPart = 0.5;
/** Slices that are reconstructed at once. */
const atOnce = 4;
/** Images of the training step whose memory is measured. */
const memoryBatch = 8;

await program(app, async ({ options, signal }) => {
  const { file } = options.flags;
  // Before it trains for half an hour.
  const volume = file === undefined ? undefined : await readVolume(file);
  let modality!: Modality;
  const run = await openRun(app, options, (config) => {
    modality = config.operator === 'radon' ? new ParallelBeamCt(config) : new CartesianMri(config);
    return buildLoop(config, { ...modality, random: randomStream(config.seed, 'weights') });
  });
  const { size, iterations, memory, hidden, stride, batch, seed } = run.config;
  // Before the training as well: this refuses a volume that is smaller than an image, or empty.
  if (volume) (await slicesOf(volume, { size, most: 20 })).dispose();
  const names = { classical: modality.classical, totalVariation: 'total variation', loop: 'i-RIM' };
  await assertAdjoint(operatorOf(modality.operator));
  announce(
    run,
    `An unrolled loop of ${iterations} iterations, ${memory} memory and ${hidden} hidden channels, stride ` +
      `${stride}, on images of ${size} × ${size}, ${modality.scans}`,
  );
  const head = await loadHead();
  const solver = { loop: run.model, memory, modality };
  await trainRun(run, {
    signal,
    batches: async function* (step) {
      for (; ; step++) {
        const random = randomStream(seed, 'training', step);
        using slices = drawSlices(head, { count: batch, size, split: 'train', random });
        yield await modality.scan(slices, random);
      }
    },
    loss: (scan) => reconstructionLoss(solver, scan, used(run) < squaresUntil ? 0 : ssimPart),
    disposeBatch: disposeScan,
    samples: { perStep: batch, called: 'images' },
    clipNorm: 1,
  });

  console.error('Reconstructing the test slices, by total variation too …');
  using tests = await (volume ? slicesOf(volume, { size, most: 20 }) : testSlices(size));
  const test = await compareAll(tests, randomStream(seed, 'test'));
  const random = randomStream(seed, 'validation');
  using others = drawSlices(head, { count: 20, size, split: 'held-out', random });
  const heldOut = await compareAll(others, random);
  const measured = await memoryOfSteps();
  await writeResults(run, {
    files: {
      'reconstructions.png': reconstructionsPicture(test, names).png(),
      'psnr.png': psnrPicture(test, names).png(),
      'loss.png': lossPicture(run.state.losses).png(),
      'memory.png': memoryPicture(measured).png(),
    },
    metrics: {
      test: summaryOf(test),
      heldOut: summaryOf(heldOut),
      slices: test.map((slice) => ({
        ...Object.fromEntries(methods.map((method) => [method, slice[method].quality])),
        totalVariationWeight: slice.totalVariation.weight,
      })),
      memory: measured,
    },
  });
  console.log(
    [
      ...tableOf(`Test, ${test.length} slices of ${file ?? 'another person'}`, test, names),
      ...tableOf(`Held out, ${heldOut.length} slices of the training head`, heldOut, names),
      ...measured.map(
        ({ iterations, peakBytes, parameterBytes }) =>
          `Memory              ${megabytes(peakBytes)} for a step of ${memoryBatch} images with ${iterations} ` +
          `iterations, of which parameters and gradients ${megabytes(parameterBytes)}`,
      ),
      `Results             ${run.out}`,
    ].join('\n'),
  );

  async function compareAll(images: Tensor, random: RandomStream): Promise<Comparison[]> {
    const all: Comparison[] = [];
    for (let first = 0; first < images.shape[0]!; first += atOnce) {
      using some = slice(images, 0, first, Math.min(atOnce, images.shape[0]! - first));
      const scan = await modality.scan(some, random);
      try {
        all.push(...(await compareMethods(solver, scan, signal)));
      } finally {
        disposeScan(scan);
      }
    }
    return all;
  }

  async function memoryOfSteps(): Promise<StepMemory[]> {
    const random = randomStream(seed, 'samples');
    using slices = drawSlices(head, { count: memoryBatch, size, split: 'train', random });
    const scan = await modality.scan(slices, random);
    try {
      return measureMemory(run.config, modality, scan);
    } finally {
      disposeScan(scan);
    }
  }
});

/** How much of its budget a run has used, 0 to 1. */
function used({ state, budget: { steps, minutes = Number.POSITIVE_INFINITY } }: Run): number {
  return steps ? state.step / steps : state.seconds / (60 * minutes);
}

/** Means over slices, by method. */
function summaryOf(slices: readonly Comparison[]) {
  return Object.fromEntries(
    methods.map((method) => [method, meanQuality(slices.map((s) => s[method].quality))]),
  );
}

function tableOf(title: string, slices: readonly Comparison[], names: MethodNames): string[] {
  const rows = methods.map((method) => {
    const { psnr, ssim, nrmse } = meanQuality(slices.map((s) => s[method].quality));
    const numbers = `${psnr.toFixed(2)} dB   SSIM ${ssim.toFixed(3)}   NRMSE ${nrmse.toFixed(3)}`;
    return `  ${names[method].padEnd(26)}${numbers}`;
  });
  return [title, ...rows];
}
