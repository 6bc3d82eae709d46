/**
 * Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).
 * Mathematics: docs/math/train/adam.md
 */
import {
  type AdamSettings,
  adamUpdate,
  requireFinite,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import type { StepOptions } from './optimizer.ts';
import { type Moved, RememberingOptimizer, requireNoRate } from './remembering-optimizer.ts';

/** The constants of Adam. */
export interface AdamOptions {
  /** Decay of the mean of gradients, in [0, 1). Default: 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients, in [0, 1). Default: 0.999. */
  readonly beta2?: number;
  /** Keeps the divisor away from 0. Default: 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², and in update t
 * p ← p − rate · (m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε). The moments m and v of a parameter are made
 * in its first update and take twice its memory. In a state they are `m/<name>` and `v/<name>`.
 *
 * @example
 * const optimizer = new Adam({ beta2: 0.99 });
 * optimizer.step(network.parameters, { learningRate: 1e-3 });
 */
export class Adam extends RememberingOptimizer<'m' | 'v'> {
  readonly name: string = 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: AdamOptions = {}) {
    super('Adam', ['m', 'v']);
    requireNoRate('Adam', options);
    requireOptions('Adam', options, ['beta1', 'beta2', 'epsilon']);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
    for (const [name, value] of Object.entries({ beta1, beta2, epsilon })) {
      requireFinite('Adam', name, value);
    }
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && epsilon > 0)) {
      throw new ValueError(
        `Adam: beta1 ${beta1}, beta2 ${beta2}, epsilon ${epsilon}; expected the betas in [0, 1) ` +
          'and epsilon above 0.',
      );
    }
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
  }

  protected move(moved: readonly Moved<'m' | 'v'>[], options: Required<StepOptions>): void {
    const updates = moved.map(({ p, grad, memory }) => ({
      ...memory,
      step: memory.step + 1,
      target: p.data,
      grad,
    }));
    adamUpdate(updates, this.settings(options));
  }

  /** The constants of an update. */
  protected settings(options: Required<StepOptions>): AdamSettings {
    const { beta1, beta2, epsilon } = this;
    return { ...options, beta1, beta2, epsilon };
  }
}
