/**
 * Velocities that can be differentiated twice, as the gradient of a log-determinant asks for. Mathematics:
 * docs/math/continuous/velocity-field.md
 *
 * Left out: positions. It is for vectors.
 */
import {
  abs,
  add,
  affine,
  concat,
  full,
  maximum,
  minimum,
  mul,
  RandomStream,
  relu,
  requireBetween,
  requireList,
  requireOneOf,
  type Shape,
  sigmoid,
  sigmoidGrad,
  sign,
  split,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { requireModuleOptions, requireSizes, requireWhole } from '../core/checks.ts';
import { requireSamples } from '../core/sample-shape.ts';
import type { Tangent } from '../core/tangent.ts';
import {
  elementwiseLayer,
  type LipschitzActivationName,
  lipschitzFunctions,
  type SmoothFunction,
} from '../residual/lipschitz-activation.ts';
import { BlockAt, EvaluatedBlock } from '../residual/lipschitz-block.ts';
import type { EvaluatedLayer } from '../residual/lipschitz-layer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { type Side, type SideWeights, sideDense } from './side-dense.ts';
import { timeFeatures, timeGradient } from './time-features.ts';
import { VelocityField } from './velocity-field.ts';

/** Options of `SmoothField`. */
export interface SmoothFieldOptions {
  readonly channels: number;
  /** Channels of the context; 0 for none. Default: 0. */
  readonly contextChannels?: number;
  /** Widths of the layers between the first and the last. Default: [64, 64, 64]. */
  readonly hidden?: readonly number[];
  /** How many sines and cosines of the time the layers see. Default: 4 of each. */
  readonly frequencies?: number;
  /** Between the layers. Default: `silu`. */
  readonly activation?: 'silu' | LipschitzActivationName;
  /**
   * How far from 0 numbers of x are told apart: those beyond ±reach count as it, so that velocities are bounded however far a path
   * has gone astray, where layers that grow without bounds would drive it on to infinity. Default: none, any distance.
   */
  readonly reach?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The states between the layers, the side of them, and the slope of the time's features. */
interface SavedSmoothField {
  readonly states: readonly Tensor[];
  readonly side: Tensor;
  readonly slope: Tensor;
}

/** A field at a time and context. */
export interface FieldAt {
  readonly block: EvaluatedBlock;
  /** The context's gradient, of all that was asked of the block; none where there is no context. */
  contextGradient(): Tensor | undefined;
}

const functions: Readonly<Record<'silu' | LipschitzActivationName, SmoothFunction>> = {
  ...lipschitzFunctions,
  silu: {
    apply: (x) => mul(x, sigmoid(x)),
    slope: (x) => {
      const s = sigmoid(x);
      return add(s, sigmoidGrad(s, x));
    },
    bend: (x) => {
      const s = sigmoid(x);
      return sigmoidGrad(s, affine(mul(x, affine(s, -2, 1)), 1, 2));
    },
  },
};

/** x between ±reach, and its end beyond. */
function clipTo(reach: number): SmoothFunction {
  return {
    apply: (x) => maximum(minimum(x, full([], reach, x)), full([], -reach, x)),
    slope: (x) => sign(relu(affine(abs(x), -1, reach))),
    bend: zerosLike,
  };
}

/** Deviation of the last layer's weights relative to the usual one, so that a flow starts near the identity. */
const lastGain = 0.1;

/**
 * v(x, t, c) by dense layers h ↦ f(W h + U (sin πkt, cos πkt, c) + b), the last one without f: a network that sees time and
 * context in each of its layers, with second derivatives written out.
 *
 * @example
 * const field = new SmoothField({ channels: 2, hidden: [64, 64], random });
 * const posterior = new SmoothField({ channels: 5, contextChannels: 8, reach: 10 });
 * const v = field.velocity(x, 0.5); // x [N, 2], v [N, 2]
 */
export class SmoothField extends VelocityField<SavedSmoothField> {
  static readonly type: string = 'SmoothField';
  readonly options: Required<Omit<SmoothFieldOptions, 'random' | 'reach'>> & {
    readonly reach?: number;
  };
  readonly layers: readonly SideWeights[];

  /** @throws ValueError for sizes that are not whole and positive, and activations of other names. */
  constructor(options: SmoothFieldOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'contextChannels', 'hidden', 'frequencies', 'activation', 'reach'];
    requireModuleOptions('SmoothField', options, names);
    const { channels, contextChannels = 0, hidden = [64, 64, 64], frequencies = 4 } = options;
    const { activation = 'silu', reach, random = new RandomStream(0) } = options;
    requireSizes('SmoothField', { channels, frequencies });
    requireWhole('SmoothField', 'contextChannels', contextChannels, 0);
    requireList('SmoothField', 'hidden', hidden);
    hidden.forEach((width, i) => {
      requireWhole('SmoothField', `hidden[${i}]`, width, 1);
    });
    requireOneOf('SmoothField', 'activation', activation, ['silu', 'elu', 'tanh']);
    if (reach !== undefined) requireBetween('SmoothField', 'reach', reach, 0);
    const sizes = { channels, contextChannels, hidden: [...hidden], frequencies, activation };
    this.options = { ...sizes, ...(reach !== undefined && { reach }) };
    const beside = 2 * frequencies + contextChannels;
    const widths = [channels, ...hidden, channels];
    this.layers = widths.slice(1).map((out, i) => {
      const into = widths[i]!;
      const gain = i === hidden.length ? lastGain : 1;
      const deviation = gain * Math.sqrt(2 / (into + beside));
      return {
        w: new Parameter(`w${i + 1}`, random.normal([out, into], deviation)),
        u: new Parameter(`u${i + 1}`, random.normal([out, beside], deviation)),
        b: new Parameter(`b${i + 1}`, zeros([out])),
      };
    });
    building.complete();
  }

  get channels(): number {
    return this.options.channels;
  }

  override get usesContext(): boolean {
    return this.options.contextChannels > 0;
  }

  /**
   * The field for samples of a time and a context, one for each; `gradient` gathers that of the context, and `collect` takes
   * those of the parameters over in their place. What it makes is freed by the `tidy` around it.
   *
   * @throws ValueError without a context that it needs. @throws ShapeError for one of other channels.
   */
  at(
    t: number,
    context?: Tensor,
    { gradient = false, collect }: { gradient?: boolean; collect?: Side['collect'] } = {},
  ): FieldAt {
    const like = this.layers[0]!.w.data;
    const one = timeFeatures(full([1, 1], t, like), this.options.frequencies).values;
    const own = this.#context(context);
    const values = own
      ? concat([add(zeros([own.shape[0]!, one.shape[1]!], own), one), own], 1)
      : one;
    const towards = gradient && own ? zeros(values.shape, values) : undefined;
    return {
      block: new EvaluatedBlock(this.#evaluated({ values, gradient: towards, collect })),
      contextGradient: () => towards && this.#parts(towards)[1],
    };
  }

  /** A direction of the context as one of what stands beside the layers' arguments. */
  sideDirection(dcontext: Tensor | undefined): Tensor | undefined {
    if (!dcontext || !this.usesContext) return undefined;
    return concat(
      [zeros([dcontext.shape[0]!, 2 * this.options.frequencies], dcontext), dcontext],
      1,
    );
  }

  protected override velocityAt(x: Tensor, t: number | Tensor, context?: Tensor): Tensor {
    if (typeof t !== 'number') return super.velocityAt(x, t, context);
    return this.at(t, context).block.apply(x);
  }

  protected override rateAt(x: Tensor, t: number, probes: Iterable<Tensor>, context?: Tensor) {
    const block = this.at(t, context).block.at(x);
    const push = block.pusher();
    let divergence = zeros([x.shape[0]!], x);
    for (const p of probes) {
      divergence = tidy(() => add(divergence, sumPerSample(mul(p, push(p)))));
    }
    return { velocity: block.y, divergence };
  }

  protected apply(xt: Tensor, context?: Tensor) {
    const { x, side, slope } = this.#joined(xt, context);
    const { y, states } = new EvaluatedBlock(this.#evaluated({ values: side })).at(x);
    return { y, saved: { states, side, slope } };
  }

  protected applyBackward(dy: Tensor, { states, side, slope }: SavedSmoothField) {
    const gradient = zeros(side.shape, side);
    const layers = this.#evaluated({ values: side, gradient });
    const dx = new BlockAt(layers, states).gradient(dy);
    const [dfeatures, dcontext] = this.#parts(gradient);
    return {
      dx: concat([dx, timeGradient({ slope }, dfeatures)], 1),
      ...(dcontext && { dcontext }),
    };
  }

  protected applyTangent(
    xt: Tensor,
    { x: dxt, parameters, context: dc }: Tangent,
    context?: Tensor,
  ) {
    const { x, side, slope } = this.#joined(xt, context);
    const [dx, dt] = dxt ? split(dxt, 1, [this.channels, 1]) : [];
    const block = new EvaluatedBlock(this.#evaluated({ values: side })).at(x);
    const dcontext = this.usesContext ? (dc ?? zeros(context!.shape, x)) : undefined;
    const dfeatures = dt ? mul(slope, dt) : zeros(slope.shape, x);
    const beside = dt || dc ? concat([dfeatures, ...(dcontext ? [dcontext] : [])], 1) : undefined;
    return { y: block.y, dy: block.tangent({ x: dx, parameters, context: beside }) };
  }

  protected applyShape(xt: Shape): Shape {
    requireSamples('SmoothField', xt, [this.channels + 1]);
    return [xt[0]!, this.channels];
  }

  /** x, and what stands beside the layers' arguments. */
  #joined(xt: Tensor, context: Tensor | undefined) {
    const [x, t] = split(xt, 1, [this.channels, 1]);
    const { values, slope } = timeFeatures(t!, this.options.frequencies);
    const own = this.#context(context);
    return { x: x!, side: own ? concat([values, own], 1) : values, slope };
  }

  /** The context, if the field has one. */
  #context(context: Tensor | undefined): Tensor | undefined {
    const { contextChannels } = this.options;
    if (contextChannels === 0) return undefined;
    if (!context) throw new ValueError('SmoothField: expected a context, got none.');
    requireSamples('SmoothField: the context', context.shape, [contextChannels]);
    return context;
  }

  #evaluated(side: Side): EvaluatedLayer[] {
    const { activation, reach } = this.options;
    const between = elementwiseLayer(functions[activation]);
    const layers = this.layers.flatMap((weights, i) => {
      const dense = sideDense(weights, side);
      return i < this.layers.length - 1 ? [dense, between] : [dense];
    });
    return reach === undefined ? layers : [elementwiseLayer(clipTo(reach)), ...layers];
  }

  /** What is of the time's features, and of the context, if the field has one. */
  #parts(side: Tensor): readonly [Tensor, Tensor | undefined] {
    const ofTime = 2 * this.options.frequencies;
    const { contextChannels } = this.options;
    if (contextChannels === 0) return [side, undefined];
    const [features, context] = split(side, 1, [ofTime, contextChannels]);
    return [features!, context!];
  }
}
