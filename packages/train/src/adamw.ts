/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
 * Mathematics: docs/math/train/adam.md
 */
import { type Parameter, requireParameters } from '@invnet/layers';
import { requireAtLeast, requireOptions } from '@invnet/tensor';
import { Adam, type AdamOptions } from './adam.ts';
import { requireStepOptions, type StepOptions } from './optimizer.ts';
import { requireNoRate } from './remembering-optimizer.ts';

/** The constants of `AdamW`. */
export interface AdamWOptions extends AdamOptions {
  /** λ: each update shrinks a parameter by rate · λ of it. Default: 0.01. */
  readonly weightDecay?: number;
}

/**
 * Adam's update of p, and − rate · λp beside it: the decay does not pass through the moments. The memory is Adam's.
 *
 * @example
 * const optimizer = new AdamW({ weightDecay: 0.05 });
 * optimizer.step(network.parameters, { learningRate: 1e-3 });
 */
export class AdamW extends Adam {
  override readonly name = 'adamw';
  readonly weightDecay: number;

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: AdamWOptions = {}) {
    requireNoRate('AdamW', options);
    requireOptions('AdamW', options, ['beta1', 'beta2', 'epsilon', 'weightDecay']);
    const { weightDecay = 0.01, ...adam } = options;
    requireAtLeast('AdamW', 'weightDecay', weightDecay, 0);
    super(adam);
    this.weightDecay = weightDecay;
  }

  override step(parameters: readonly Parameter[], options: StepOptions): void {
    requireParameters('AdamW.step', parameters);
    requireStepOptions('AdamW.step', options);
    super.step(parameters, options);
  }

  protected override settings(options: Required<StepOptions>) {
    const targetScale = 1 - options.learningRate * this.weightDecay;
    return { ...super.settings(options), targetScale };
  }
}
