/** How good images are, case by case, beside those of classical methods. */
import { lsqr, operatorOf } from '@invnet/jvp';
import { snr } from '@invnet/metrics';
import { type Case, disposeCase } from './cases.ts';
import { callsOf, reconstruct, type Solver } from './reconstruction.ts';

/** What a method made of a case. */
export interface Result {
  /** Row by row. */
  readonly image: Float32Array;
  /** In decibels. */
  readonly snr: number;
  /** How often J or Jᵀ was applied. */
  readonly calls: number;
}

/** A case, imaged by all methods. */
export interface Comparison {
  readonly truth: Float32Array;
  /** [times, receivers] */
  readonly data: Float32Array;
  /** What the loop's image would have recorded. */
  readonly modelled: Float32Array;
  readonly loop: Result;
  /** The first is RTM, scaled to fit the data; the one of as many applications as the loop is among them. */
  readonly lsqr: readonly (Result & { readonly iterations: number })[];
}

/** The most iterations of LSQR. */
const most = 32;

/** Images a case by all methods and frees it. @throws the signal's reason when it comes. */
export async function compareMethods(
  solver: Solver,
  one: Case,
  signal: AbortSignal,
): Promise<Comparison> {
  const { survey } = solver;
  try {
    using image = reconstruct(solver, one);
    using modelled = survey.forward(image);
    const truth = Float32Array.from(await one.truth.data());
    const resultOf = (values: Float32Array, calls: number): Result => ({
      image: values,
      snr: snr(values, truth),
      calls,
    });
    // An iteration applies J and Jᵀ.
    const same = callsOf(solver) / 2;
    const counts = new Set([1, 2, 4, 8, 16, most, same]);
    const solutions = [];
    for (const maxIterations of [...counts].sort((a, b) => a - b)) {
      // Without a pause no signal would ever arrive.
      await new Promise(setImmediate);
      signal.throwIfAborted();
      const { x } = await lsqr(operatorOf(survey), one.data, { maxIterations, tolerance: 0 });
      using solution = x;
      const values = Float32Array.from(await solution.data());
      solutions.push({
        iterations: maxIterations,
        ...resultOf(values, 2 * maxIterations),
      });
    }
    return {
      truth,
      data: Float32Array.from(await one.data.data()),
      modelled: Float32Array.from(await modelled.data()),
      loop: resultOf(Float32Array.from(await image.data()), callsOf(solver)),
      lsqr: solutions,
    };
  } finally {
    disposeCase(one);
  }
}

/** Means over cases, and the ratios of each. */
export function summaryOf(cases: readonly Comparison[]) {
  const of = (resultOf: (c: Comparison) => Result) => {
    const snrs = cases.map((c) => resultOf(c).snr);
    const snr = snrs.reduce((a, b) => a + b) / snrs.length;
    return { calls: resultOf(cases[0]!).calls, snr, snrs };
  };
  const loop = of((c) => c.loop);
  const lsqr = cases[0]!.lsqr.map(({ iterations }, i) => ({
    iterations,
    ...of((c) => c.lsqr[i]!),
  }));
  const same = lsqr.find(({ calls }) => calls === loop.calls)!;
  return { cases: cases.length, loop, lsqr, aboveLsqr: loop.snr - same.snr };
}
