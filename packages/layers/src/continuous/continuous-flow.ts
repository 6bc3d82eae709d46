/**
 * Flows along a velocity field (Chen et al., "Neural ordinary differential equations", 2018; Lipman et al., "Flow matching
 * for generative modeling", 2023): densities and samples. Mathematics: docs/math/continuous/continuous-flow.md
 *
 * Left out: derivatives of fields that are differentiated once. Such are trained by `flowMatching`, which needs none of the
 * flow.
 */
import {
  formatValue,
  RandomStream,
  requireBetween,
  requireOneOf,
  type Shape,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireRepeats } from '../core/checks.ts';
import type { Tangent } from '../core/tangent.ts';
import { logdetIsRead } from '../core/without-logdet.ts';
import { signs } from '../residual/log-determinant.ts';
import { type Route, solvedAlong, solvedBack } from './adjoint.ts';
import {
  checkedDivergence,
  type DivergenceOptions,
  divergenceOptions,
  unitProbes,
} from './divergence.ts';
import { type Derivative, dormandPrince, rungeKutta4, type Span } from './runge-kutta.ts';
import { SmoothField } from './smooth-field.ts';
import { VelocityField } from './velocity-field.ts';

/** Options of `ContinuousFlow`. */
export interface ContinuousFlowOptions extends DivergenceOptions {
  /** v, from the base at time 0 to the data at time 1. */
  readonly field: VelocityField;
  /**
   * `dormandPrince` chooses steps by its tolerances; `rungeKutta4` takes equal ones, as a device that computes later needs it.
   * Default: `dormandPrince`.
   */
  readonly solver?: 'dormandPrince' | 'rungeKutta4';
  /** Error of a step of `dormandPrince` relative to the numbers; of log-determinants it may be a hundred times that. Default: 1e-5. */
  readonly relativeTolerance?: number;
  /** The same for numbers close to 0. Default: 1e-5. */
  readonly absoluteTolerance?: number;
  /** Steps of `rungeKutta4`; of `dormandPrince`, more are an error. Default: 20, or 1000. */
  readonly steps?: number;
}

const towardsBase: Span = { from: 1, to: 0 };
const towardsData: Span = { from: 0, to: 1 };

const byTolerance = ['relativeTolerance', 'absoluteTolerance'];

/**
 * x → z along dx/dt = v(x, t, context) from time 1 to 0, logdet = ∫ div v dt. Both directions are solutions of a
 * differential equation, so they undo each other up to the solver's error, in memory that does not grow with its steps; a
 * flow's samples spare the divergence.
 *
 * For a `SmoothField` its derivatives are solutions too, of equations beside, and as exact as those; for other fields they are
 * refused. `MidpointFlow` has exact ones, and trains faster.
 *
 * @example
 * const field = new ConditionerField({ channels: 2, hidden: 128 });
 * const flow = new Flow({ network: new ContinuousFlow({ field }) });
 * using loss = flowMatching(flow, { x, random }); // of @invnet/flows
 * using samples = flow.sample({ shape: [1000, 2], seed: 1 });
 */
export class ContinuousFlow extends Bijection {
  static readonly type: string = 'ContinuousFlow';
  readonly field: VelocityField;
  readonly #options: Omit<ContinuousFlowOptions, 'field' | 'random'>;
  readonly #solve: (f: Derivative, start: readonly Tensor[], span: Span) => readonly Tensor[];

  /** @throws ValueError for what is no field, options out of range, and those that the solver does not have. */
  constructor(options: ContinuousFlowOptions) {
    super();
    const names = ['field', 'solver', 'steps', ...byTolerance, ...divergenceOptions];
    requireModuleOptions('ContinuousFlow', options, names);
    const { field, solver = 'dormandPrince' } = options;
    if (!(field instanceof VelocityField)) {
      throw new ValueError(
        `ContinuousFlow: field is ${formatValue(field)}; expected a VelocityField, such as a ConditionerField.`,
      );
    }
    requireOneOf('ContinuousFlow', 'solver', solver, ['dormandPrince', 'rungeKutta4']);
    const { steps = solver === 'dormandPrince' ? 1000 : 20 } = options;
    const { relativeTolerance = 1e-5, absoluteTolerance = 1e-5 } = options;
    requireRepeats('ContinuousFlow', 'steps', steps);
    requireBetween('ContinuousFlow', 'relativeTolerance', relativeTolerance, 0, 1);
    requireBetween('ContinuousFlow', 'absoluteTolerance', absoluteTolerance, 0);
    const by = checkedDivergence('ContinuousFlow', options);
    this.field = field;
    /** Rounding may take a time beyond the span. */
    const within =
      (f: Derivative): Derivative =>
      (t, y) =>
        f(Math.min(1, Math.max(0, t)), y);
    if (solver === 'rungeKutta4') {
      for (const name of byTolerance) {
        if (!(name in options)) continue;
        throw new ValueError(
          `ContinuousFlow: ${name} is given, and solver 'rungeKutta4' has none; expected steps alone.`,
        );
      }
      this.#options = { solver, steps, ...by };
      this.#solve = (f, start, span) => rungeKutta4(within(f), start, span, steps);
      return;
    }
    this.#options = { solver, relativeTolerance, absoluteTolerance, steps, ...by };
    const accuracy = { relativeTolerance, absoluteTolerance, maxSteps: steps };
    this.#solve = (f, start, span) =>
      dormandPrince('ContinuousFlow', within(f), start, span, accuracy);
  }

  get options() {
    return { field: this.field, ...this.#options };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const [y, logdet] = this.#followed(x, context, towardsBase);
    return { y: y!, logdet };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const [x, logdet] = this.#followed(y, context, towardsData);
    return { x: x!, logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet, context }: BackwardOptions) {
    const route = this.#route('backward', y, context);
    return solvedBack(route, y, dy, { dlogdet, span: towardsData });
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet, context }: BackwardOptions) {
    const route = this.#route('backwardInverse', x, context);
    const back = solvedBack(route, x, dx, { dlogdet, span: towardsBase });
    const { x: y, dx: dy, ...rest } = back;
    return { y, dy, ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    return solvedAlong(this.#route('jvp', x, context), x, tangent, towardsBase);
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const route = this.#route('jvpInverse', y, context);
    const { y: x, dy: dx, ...rest } = solvedAlong(route, y, tangent, towardsData);
    return { x, dx, ...rest };
  }

  protected override applyShape(x: Shape): Shape {
    const [n, channels, ...size] = requireChannels('ContinuousFlow', x, this.field.channels);
    this.field.outputShape([n!, channels! + 1, ...size]);
    return x;
  }

  /** The state and, where it is read, the log-determinant at the end of the span. */
  #followed(x: Tensor, context: Tensor | undefined, span: Span): readonly Tensor[] {
    const { field } = this;
    if (!logdetIsRead()) {
      return this.#solve((t, [state]) => [field.velocity(state!, t, context)], [x], span);
    }
    const probes = this.#probes(x);
    const f: Derivative = (t, [state]) => {
      const { velocity, divergence } = field.rate(state!, t, probes(), context);
      return [velocity, divergence];
    };
    return this.#solve(f, [x, zeros([x.shape[0]!], x)], span);
  }

  #probes(x: Tensor): () => Iterable<Tensor> {
    const { seed } = this.#options;
    if (seed === undefined) return () => unitProbes(x);
    const probe = [signs(x, new RandomStream(seed))];
    return () => probe;
  }

  #route(method: string, x: Tensor, context: Tensor | undefined): Route {
    const { field } = this;
    if (field instanceof SmoothField) {
      return { field, context, probes: this.#probes(x), solve: this.#solve };
    }
    throw new ValueError(
      `ContinuousFlow.${method}: a ${field.type} is differentiated once, and derivatives of a flow with its log-determinant ask for ` +
        'two; expected a SmoothField, or training by flowMatching.',
    );
  }
}
