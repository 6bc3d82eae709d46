/** What checks report, and the numbers that they compare by. */
import {
  InvNetError,
  RandomStream,
  requireAtLeast,
  requireBetween,
  requireList,
  requireOptions,
  requireTensor,
  type Tensor,
} from '@invnet/tensor';

/** Largest errors that pass, relative to the size of what is compared. */
export interface Tolerances {
  /** Inverse of forward, forward of inverse, and the input that backward recomputes. */
  readonly roundTrip: number;
  /** log-determinant against that of the full Jacobian. */
  readonly logdet: number;
  /** Gradients and tangents against central differences. */
  readonly derivative: number;
  /** ⟨Jv, w⟩ against ⟨v, Jᵀw⟩. */
  readonly adjoint: number;
  /**
   * Steps of the central differences, of which the best counts: a long one may cross the kink of a
   * ReLU, a short one loses digits, and a wrong derivative fails with all of them.
   */
  readonly steps: readonly number[];
}

/** What float64 reaches. */
export const float64Tolerances: Tolerances = {
  roundTrip: 1e-10,
  logdet: 1e-8,
  derivative: 1e-6,
  adjoint: 1e-11,
  steps: [1e-6, 1e-7, 1e-5],
};

/** The tolerances, those of float64 where others are not given. @throws ValueError for options of another name. */
export function checkedOptions(
  op: string,
  options: {
    readonly tolerances?: Partial<Tolerances>;
    readonly seed?: number;
    readonly x: Tensor;
  },
): { readonly tolerances: Tolerances; readonly random: () => RandomStream } {
  requireOptions(op, options, ['x', 'context', 'tolerances', 'seed']);
  const { tolerances: given = {}, seed = 0 } = options;
  requireTensor(op, options.x, 'x');
  requireOptions(`${op}, tolerances`, given, Object.keys(float64Tolerances));
  const tolerances = { ...float64Tolerances, ...given };
  const { steps, ...errors } = tolerances;
  for (const [name, value] of Object.entries(errors)) requireAtLeast(op, name, value, 0);
  requireList(op, 'steps', steps);
  for (const h of steps) requireBetween(op, 'a step', h, 0);
  const first = new RandomStream(seed);
  return { tolerances, random: () => RandomStream.from(first.state) };
}

/** One line of a report. */
export interface CheckResult {
  readonly name: string;
  readonly error: number;
  readonly tolerance: number;
  readonly passed: boolean;
}

/** Something failed its checks; the message is the table of all of them. */
export class CheckError extends InvNetError {
  override name = 'CheckError';
}

/** @throws CheckError with all results when one of them failed. */
export function throwIfFailed(what: string, results: readonly CheckResult[]): void {
  if (results.every((r) => r.passed)) return;
  const lines = results.map(
    (r) =>
      `${r.passed ? 'ok    ' : 'FAILED'} ${r.name}: error ${r.error.toExponential(1)}, ` +
      `tolerance ${r.tolerance.toExponential(0)}`,
  );
  throw new CheckError([`The ${what} breaks its contract:`, ...lines].join('\n'));
}

/** Numbers in any array. */
export type Numbers = ArrayLike<number> & Iterable<number>;

/** max|a − b| relative to the largest |b|, or to `floor` if that is larger. */
export function distance(a: Numbers, b: Numbers, floor = 1e-3): number {
  let difference = 0;
  let size = floor;
  const right = Array.from(b);
  Array.from(a).forEach((v, i) => {
    const gap = Math.abs(v - right[i]!);
    if (Number.isNaN(gap) || gap > difference) difference = gap;
    size = Math.max(size, Math.abs(right[i]!));
  });
  return difference / size;
}

export function dot(a: Numbers, b: Numbers): number {
  const right = Array.from(b);
  return Array.from(a).reduce((sum, v, i) => sum + v * right[i]!, 0);
}

export function norm(a: Numbers): number {
  return Array.from(a).reduce((size, v) => Math.hypot(size, v), 0);
}
