/** What the training loop and the checkpoints ask of an optimizer. */
import type { Parameter } from '@invnet/layers';
import { requireFinite, requireFunction, requireOptions } from '@invnet/tensor';
import type { HostTensor } from './safetensors.ts';

/** @throws ValueError unless it is an optimizer. */
export function requireOptimizer(op: string, optimizer: Optimizer): void {
  for (const method of ['step', 'state', 'load'] as const) {
    const expected = 'a function, as of new Adam()';
    requireFunction(op, `the optimizer's ${method}`, optimizer?.[method], expected);
  }
}

/** What goes with one update. */
export interface StepOptions {
  readonly learningRate: number;
  /** Multiplies every gradient before use; see `clipFactor`. Default: 1. */
  readonly gradientScale?: number;
}

/** The options of a step with their defaults. @throws ValueError for numbers that are not finite. */
export function requireStepOptions(op: string, options: StepOptions): Required<StepOptions> {
  requireOptions(op, options, ['learningRate', 'gradientScale']);
  const { learningRate, gradientScale = 1 } = options;
  requireFinite(op, 'learningRate', learningRate);
  requireFinite(op, 'gradientScale', gradientScale);
  return { learningRate, gradientScale };
}

/** All that an optimizer remembers, as named arrays on the host. */
export type OptimizerState = ReadonlyMap<string, HostTensor>;

/**
 * A rule that moves parameters by their gradients. Parameters that are frozen or have no gradient
 * stay where they are, and so does what the optimizer remembers of them.
 */
export interface Optimizer {
  /** What its state is filed under, such as `adam`. */
  readonly name: string;
  /** Updates all parameters in place. Their gradients stay as they are. */
  step(parameters: readonly Parameter[], options: StepOptions): void;
  /** What it remembers of these parameters, copied to the host. */
  state(parameters: readonly Parameter[]): Promise<OptimizerState>;
  /**
   * Replaces what it remembers of these parameters, all or nothing.
   * @throws CheckpointError when the state does not fit them. @throws OutOfMemoryError
   */
  load(state: OptimizerState, parameters: readonly Parameter[]): void;
  /** Frees its tensors. */
  dispose(): void;
}
