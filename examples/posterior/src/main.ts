/** The command: learns a posterior, samples it, checks it, and writes the results. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNpy } from '@invnet/datasets/npy';
import { c2st, calibrate } from '@invnet/inference';
import { writeReport } from '@invnet/inference/report';
import { saveModel } from '@invnet/train';
import { FlagError, program } from 'example-kit';
import { app } from './app.ts';
import { configOf, learn } from './learn.ts';
import { problemOf } from './problem.ts';

await program(app, async ({ options, signal }) => {
  const config = await configOf(options);
  const { flags, out } = options;
  const problem = await problemOf(config, flags);
  const { title, prior, training, checks, observed, truth, task } = problem;
  const names = flags.names?.split(',').map((name) => name.trim());
  if (names && names.length !== prior.size) {
    throw new FlagError(
      `--names has ${names.length} names; expected ${prior.size}, one for each parameter.`,
    );
  }
  console.error(`${title}: ${training.theta.shape[0]} simulations of ${prior.size} parameters`);

  const {
    posterior,
    history,
    best,
    stopped,
    seconds,
    warnings: ofFit,
  } = await learn(problem, config, options, signal);
  await saveModel(join(out, 'posterior.safetensors'), posterior, { metadata: { title } });

  const warnings = [...problem.warnings, ...ofFit.map(({ message }) => message)];
  const samples = await posterior.sample({
    x: observed,
    count: flags.samples,
    seed: config.seed + 1,
    onWarning: ({ message }) => warnings.push(message),
  });
  await writeFile(join(out, 'samples.npy'), writeNpy(samples));

  const calibration = await calibrate(posterior, checks, {
    seed: config.seed + 2,
    signal,
    ...(names && { names }),
  }).result();
  const scores: Record<string, number> = {
    'seconds of training': Math.round(seconds),
    epochs: history.length,
    ...(best && { 'loss, held out': best.loss }),
  };
  if (task?.hasReference && flags.observed === undefined) {
    const seed = config.seed + 3;
    const reference = task.reference([...observed.data], { count: flags.samples, seed });
    scores.C2ST = (await c2st(reference, samples, { signal })).accuracy;
  }
  const estimator = { name: config.estimator, samples, calibration, scores, history, warnings };
  await writeReport(join(out, 'report'), {
    title: `Posterior of ${title}`,
    text: `Learned from ${training.theta.shape[0]} simulations; training ended by ${stopped}.`,
    estimators: [estimator],
    truth,
    names,
  });

  for (const [name, score] of Object.entries(scores)) {
    console.log(`${name.padEnd(24)}${Number.isInteger(score) ? score : score.toFixed(3)}`);
  }
  for (const { of, pValue, finding } of calibration.tests) {
    console.log(`${of.padEnd(24)}p = ${pValue.toFixed(3)}${finding ? `: ${finding}` : ''}`);
  }
  for (const warning of warnings) console.log(`Warning: ${warning}`);
  console.log(`Written to ${out}: posterior.safetensors, samples.npy, report.html, report.json`);
});
