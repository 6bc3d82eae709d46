/**
 * Stochastic gradient descent with momentum (Polyak, 1964; Nesterov, 1983; in the form of Sutskever et al.,
 * "On the importance of initialization and momentum in deep learning", 2013).
 * Mathematics: docs/math/train/sgd.md
 */
import { type Parameter, requireParameters } from '@invnet/layers';
import {
  accumulate,
  affine,
  assign,
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireOptions,
} from '@invnet/tensor';
import { Memories, requireNoRate } from './memories.ts';
import {
  type Optimizer,
  type OptimizerState,
  requireStepOptions,
  type StepOptions,
} from './optimizer.ts';

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
 * parameter is made in its first update and takes its memory once.
 *
 * @example
 * const optimizer = new Sgd({ momentum: 0.9, weightDecay: 1e-4 });
 * optimizer.step(network.parameters, { learningRate: 0.1 });
 */
export class Sgd implements Optimizer {
  readonly name = 'sgd';
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
  readonly #directions = new Memories('Sgd', ['v']);

  /** @throws ValueError for constants out of range, or a learning rate, which goes with each step. */
  constructor(options: SgdOptions = {}) {
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

  step(parameters: readonly Parameter[], options: StepOptions): void {
    requireParameters('Sgd.step', parameters);
    const { learningRate, gradientScale } = requireStepOptions('Sgd.step', options);
    const { momentum, nesterov, weightDecay } = this;
    this.#directions.update(parameters, (moved) => {
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
    });
  }

  /** For each parameter that was updated: `v/<name>` and the count `step/<name>`. */
  state(parameters: readonly Parameter[]): Promise<OptimizerState> {
    return this.#directions.state(parameters);
  }

  load(state: OptimizerState, parameters: readonly Parameter[]): void {
    this.#directions.load(state, parameters);
  }

  dispose(): void {
    this.#directions.dispose();
  }
}
