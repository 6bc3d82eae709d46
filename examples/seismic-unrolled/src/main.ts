/** The command: trains an unrolled loop on simulated shots, tests it beside LSQR and writes the results. */
import { assertAdjoint, operatorOf } from '@invnet/jvp';
import type { RandomStream } from '@invnet/tensor';
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
import { disposeCase, simulate } from './cases.ts';
import { drawEarth } from './earth.ts';
import { startEngine } from './engine.ts';
import { type Comparison, compareMethods, summaryOf } from './evaluation.ts';
import { readSections } from './marmousi.ts';
import { buildLoop } from './model.ts';
import { gatherPicture, imagesPicture, lossPicture, snrPicture } from './pictures.ts';
import { reconstructionLoss } from './reconstruction.ts';
import { Survey, surveys } from './survey.ts';

/** Cases in the picture. */
const shown = 4;

await program(app, async ({ options, signal }) => {
  const { flags } = options;
  using engine = await startEngine(flags.engine);
  let survey!: Survey;
  const run = await openRun(app, options, (config) => {
    survey = new Survey(surveys[config.size], engine);
    return buildLoop(config, { survey, random: randomStream(config.seed, 'weights') });
  });
  const { size, iterations, state, hidden, seed } = run.config;
  // Read now: a file that is none should not come to light after the training.
  const sections = flags.marmousi
    ? await readSections(flags.marmousi, flags.marmousiSpacing, survey.size)
    : [];
  await assertAdjoint(operatorOf(survey));
  announce(
    run,
    `An unrolled loop of ${iterations} iterations, HINT couplings of ${state} channels and ${hidden} hidden ones, on ` +
      `${size} cells`,
  );
  const solver = { loop: run.model, iterations, state, survey };
  await trainRun(run, {
    signal,
    batches: async function* (step) {
      for (; ; step++) {
        const random = randomStream(seed, 'training', step);
        yield await simulate(survey, drawEarth(survey.size, random), random);
      }
    },
    loss: (one) => reconstructionLoss(solver, one),
    disposeBatch: disposeCase,
    clipNorm: 1,
  });

  console.error('Testing beside LSQR …');
  const heldOut: Comparison[] = [];
  for (let i = 0; i < flags.cases; i++) {
    const random = randomStream(seed, 'test', i);
    heldOut.push(await compare(drawEarth(survey.size, random), random));
  }
  const marmousi: Comparison[] = [];
  for (const [i, velocity] of sections.entries()) {
    marmousi.push(await compare(velocity, randomStream(seed, 'validation', i)));
  }
  const tests = { heldOut, ...(sections.length > 0 && { marmousi }) };
  await writeResults(run, {
    files: {
      'images.png': imagesPicture(heldOut.slice(0, shown), survey).png(),
      'gather.png': gatherPicture(heldOut[0]!, survey).png(),
      'snr.png': snrPicture({
        'held out': heldOut,
        ...(sections.length > 0 && { marmousi }),
      }).png(),
      'loss.png': lossPicture(run.state.losses).png(),
      ...(sections.length > 0 && { 'marmousi.png': imagesPicture(marmousi, survey).png() }),
    },
    metrics: Object.fromEntries(
      Object.entries(tests).map(([name, cases]) => [name, summaryOf(cases)]),
    ),
  });
  console.log(
    [
      ...tableOf(`Held out, ${heldOut.length} earths`, heldOut),
      ...(sections.length > 0
        ? tableOf(`${flags.marmousi}, ${marmousi.length} sections`, marmousi)
        : []),
      `Peak memory         ${megabytes(run.state.peakBytes)}`,
      `Results             ${run.out}`,
    ].join('\n'),
  );

  async function compare(velocity: Float32Array, random: RandomStream): Promise<Comparison> {
    return compareMethods(solver, await simulate(survey, velocity, random), signal);
  }
});

/** Means over cases. */
function tableOf(title: string, cases: readonly Comparison[]): string[] {
  const { loop, lsqr, aboveLsqr } = summaryOf(cases);
  const rows = [
    ...lsqr.map(({ iterations, ...rest }) => ({
      name: iterations === 1 ? 'RTM' : `LSQR, ${iterations} iterations`,
      ...rest,
    })),
    { name: 'loop', ...loop },
  ];
  return [
    title,
    ...rows.map(
      ({ name, calls, snr }) =>
        `  ${name.padEnd(22)}${snr.toFixed(2)} dB   ${calls} applications of J and Jᵀ`,
    ),
    `  loop above LSQR       ${aboveLsqr.toFixed(2)} dB   with as many`,
  ];
}
