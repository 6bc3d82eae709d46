/**
 * The affine coupling of two tensors (Dinh et al., "Density estimation using Real NVP", 2017): the
 * piece that Glow's, HINT's and the conditional couplings are made of.
 * Mathematics: docs/math/couplings/basic-coupling.md
 */
import {
  add,
  addToFirstChannels,
  type FusedCoupling,
  formatShape,
  fusedCoupling,
  hasFusedPasses,
  type RandomStream,
  requireRecord,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { type BackwardOptions, PairBijection } from '../core/bijection.ts';
import { requireChannelPair, requireChannels, requireModuleOptions } from '../core/checks.ts';
import { type Conditioner, evaluate } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import { type Pair, sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireScaleFunction } from '../elementwise/activation.ts';
import {
  defaultScale,
  scaleAndShift,
  scaleAndShiftBackward,
  scaleAndShiftTangent,
  undoScaleAndShift,
  undoScaleAndShiftBackward,
  undoScaleAndShiftTangent,
} from '../transformers/affine.ts';

/** What all affine couplings take. */
export interface AffineOptions extends ConditionerDefaults {
  /**
   * Gives the scale; its lower bound is positive, or it knows its own logarithm, as `exp()` does.
   * Default: `sigmoid({ low: 0.5, high: 1.5 })`.
   */
  readonly scaleFunction?: Activation;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

/** The names of the options. */
export const affineOptions = ['contextChannels', 'hidden', 'ndims', 'scaleFunction', 'random'];

/** Options of `BasicCoupling`. */
export interface BasicCouplingOptions extends AffineOptions {
  /** Channels of x₁ and of x₂. */
  readonly channels: readonly [number, number];
  /**
   * Maps x₁ (and the context) to twice the channels of x₂, or a function that makes it. Default: see
   * `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory | undefined;
}

/**
 * (x₁, x₂) ↦ (x₁, s ⊙ x₂ + t) with (r, t) = g(x₁, context), s = scaleFunction(r); logdet = Σ log s.
 *
 * `backward` evaluates the conditioner g once: for the inverse and the gradients together.
 *
 * @example
 * const coupling = new BasicCoupling({ channels: [2, 3], hidden: 32 });
 * const { y: [y1, y2], logdet } = coupling.forward([x1, x2]); // x1 [N, 2, H, W], x2 [N, 3, H, W]
 */
export class BasicCoupling extends PairBijection {
  static readonly type: string = 'BasicCoupling';
  readonly channels: readonly [number, number];
  readonly conditioner: Conditioner;
  readonly scaleFunction: Activation;

  /** @throws ValueError for channels below 1, or a scale function that can reach zero. */
  constructor(options: BasicCouplingOptions) {
    super();
    requireModuleOptions('coupling', options, [...affineOptions, 'channels', 'conditioner']);
    const { channels, conditioner, scaleFunction = defaultScale(), ...sizes } = options;
    requireChannelPair('coupling', 'channels', channels);
    const [inChannels, moved] = channels;
    this.channels = [inChannels, moved];
    this.scaleFunction = requireScaleFunction('coupling', scaleFunction);
    const { contextChannels = 0, ndims = 2 } = sizes;
    const shape = { inChannels, outChannels: 2 * moved, ndims, contextChannels };
    this.conditioner = makeConditioner('coupling', conditioner, shape, sizes);
  }

  get options() {
    const { channels, conditioner, scaleFunction } = this;
    return { channels, conditioner, scaleFunction };
  }

  /** Does the map, or its inverse, of [x₁, x₂] as one tensor go in one pass? */
  passesJoined(x: Tensor): boolean {
    return hasFusedPasses(x) && this.scaleFunction.logistic !== undefined;
  }

  /**
   * The map, or its inverse, of [x₁, x₂] as one tensor, which spares parting and joining the channels;
   * where `passesJoined`. Called within a method of the module that has this coupling.
   */
  moveJoined(x: Tensor, direction: 'forward' | 'inverse', context?: Tensor) {
    const kept = this.channels[0];
    const rt = evaluate(this.conditioner, slice(x, 1, 0, kept), context);
    return this.#fused(rt, direction, kept)!.apply(x);
  }

  /** The derivatives of `moveJoined`, with its argument x recomputed from its result y. */
  moveJoinedBack(
    y: Tensor,
    dy: Tensor,
    direction: 'forward' | 'inverse',
    options: BackwardOptions,
  ): { x: Tensor; dx: Tensor; dcontext?: Tensor } {
    const kept = this.channels[0];
    const first = slice(y, 1, 0, kept);
    const { y: rt, saved } = this.conditioner.forward(first, options.context);
    const fused = this.#fused(rt, direction, kept)!;
    const { x, dx, drt } = fused.backward(y, dy, options.dlogdet);
    rt.dispose();
    const { dx: dx1, ...rest } = this.conditioner.backward(drt, saved);
    saved.dispose();
    drt.dispose();
    addToFirstChannels(dx, dx1);
    return { x, dx, ...rest };
  }

  protected apply([x1, x2]: Pair, context?: Tensor) {
    const rt = this.#fitting(evaluate(this.conditioner, x1, context));
    const { y: y2, logdet } = scaleAndShift(this.scaleFunction, x2, rt);
    return { y: [x1, y2] as const, logdet };
  }

  protected invert([y1, y2]: Pair, context?: Tensor) {
    const rt = this.#fitting(evaluate(this.conditioner, y1, context));
    const { x: x2, logdet } = undoScaleAndShift(this.scaleFunction, y2, rt);
    return { x: [y1, x2] as const, logdet };
  }

  protected applyBackward([x1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions, kept?: Pair) {
    const { y: rt, saved } = this.conditioner.forward(x1, options.context);
    const made = scaleAndShiftBackward(
      this.scaleFunction,
      y2,
      this.#fitting(rt),
      dy2,
      options.dlogdet,
      kept?.[1],
    );
    const { x: x2, dx: dx2, dp } = made;
    rt.dispose();
    const { dx1, ...rest } = this.#backThroughConditioner(dp, saved, dy1);
    return { x: [x1, x2] as const, dx: [dx1, dx2] as const, ...rest };
  }

  protected invertBackward(
    [y1, x2]: Pair,
    [dx1, dx2]: Pair,
    options: BackwardOptions,
    kept?: Pair,
  ) {
    const { y: rt, saved } = this.conditioner.forward(y1, options.context);
    const made = undoScaleAndShiftBackward(
      this.scaleFunction,
      x2,
      this.#fitting(rt),
      dx2,
      options.dlogdet,
      kept?.[1],
    );
    const { y: y2, dy: dy2, dp } = made;
    rt.dispose();
    const { dx1: dy1, ...rest } = this.#backThroughConditioner(dp, saved, dx1);
    return { y: [y1, y2] as const, dy: [dy1, dy2] as const, ...rest };
  }

  protected applyTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const { y: rt, dy: drt } = this.conditioner.jvp(x1, { ...tangent, x: dx1 }, context);
    const {
      y: y2,
      dy: dy2,
      ...logs
    } = scaleAndShiftTangent(this.scaleFunction, x2, this.#fitting(rt), dx2, drt);
    return { y: [x1, y2] as const, dy: [dx1 ?? zerosLike(x1), dy2] as const, ...logs };
  }

  protected invertTangent([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dy1, dy2] = tangent.x ?? [];
    const { y: rt, dy: drt } = this.conditioner.jvp(y1, { ...tangent, x: dy1 }, context);
    const {
      x: x2,
      dx: dx2,
      ...logs
    } = undoScaleAndShiftTangent(this.scaleFunction, y2, this.#fitting(rt), dy2, drt);
    return { x: [y1, x2] as const, dx: [dy1 ?? zerosLike(y1), dx2] as const, ...logs };
  }

  protected override applyShape([x1, x2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    requireChannels('coupling, first half', x1, this.channels[0]);
    requireChannels('coupling, second half', x2, this.channels[1]);
    const rt = this.conditioner.outputShape(x1);
    const [n, , ...size] = x2;
    if (rt) requireOutput(rt, [n!, 2 * this.channels[1], ...size]);
    return [x1, x2];
  }

  /** The map in one pass behind `kept` channels, for a logistic scale on a backend that has it. */
  #fused(rt: Tensor, direction: 'forward' | 'inverse', kept: number): FusedCoupling | undefined {
    const { logistic } = this.scaleFunction;
    return logistic && fusedCoupling(this.#fitting(rt), logistic, direction, kept);
  }

  /** For conditioners that do not say the shape of their result before. */
  #fitting(rt: Tensor): Tensor {
    requireOutput(rt.shape, [rt.shape[0]!, 2 * this.channels[1], ...rt.shape.slice(2)]);
    return rt;
  }

  #backThroughConditioner(drt: Tensor, saved: Saved, d1: Tensor) {
    const { dx, ...rest } = this.conditioner.backward(drt, saved);
    saved.dispose();
    drt.dispose();
    return { dx1: add(d1, dx), ...rest };
  }
}

function requireOutput(found: Shape, expected: Shape): void {
  if (sameShape(found, expected)) return;
  throw new ShapeError(
    `coupling: the conditioner returned ${formatShape(found)}; expected ${expected[1]} channels, a ` +
      `scale and a shift for each of ${expected[1]! / 2}: ${formatShape(expected)}.`,
  );
}

/** Options of affine couplings without a context, with their defaults. */
export function affineDefaults(options: AffineOptions) {
  requireRecord('coupling', 'options', options);
  const { hidden = 64, ndims = 2, scaleFunction = defaultScale() } = options;
  return { hidden, ndims, scaleFunction };
}
