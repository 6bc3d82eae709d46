/**
 * Continuous flows that are trained by maximum likelihood (FFJORD; Grathwohl et al., "FFJORD: free-form continuous
 * dynamics for scalable reversible generative models", 2019), by a rule that makes them flows of their own for any
 * number of steps. Mathematics: docs/math/continuous/midpoint-flow.md
 */
import { formatValue, RandomStream, type Shape, ValueError } from '@invnet/tensor';
import { Composite } from '../combinators/composite.ts';
import { Sequential } from '../combinators/sequential.ts';
import { requireModuleOptions, requireRepeats } from '../core/checks.ts';
import { requireSamples } from '../core/sample-shape.ts';
import { activeStep } from '../core/training-step.ts';
import type { BlockAt } from '../residual/lipschitz-block.ts';
import { blocksPerDraw, type FoundLogDeterminant, signs } from '../residual/log-determinant.ts';
import { Counter } from '../tree/buffer.ts';
import { checkedDivergence, type DivergenceOptions, divergenceOptions } from './divergence.ts';
import { estimatedMidpoint, exactMidpoint } from './midpoint-log-determinant.ts';
import { MidpointStep } from './midpoint-step.ts';
import { SmoothField } from './smooth-field.ts';

/** Options of `MidpointFlow`. */
export interface MidpointFlowOptions extends DivergenceOptions {
  /** v, from the base at time 0 to the data at time 1. */
  readonly field: SmoothField;
  /** Steps of the midpoint rule. Default: 16. */
  readonly steps?: number;
  /** More iterations than this in a step are an error. Default: 1000. */
  readonly maxIterations?: number;
}

/**
 * x → z along a velocity field from time 1 to 0, by steps x′ = x + h v((x + x′)/2) of the implicit midpoint rule: a
 * bijection in itself, whose inverse, log-determinant and gradients are exact for any number of steps, and whose memory
 * is that of one. It is of second order: what the number of steps changes is the flow, by the square of their length.
 *
 * With `divergence: 'hutchinson'` the log-determinant is an estimate by h⟨ε, Jε⟩ with signs ε, the same in all steps of a
 * call and in both directions; each training step draws anew (`draws`). Its gradient is that of the estimate.
 *
 * @example
 * const field = new SmoothField({ channels: 2, random });
 * const flow = new Flow({ network: new MidpointFlow({ field, steps: 12 }) });
 * using loss = negativeLogLikelihood(flow, x);
 */
export class MidpointFlow extends Composite {
  static readonly type: string = 'MidpointFlow';
  readonly field: SmoothField;
  /** How many training steps have drawn signs; none where the log-determinant is exact. */
  readonly draws: Counter | undefined;
  readonly #options: Omit<MidpointFlowOptions, 'field' | 'random'> & {
    readonly steps: number;
    readonly maxIterations: number;
  };
  #steps: { readonly field: SmoothField; readonly whole: Sequential } | undefined;

  /** @throws ValueError for another field, and options out of range. */
  constructor(options: MidpointFlowOptions) {
    super();
    const names = ['field', 'steps', 'maxIterations', ...divergenceOptions];
    requireModuleOptions('MidpointFlow', options, names);
    const { field, steps = 16, maxIterations = 1000, ...rest } = options;
    if (!(field instanceof SmoothField)) {
      throw new ValueError(
        `MidpointFlow: field is ${formatValue(field)}; expected a SmoothField, which can be differentiated twice. ` +
          'Other fields are for ContinuousFlow.',
      );
    }
    requireRepeats('MidpointFlow', 'steps', steps);
    requireRepeats('MidpointFlow', 'maxIterations', maxIterations);
    const by = checkedDivergence('MidpointFlow', rest);
    this.field = field;
    this.draws = by.divergence === 'hutchinson' ? new Counter('draws') : undefined;
    this.#options = { steps, maxIterations, ...by };
  }

  get options() {
    return { field: this.field, ...this.#options };
  }

  protected get whole(): Sequential {
    // A field that was replaced has steps of its own; else they are the same ones, by which calls are kept.
    if (this.#steps?.field !== this.field) {
      this.#steps = { field: this.field, whole: this.#stepsOf(this.field) };
    }
    return this.#steps.whole;
  }

  protected override applyShape(x: Shape): Shape {
    return requireSamples('MidpointFlow', x, [this.field.channels]);
  }

  protected override invertShape(y: Shape): Shape {
    return this.applyShape(y);
  }

  #stepsOf(field: SmoothField): Sequential {
    const { steps, maxIterations } = this.#options;
    const logdet = (block: BlockAt, half: number) => this.#logdet(block, half);
    const half = -1 / (2 * steps);
    const each = Array.from({ length: steps }, (_, i) => {
      const time = 1 - (i + 0.5) / steps;
      return new MidpointStep({ field, time, half, maxIterations, logdet });
    });
    return new Sequential(each);
  }

  #logdet(block: BlockAt, half: number): FoundLogDeterminant {
    const { draws } = this;
    const { seed } = this.#options;
    if (!draws || seed === undefined) return exactMidpoint(block, half);
    if (this.training) activeStep()?.noteDraw(draws);
    const stream = new RandomStream(seed, draws.value * blocksPerDraw);
    return estimatedMidpoint(block, half, signs(block.x, stream));
  }
}
