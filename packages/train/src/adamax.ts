/**
 * Adamax (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, section 7.1).
 * Mathematics: docs/math/train/adamax.md
 */
import {
  abs,
  accumulate,
  affine,
  assign,
  div,
  maximum,
  requireAtLeast,
  requireBetween,
  requireOptions,
} from '@invnet/tensor';
import type { StepOptions } from './optimizer.ts';
import { type Moved, RememberingOptimizer, requireNoRate } from './remembering-optimizer.ts';

/** The constants of `Adamax`. */
export interface AdamaxOptions {
  /** Decay of the mean of gradients, in [0, 1). Default: 0.9. */
  readonly beta1?: number;
  /** Decay of the largest gradient, in [0, 1). Default: 0.999. */
  readonly beta2?: number;
  /** Keeps the divisor away from 0. Default: 1e-8. */
  readonly epsilon?: number;
}

/**
 * Adam with the largest gradient in place of the root of the mean square: m ← β₁m + (1 − β₁)g, u ← max(β₂u, |g| + ε), and
 * in update t p ← p − rate/(1 − β₁ᵗ) · m/u. m and u are made in a parameter's first update and take twice its memory.
 * In a state they are `m/<name>` and `u/<name>`.
 *
 * @example
 * const optimizer = new Adamax();
 * optimizer.step(network.parameters, { learningRate: 2e-3 });
 */
export class Adamax extends RememberingOptimizer<'m' | 'u'> {
  readonly name = 'adamax';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: AdamaxOptions = {}) {
    super('Adamax', ['m', 'u']);
    requireNoRate('Adamax', options);
    requireOptions('Adamax', options, ['beta1', 'beta2', 'epsilon']);
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
    for (const [name, value] of Object.entries({ beta1, beta2 })) {
      requireAtLeast('Adamax', name, value, 0);
      requireBetween('Adamax', name, value, -1, 1);
    }
    requireBetween('Adamax', 'epsilon', epsilon, 0);
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.epsilon = epsilon;
  }

  protected move(
    moved: readonly Moved<'m' | 'u'>[],
    { learningRate, gradientScale }: Required<StepOptions>,
  ): void {
    const { beta1, beta2, epsilon } = this;
    // All is computed before anything is moved, so that an error moves nothing.
    const next = moved.map(({ grad, memory }) => {
      const m = affine(memory.m, beta1);
      accumulate(m, grad, (1 - beta1) * gradientScale);
      const size = affine(abs(grad), Math.abs(gradientScale), epsilon);
      const u = maximum(affine(memory.u, beta2), size);
      return { m, u, direction: div(m, u) };
    });
    moved.forEach(({ p, memory }, i) => {
      const { m, u, direction } = next[i]!;
      accumulate(p.data, direction, -learningRate / (1 - beta1 ** (memory.step + 1)));
      assign(memory.m, m);
      assign(memory.u, u);
    });
  }
}
