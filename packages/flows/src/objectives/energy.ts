/**
 * Energies: unnormalized densities as flows are fitted to them, and the checks of what an energy says. Left out:
 * energies themselves, which are the caller's. Mathematics: docs/math/flows/objectives.md
 */
import {
  add,
  BackendError,
  formatShape,
  InvNetError,
  mul,
  type NumericArray,
  neg,
  requireFunction,
  requireRecord,
  requireTensor,
  type Shape,
  ShapeError,
  sumPerSample,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';

/**
 * U(x) = −log p̃(x), the negative logarithm of a density that need not be normalized: p(x) = e^(−U(x))/Z. So a low
 * energy is a likely x. For a posterior, U is the misfit to what was seen minus the log-density of the prior.
 *
 * Both methods dispose nothing that they are given; what they return is freed by the caller.
 *
 * @example
 * const normal: Energy = {
 *   value: (x) => affine(sumPerSample(square(x)), 0.5), // Z = √(2π)^D
 *   withGradient: (x) => ({ value: normal.value(x), gradient: x }),
 * };
 */
export interface Energy {
  /** U(x) of each sample, [N]; +∞ where x cannot be. */
  value(x: Tensor): Tensor;
  /** U(x) and ∇U(x), of x's shape: they share most of their work. */
  withGradient(x: Tensor): { readonly value: Tensor; readonly gradient: Tensor };
}

/** A density with its gradient, normalized or not, such as `banana()` and `funnel()` of `@invnet/datasets`. */
export interface LogDensity {
  /** log p̃(x) of each sample, [N]. */
  logDensity(x: Tensor): Tensor;
  /** ∇ log p̃(x), of x's shape. */
  score(x: Tensor): Tensor;
}

/**
 * The energy of a density: U = −log p̃.
 *
 * @throws ValueError unless it has both methods.
 * @example const loss = reverseKL(flow, energyOf(banana()), { shape: [256, 2], seed: random });
 */
export function energyOf(density: LogDensity): Energy {
  requireRecord('energyOf', 'density', density, '{ logDensity, score }');
  requireFunction('energyOf', 'logDensity', density.logDensity);
  requireFunction('energyOf', 'score', density.score);
  const minus = (x: Tensor, method: 'logDensity' | 'score') =>
    tidy(() => neg(requireTensor('energyOf', density[method](x), `what ${method} gave`)));
  const value = (x: Tensor) => minus(x, 'logDensity');
  return { value, withGradient: (x) => ({ value: value(x), gradient: minus(x, 'score') }) };
}

/** An energy, or its gradient, is NaN or infinite for some samples. */
export class NonFiniteEnergyError extends InvNetError {
  override name = 'NonFiniteEnergyError';
  /** How many samples. */
  readonly count: number;
  /** Of how many. */
  readonly samples: number;

  constructor(op: string, count: number, samples: number, expected: string) {
    super(
      `${op}: the energy or its gradient is not finite for ${count} of ${samples} samples; expected ${expected}.`,
    );
    this.count = count;
    this.samples = samples;
  }
}

/** @throws ValueError unless it has the methods of an energy. */
export function requireEnergy(op: string, energy: Energy): void {
  requireRecord(op, 'energy', energy, '{ value, withGradient }, or energyOf(…)');
  requireFunction(op, "the energy's value", energy.value);
  requireFunction(op, "the energy's withGradient", energy.withGradient);
}

/** U(x). @throws ShapeError unless it is [N]. */
export function energyAt(op: string, energy: Energy, x: Tensor): Tensor {
  const value = requireTensor(op, energy.value(x), 'the energy');
  requireEnergyShape(op, 'the energy', value.shape, [x.shape[0]!]);
  return value;
}

/** U(x) and ∇U(x). @throws ShapeError unless they are [N] and of the shape of x. */
export function slopeAt(op: string, energy: Energy, x: Tensor) {
  const found = energy.withGradient(x);
  requireRecord(op, 'what withGradient gave', found, '{ value, gradient }');
  const value = requireTensor(op, found.value, 'the energy');
  requireEnergyShape(op, 'the energy', value.shape, [x.shape[0]!]);
  const gradient = requireTensor(op, found.gradient, 'the gradient of the energy');
  requireEnergyShape(op, 'the gradient of the energy', gradient.shape, x.shape);
  return { value, gradient };
}

function requireEnergyShape(op: string, what: string, found: Shape, expected: Shape): void {
  if (formatShape(found) === formatShape(expected)) return;
  throw new ShapeError(
    `${op}: ${what} is ${formatShape(found)}; expected ${formatShape(expected)}.`,
  );
}

/** One number per sample, [N], that is finite where the energy and its gradient are. */
export function finiteness(value: Tensor, gradient: Tensor): Tensor {
  return tidy(() => add(value, sumPerSample(mul(gradient, zeros([1], gradient)))));
}

/** @throws NonFiniteEnergyError unless all numbers are finite. */
export function requireFiniteEnergies(op: string, values: NumericArray): void {
  const count = values.filter((v) => !Number.isFinite(v)).length;
  if (count === 0) return;
  throw new NonFiniteEnergyError(
    op,
    count,
    values.length,
    'finite ones for all that the flow samples: bound the samples by a last layer such as Box, or the energy',
  );
}

/** As `requireFiniteEnergies`, where the backend reads at once; elsewhere the loss tells. */
export function requireFiniteNow(op: string, value: Tensor, gradient: Tensor): void {
  using check = finiteness(value, gradient);
  let values: NumericArray;
  try {
    values = check.dataSync();
  } catch (error) {
    if (error instanceof BackendError) return;
    throw error;
  }
  requireFiniteEnergies(op, values);
}
