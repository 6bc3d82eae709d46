/** The command: learns posteriors, samples them, checks them, and writes the results. */
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostArray } from '@invnet/datasets';
import { writeNpy } from '@invnet/datasets/npy';
import { c2st, calibrate } from '@invnet/inference';
import { writeReport } from '@invnet/inference/report';
import { saveModel } from '@invnet/train';
import { FlagError, program } from 'example-kit';
import { app } from './app.ts';
import { estimatorsOf, type RunEstimator } from './estimators.ts';
import { learn } from './learn.ts';
import { problemOf } from './problem.ts';
import { runOf } from './run.ts';

await program(app, async ({ options, signal }) => {
  const run = await runOf(options);
  const { config } = run;
  const { flags, out } = options;
  const estimators = estimatorsOf(config.estimator, out);
  const problem = await problemOf(config, flags);
  const { title, prior, training, checks, observed, truth, task } = problem;
  const names = flags.names?.split(',').map((name) => name.trim());
  if (names && names.length !== prior.size) {
    throw new FlagError(
      `--names has ${names.length} names; expected ${prior.size}, one for each parameter.`,
    );
  }
  console.error(`${title}: ${training.theta.shape[0]} simulations of ${prior.size} parameters`);
  let drawn: HostArray | undefined;
  const reference = () => {
    if (!task?.hasReference || flags.observed !== undefined) return undefined;
    const how = { count: flags.samples, seed: config.seed + 3 };
    drawn ??= task.reference([...observed.data], how);
    return drawn;
  };

  /** Learns one posterior, writes it and its samples, and says what is to be known of it. */
  async function learned(estimator: RunEstimator) {
    const fitted = await learn(problem, estimator, run, options, signal);
    const { posterior, history, best, stopped, seconds } = fitted;
    await saveModel(estimator.posterior, posterior, { metadata: { title } });

    const warnings = [...problem.warnings, ...fitted.warnings.map(({ message }) => message)];
    const samples = await posterior.sample({
      x: observed,
      count: flags.samples,
      seed: config.seed + 1,
      onWarning: ({ message }) => warnings.push(message),
    });
    await writeFile(estimator.samples, writeNpy(samples));

    const calibration = await calibrate(posterior, checks, {
      seed: config.seed + 2,
      signal,
      ...(names && { names }),
    }).result();
    posterior.dispose();
    const scores: Record<string, number> = {
      'seconds of training': Math.round(seconds),
      epochs: history.length,
      ...(best && { 'loss, held out': best.loss }),
    };
    const exact = reference();
    if (exact) scores.C2ST = (await c2st(exact, samples, { signal })).accuracy;
    const { name } = estimator;
    return { report: { name, samples, calibration, scores, history, warnings }, stopped };
  }

  const results: Awaited<ReturnType<typeof learned>>[] = [];
  for (const estimator of estimators) results.push(await learned(estimator));
  const ends = new Set(
    results.map(({ report, stopped }) =>
      results.every((other) => other.stopped === stopped) ? stopped : `${stopped} (${report.name})`,
    ),
  );
  await writeReport(join(out, 'report'), {
    title: `Posterior of ${title}`,
    text: `Learned from ${training.theta.shape[0]} simulations; training ended by ${[...ends].join(', ')}.`,
    estimators: results.map(({ report }) => report),
    truth,
    names,
  });

  for (const { report } of results) {
    if (results.length > 1) console.log(`\n${report.name}`);
    for (const [name, score] of Object.entries(report.scores)) {
      console.log(`${name.padEnd(24)}${Number.isInteger(score) ? score : score.toFixed(3)}`);
    }
    for (const { of, pValue, finding } of report.calibration.tests) {
      console.log(`${of.padEnd(24)}p = ${pValue.toFixed(3)}${finding ? `: ${finding}` : ''}`);
    }
    for (const warning of report.warnings) console.log(`Warning: ${warning}`);
  }
  const written = estimators.flatMap(({ posterior, samples }) =>
    [posterior, samples].map((path) => basename(path)),
  );
  console.log(`Written to ${out}: ${[...written, 'report.html', 'report.json'].join(', ')}`);
});
