/**
 * Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).
 * Mathematics: docs/math/train/adam.md
 */
import { type Parameter, requireParameters } from '@invnet/layers';
import { adamUpdate, requireFinite, requireOptions, ValueError } from '@invnet/tensor';
import { Memories, requireNoRate } from './memories.ts';
import {
  type Optimizer,
  type OptimizerState,
  requireStepOptions,
  type StepOptions,
} from './optimizer.ts';

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
 * in its first update and take twice its memory.
 *
 * @example
 * const optimizer = new Adam({ beta2: 0.99 });
 * optimizer.step(network.parameters, { learningRate: 1e-3 });
 */
export class Adam implements Optimizer {
  readonly name: string = 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly #moments = new Memories('Adam', ['m', 'v']);

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: AdamOptions = {}) {
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

  step(parameters: readonly Parameter[], options: StepOptions): void {
    requireParameters('Adam.step', parameters);
    const settings = requireStepOptions('Adam.step', options);
    const { beta1, beta2, epsilon } = this;
    this.#moments.update(parameters, (moved) => {
      const updates = moved.map(({ p, grad, memory }) => ({
        ...memory,
        step: memory.step + 1,
        target: p.data,
        grad,
      }));
      adamUpdate(updates, { ...settings, beta1, beta2, epsilon });
    });
  }

  /** For each parameter that was updated: `m/<name>`, `v/<name>` and the count `step/<name>`. */
  state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    return this.#moments.state(parameters);
  }

  load(state: OptimizerState, parameters: readonly Parameter[]): void {
    this.#moments.load(state, parameters);
  }

  dispose(): void {
    this.#moments.dispose();
  }
}
