/** Pairs of parameters and observations, as they are learned from. */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import {
  currentPlacement,
  formatShape,
  nextAbove,
  requireList,
  requireOneOf,
  requireRecord,
  roundTo,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import type { Prior } from '../priors/prior.ts';
import type { SimulationFailure } from './simulation-failure.ts';
import { failureReasons } from './simulator.ts';

/** Parameters and observations of the joint distribution, such as `simulate` gives. */
export interface Pairs {
  /** [N, D] */
  readonly theta: HostArray;
  /** [N, …] */
  readonly x: HostArray;
  /** Simulations that are not among the N, as they failed: whoever learns from the others warns of them. Default: none. */
  readonly failures?: readonly SimulationFailure[];
}

/**
 * The pairs themselves, and what failed.
 *
 * @throws ValueError for observations that are not finite, with row and column, for parameters outside of the prior's support,
 * and for one that never varies, or of which the element type has but a few digits.
 * @throws ShapeError for another number of parameters than of observations, or others than the prior has.
 */
export function requirePairs(op: string, prior: Prior, simulations: Pairs): Required<Pairs> {
  requireRecord(op, 'simulations', simulations, '{ theta, x }');
  const theta = requireHostArray(op, 'theta', simulations.theta);
  const x = requireHostArray(op, 'x', simulations.x);
  if (theta.shape.length !== 2 || theta.shape[1] !== prior.size) {
    throw new ShapeError(
      `${op}: theta is ${formatShape(theta.shape)}; expected [N, ${prior.size}], the parameters of the prior.`,
    );
  }
  if (x.shape[0] !== theta.shape[0] || x.shape.length < 2) {
    throw new ShapeError(
      `${op}: theta is ${formatShape(theta.shape)} and x ${formatShape(x.shape)}; expected as many observations [N, …] as ` +
        'parameters.',
    );
  }
  const at = x.data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    const each = x.data.length / x.shape[0]!;
    throw new ValueError(
      `${op}: x is ${x.data[at]} in row ${Math.floor(at / each)}, column ${at % each} (both from 0); expected finite ` +
        'numbers. Leave such rows out, of theta as well, as simulate does.',
    );
  }
  const outside = prior.contains(theta).indexOf(false);
  if (outside >= 0) {
    const row = theta.data.subarray(outside * prior.size, (outside + 1) * prior.size);
    throw new ValueError(
      `${op}: row ${outside} of theta, ${row.join(', ')}, is outside of the prior's support; expected parameters that were ` +
        'drawn from this prior.',
    );
  }
  requireVariety(op, theta);
  requireDigits(op, theta);
  return { theta, x, failures: requireFailures(op, simulations.failures) };
}

/** @throws ValueError for what `simulate` does not give. */
function requireFailures(op: string, failures: readonly SimulationFailure[] = []) {
  requireList(op, 'failures', failures, 'a list, such as that of simulate');
  for (const [i, failure] of failures.entries()) {
    requireRecord(op, `failures[${i}]`, failure, '{ index, theta, reason, message }');
    requireOneOf(op, `failures[${i}].reason`, failure.reason, failureReasons);
  }
  return failures;
}

/** Steps of numbers at least between the least and the largest. */
const leastSteps = 100;

/** @throws ValueError for parameters so large, and so much alike, that rounding to the element type leaves little of them. */
function requireDigits(op: string, { shape, data }: HostArray): void {
  const { dtype } = currentPlacement();
  const size = shape[1]!;
  for (let c = 0; c < size; c++) {
    const column = data.filter((_, i) => i % size === c).sort();
    const [least, largest] = [column[0]!, column.at(-1)!];
    const most = roundTo(dtype, Math.max(-least, largest));
    if (largest - least >= leastSteps * (nextAbove(dtype, most) - most)) continue;
    throw new ValueError(
      `${op}: column ${c} of theta is from ${least} to ${largest}, of which ${dtype} has but a few digits; expected parameters ` +
        'of which a number in the middle is subtracted, and a prior of these.',
    );
  }
}

/** @throws ValueError for a single row, and for a parameter that is the same in all rows: it has no density. */
function requireVariety(op: string, { shape, data }: HostArray): void {
  const [count, size] = [shape[0]!, shape[1]!];
  if (count < 2) throw new ValueError(`${op}: there is 1 simulation; expected at least 2.`);
  for (let c = 0; c < size; c++) {
    let row = 1;
    while (row < count && data[row * size + c] === data[c]) row += 1;
    if (row < count) continue;
    throw new ValueError(
      `${op}: column ${c} of theta is ${data[c]} in all ${count} rows; expected parameters that vary. Leave out what is known.`,
    );
  }
}
