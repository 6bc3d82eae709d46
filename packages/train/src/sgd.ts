/**
 * Stochastic gradient descent with momentum (Polyak, 1964; Nesterov, 1983; in the form of Sutskever et al.,
 * "On the importance of initialization and momentum in deep learning", 2013).
 * Mathematics: docs/math/train/sgd.md
 */
import {
  accumulate,
  affine,
  assign,
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireOptions,
} from '@invnet/tensor';
import type { StepOptions } from './optimizer.ts';
import { type Moved, RememberingOptimizer, requireNoRate } from './remembering-optimizer.ts';

/** The constants of `Sgd`. */
export interface SgdOptions {
  /** How much of the last direction is kept, in [0, 1). Default: 0.9. */
  readonly momentum?: number;
  /** Looks a step ahead along the direction. Default: false. */
  readonly nesterov?: boolean;
  /** λ of the penalty λ‖p‖²/2 on all parameters. Default: 0. */
  readonly weightDecay?: number;
}

/**
 * v ← μv + g + λp and p ← p − rate · v; with Nesterov's step p ← p − rate · (g + λp + μv). The direction v of a
 * parameter is made in its first update and takes its memory once. In a state it is `v/<name>`.
 *
 * @example
 * const optimizer = new Sgd({ momentum: 0.9, weightDecay: 1e-4 });
 * optimizer.step(network.parameters, { learningRate: 0.1 });
 */
export class Sgd extends RememberingOptimizer<'v'> {
  readonly name = 'sgd';
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: SgdOptions = {}) {
    super('Sgd', ['v']);
    requireNoRate('Sgd', options);
    requireOptions('Sgd', options, ['momentum', 'nesterov', 'weightDecay']);
    const { momentum = 0.9, nesterov = false, weightDecay = 0 } = options;
    requireAtLeast('Sgd', 'momentum', momentum, 0);
    requireBetween('Sgd', 'momentum', momentum, -1, 1);
    requireBoolean('Sgd', 'nesterov', nesterov);
    requireAtLeast('Sgd', 'weightDecay', weightDecay, 0);
    this.momentum = momentum;
    this.nesterov = nesterov;
    this.weightDecay = weightDecay;
  }

  protected move(
    moved: readonly Moved<'v'>[],
    { learningRate, gradientScale }: Required<StepOptions>,
  ): void {
    const { momentum, nesterov, weightDecay } = this;
    // All is computed before anything is moved, so that an error moves nothing.
    const next = moved.map(({ p, grad, memory }) => {
      const v = affine(memory.v, momentum);
      accumulate(v, grad, gradientScale);
      if (weightDecay !== 0) accumulate(v, p.data, weightDecay);
      return v;
    });
    moved.forEach(({ p, grad, memory }, i) => {
      if (nesterov) {
        const decay = -learningRate * weightDecay;
        if (decay !== 0) assign(p.data, affine(p.data, 1 + decay));
        accumulate(p.data, grad, -learningRate * gradientScale);
        accumulate(p.data, next[i]!, -learningRate * momentum);
      } else {
        accumulate(p.data, next[i]!, -learningRate);
      }
      assign(memory.v, next[i]!);
    });
  }
}
