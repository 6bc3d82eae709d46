/**
 * The affine coupling of two tensors (Dinh et al., "Density estimation using Real NVP", 2017): the
 * piece that Glow's, HINT's and the conditional couplings are made of.
 * Mathematics: docs/math/couplings/basic-coupling.md
 */
import {
  add,
  addToFirstChannels,
  concat,
  div,
  type FusedCoupling,
  formatShape,
  fusedCoupling,
  hasFusedPasses,
  log,
  mul,
  neg,
  type RandomStream,
  requireRecord,
  type Shape,
  ShapeError,
  slice,
  split,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import { type BackwardOptions, PairBijection } from '../core/bijection.ts';
import { requireChannelPair, requireChannels, requireModuleOptions } from '../core/checks.ts';
import { type Conditioner, evaluate, type Saved } from '../core/conditioner.ts';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import { type Pair, sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { sigmoid } from '../elementwise/activations.ts';

/** What all affine couplings take. */
export interface AffineOptions {
  /** Channels of the context, which the default conditioner sees beside x₁. Default: 0. */
  readonly contextChannels?: number;
  /** Width of the default conditioner. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes of the default conditioner, 0 to 3. Default: 2. */
  readonly ndims?: number;
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
  readonly conditioner?: Conditioner | ConditionerFactory;
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
    this.scaleFunction = requireActivation('coupling', 'scaleFunction', scaleFunction);
    const { range, log: ownLog } = this.scaleFunction;
    if (!(range[0] > 0 || (range[0] === 0 && ownLog))) {
      throw new ValueError(
        `coupling: scale function ${this.scaleFunction.name} has the range ` +
          `${formatShape(range)}; expected a positive lower bound, as of sigmoid({ low: 0.5 }) or ` +
          'expClamp(), or one of zero and `log`, as of exp().',
      );
    }
    const { contextChannels = 0, ndims = 2, ...defaults } = sizes;
    const shape = { inChannels, outChannels: 2 * moved, ndims, contextChannels };
    this.conditioner = makeConditioner('coupling', conditioner, shape, defaults);
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
    const rt = evaluate(this.conditioner, x1, context);
    const fused = this.#fused(rt, 'forward');
    if (fused) {
      const { y: y2, logdet } = fused.apply(x2);
      return { y: [x1, y2] as const, logdet };
    }
    const { r, s, t } = this.#unpack(rt);
    const logdet = this.#sumOfLogs(r, s);
    r.dispose();
    return { y: [x1, add(mul(s, x2), t)] as const, logdet };
  }

  protected invert([y1, y2]: Pair, context?: Tensor) {
    const rt = evaluate(this.conditioner, y1, context);
    const fused = this.#fused(rt, 'inverse');
    if (fused) {
      const { y: x2, logdet } = fused.apply(y2);
      return { x: [y1, x2] as const, logdet };
    }
    const { r, s, t } = this.#unpack(rt);
    const logdet = neg(this.#sumOfLogs(r, s));
    r.dispose();
    return { x: [y1, div(sub(y2, t), s)] as const, logdet };
  }

  protected applyBackward([x1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions) {
    const { y: rt, saved } = this.conditioner.forward(x1, options.context);
    const { x2, dx2, drt } = this.#backThroughMap(rt, y2, dy2, options.dlogdet);
    rt.dispose();
    const { dx1, ...rest } = this.#backThroughConditioner(drt, saved, dy1);
    return { x: [x1, x2] as const, dx: [dx1, dx2] as const, ...rest };
  }

  protected invertBackward([y1, x2]: Pair, [dx1, dx2]: Pair, options: BackwardOptions) {
    const { y: rt, saved } = this.conditioner.forward(y1, options.context);
    const { y2, dy2, drt } = this.#backThroughInverse(rt, x2, dx2, options.dlogdet);
    rt.dispose();
    const { dx1: dy1, ...rest } = this.#backThroughConditioner(drt, saved, dx1);
    return { y: [y1, y2] as const, dy: [dy1, dy2] as const, ...rest };
  }

  protected applyTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const { s, t, ds, dt, ...logs } = this.#scaleAndShiftTangents(x1, dx1, tangent, context);
    const y2 = add(mul(s, x2), t);
    const dy2 = sumOfTerms(x2, mul(ds, x2), dx2 && mul(s, dx2), dt);
    return {
      y: [x1, y2] as const,
      dy: [dx1 ?? zerosLike(x1), dy2] as const,
      ...logs,
    };
  }

  protected invertTangent([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dy1, dy2] = tangent.x ?? [];
    const { s, t, ds, dt, ...logs } = this.#scaleAndShiftTangents(y1, dy1, tangent, context);
    const x2 = div(sub(y2, t), s);
    const moved = sub(sumOfTerms(y2, dy2), add(dt, mul(ds, x2)));
    return {
      x: [y1, x2] as const,
      dx: [dy1 ?? zerosLike(y1), div(moved, s)] as const,
      logdet: neg(logs.logdet),
      dlogdet: neg(logs.dlogdet),
    };
  }

  protected override applyShape([x1, x2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    requireChannels('coupling, first half', x1, this.channels[0]);
    requireChannels('coupling, second half', x2, this.channels[1]);
    const rt = this.conditioner.outputShape(x1);
    const [n, , ...size] = x2;
    if (rt) requireOutput(rt, [n!, 2 * this.channels[1], ...size]);
    return [x1, x2];
  }

  /** x₂ from y₂, and the gradients of x₂ and of the conditioner's output. */
  #backThroughMap(rt: Tensor, y2: Tensor, dy2: Tensor, dlogdet: Tensor | undefined) {
    const fused = this.#fused(rt, 'forward');
    if (fused) {
      const { x: x2, dx: dx2, drt } = fused.backward(y2, dy2, dlogdet);
      return { x2, dx2, drt };
    }
    return tidy(() => {
      const { r, s, t } = this.#unpack(rt);
      const x2 = div(sub(y2, t), s);
      const drt = concat([this.#scaleGrad(r, s, mul(dy2, x2), dlogdet), dy2], 1);
      return { x2, dx2: mul(s, dy2), drt };
    });
  }

  /** y₂ from x₂ = (y₂ − t)/s, and the gradients of y₂ and of the conditioner's output. */
  #backThroughInverse(rt: Tensor, x2: Tensor, dx2: Tensor, dlogdet: Tensor | undefined) {
    const fused = this.#fused(rt, 'inverse');
    if (fused) {
      const { x: y2, dx: dy2, drt } = fused.backward(x2, dx2, dlogdet);
      return { y2, dy2, drt };
    }
    return tidy(() => {
      const { r, s, t } = this.#unpack(rt);
      const dy2 = div(dx2, s);
      const drt = neg(concat([this.#scaleGrad(r, s, mul(dy2, x2), dlogdet), dy2], 1));
      return { y2: add(mul(s, x2), t), dy2, drt };
    });
  }

  /** The map in one pass behind `kept` channels, for a logistic scale on a backend that has it. */
  #fused(rt: Tensor, direction: 'forward' | 'inverse', kept = 0): FusedCoupling | undefined {
    const { logistic } = this.scaleFunction;
    if (!logistic) return undefined;
    this.#requireOutput(rt);
    return fusedCoupling(rt, logistic, direction, kept);
  }

  /** r, s and t from the conditioner's output (r, t). */
  #unpack(rt: Tensor): { r: Tensor; s: Tensor; t: Tensor } {
    const [r, t] = this.#splitOutput(rt);
    return { r, s: this.scaleFunction.apply(r), t };
  }

  /** Σ log s */
  #sumOfLogs(r: Tensor, s: Tensor): Tensor {
    return tidy(() => sumPerSample(this.scaleFunction.log?.apply(r) ?? log(s)));
  }

  /** The gradient of r for those of s and of Σ log s. */
  #scaleGrad(r: Tensor, s: Tensor, ds: Tensor, dlogdet: Tensor | undefined): Tensor {
    const { scaleFunction: f } = this;
    if (!dlogdet) return f.grad(s, ds, r);
    const dlog = perSample(dlogdet, s);
    if (f.log) return add(f.grad(s, ds, r), f.log.grad(s, dlog, r));
    return f.grad(s, add(ds, div(dlog, s)), r);
  }

  #splitOutput(rt: Tensor): Pair {
    this.#requireOutput(rt);
    const moved = this.channels[1];
    const [r, t] = split(rt, 1, [moved, moved]);
    return [r!, t!];
  }

  /** For conditioners that do not say the shape of their result before. */
  #requireOutput(rt: Tensor): void {
    requireOutput(rt.shape, [rt.shape[0]!, 2 * this.channels[1], ...rt.shape.slice(2)]);
  }

  #scaleAndShiftTangents(
    x1: Tensor,
    dx1: Tensor | undefined,
    tangent: Tangent<Pair>,
    context: Tensor | undefined,
  ) {
    const { y, dy } = this.conditioner.jvp(x1, { ...tangent, x: dx1 }, context);
    const { r, s, t } = this.#unpack(y);
    const [dr, dt] = this.#splitOutput(dy);
    const ds = this.scaleFunction.grad(s, dr, r);
    const dlog = this.scaleFunction.log?.grad(s, dr, r) ?? div(ds, s);
    return { s, t, ds, dt, logdet: this.#sumOfLogs(r, s), dlogdet: sumPerSample(dlog) };
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

function defaultScale(): Activation {
  return sigmoid({ low: 0.5, high: 1.5 });
}
