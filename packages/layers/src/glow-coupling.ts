/**
 * The affine coupling of Glow (Dinh et al., "Density estimation using Real NVP", 2017; Kingma and
 * Dhariwal, "Glow", 2018). Mathematics: docs/math/glow-coupling.md
 */
import {
  add,
  concat,
  div,
  formatShape,
  log,
  mul,
  neg,
  type RandomStream,
  ShapeError,
  split,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type Activation, sigmoid } from './activations.ts';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { perSample, requireChannels, requireWhole, sumOfTerms } from './checks.ts';
import type { Conditioner } from './conditioner.ts';
import { type Parameter, prefixNames } from './parameter.ts';
import { ResidualBlock } from './residual-block.ts';

/** Options of `GlowCoupling`. */
export interface GlowCouplingOptions {
  /** At least 2; the first ⌊channels/2⌋ condition the others. */
  readonly channels: number;
  /** Width of the default conditioner. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes of the default conditioner. Default: 2. */
  readonly ndims?: number;
  /** Gives the scale; its lower bound is positive. Default: `sigmoid({ low: 0.5, high: 1.5 })`. */
  readonly scaleFunction?: Activation;
  /**
   * Maps the ⌊channels/2⌋ first channels to twice as many as the others. Default: a
   * `ResidualBlock`.
   */
  readonly conditioner?: Conditioner;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

/**
 * y₁ = x₁, y₂ = s ⊙ x₂ + t with (r, t) = g(x₁), s = scaleFunction(r); logdet = Σ log s.
 *
 * `backward` evaluates the conditioner g once: for the inverse and the gradients together.
 *
 * @example
 * const coupling = new GlowCoupling({ channels: 4, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 4, H, W]
 */
export class GlowCoupling implements Bijection {
  readonly channels: number;
  readonly conditioner: Conditioner;
  readonly scaleFunction: Activation;
  readonly parameters: readonly Parameter[];

  /** @throws ValueError for fewer than 2 channels, or a scale function that can reach zero. */
  constructor(options: GlowCouplingOptions) {
    const { channels, hidden = 64, ndims = 2, random } = options;
    requireWhole('GlowCoupling', 'channels', channels, 2);
    this.channels = channels;
    this.scaleFunction = options.scaleFunction ?? sigmoid({ low: 0.5, high: 1.5 });
    if (!(this.scaleFunction.range[0] > 0)) {
      throw new ValueError(
        `GlowCoupling: scale function ${this.scaleFunction.name} has the range ` +
          `${formatShape(this.scaleFunction.range)}; expected a positive lower bound, as of ` +
          'sigmoid({ low: 0.5 }) or expClamp().',
      );
    }
    const [kept, moved] = this.#halves();
    this.conditioner =
      options.conditioner ??
      new ResidualBlock({
        inChannels: kept,
        hidden,
        outChannels: 2 * moved,
        ndims,
        ...(random && { random }),
      });
    this.parameters = this.conditioner.parameters;
    prefixNames('conditioner', this.parameters);
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    return tidy(() => {
      const [x1, x2] = this.#split(x);
      const { s, t } = this.#scaleAndShift(x1);
      const y2 = add(mul(s, x2), t);
      return { y: concat([x1, y2], 1), logdet: sumPerSample(log(s)) };
    });
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    return tidy(() => {
      const [y1, y2] = this.#split(y);
      const { s, t } = this.#scaleAndShift(y1);
      const x2 = div(sub(y2, t), s);
      return { x: concat([y1, x2], 1), logdet: neg(sumPerSample(log(s))) };
    });
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    return tidy(() => {
      const [x1, y2] = this.#split(y);
      const [dy1, dy2] = this.#split(dy);
      const { y: rt, saved } = this.conditioner.forward(x1);
      const { s, t } = this.#unpack(rt);
      const x2 = div(sub(y2, t), s);
      const ds = sumOfTerms(
        s,
        mul(dy2, x2),
        options.dlogdet && div(perSample(options.dlogdet, s), s),
      );
      const drt = concat([this.scaleFunction.grad(s, ds), dy2], 1);
      const dx2 = mul(s, dy2);
      const dx = this.#backThroughConditioner(drt, saved, dy1, dx2, [rt, s, t, ds, y2]);
      return { x: concat([x1, x2], 1), dx };
    });
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const [y1, x2] = this.#split(x);
      const [dx1, dx2] = this.#split(dx);
      const { y: rt, saved } = this.conditioner.forward(y1);
      const { s, t } = this.#unpack(rt);
      const y2 = add(mul(s, x2), t);
      const dy2 = div(dx2, s);
      const ds = neg(
        sumOfTerms(s, mul(dy2, x2), options.dlogdet && div(perSample(options.dlogdet, s), s)),
      );
      const drt = concat([this.scaleFunction.grad(s, ds), neg(dy2)], 1);
      const dy = this.#backThroughConditioner(drt, saved, dx1, dy2, [rt, s, t, ds, x2]);
      return { y: concat([y1, y2], 1), dy };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    return tidy(() => {
      const [x1, x2] = this.#split(x);
      const [dx1, dx2] = this.#splitTangent(tangent);
      const { s, t, ds, dt } = this.#scaleAndShiftTangents(x1, dx1, tangent);
      const y2 = add(mul(s, x2), t);
      const dy2 = sumOfTerms(x2, mul(ds, x2), dx2 && mul(s, dx2), dt);
      return {
        y: concat([x1, y2], 1),
        dy: concat([sumOfTerms(x1, dx1), dy2], 1),
        logdet: sumPerSample(log(s)),
        dlogdet: sumPerSample(div(ds, s)),
      };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    return tidy(() => {
      const [y1, y2] = this.#split(y);
      const [dy1, dy2] = this.#splitTangent(tangent);
      const { s, t, ds, dt } = this.#scaleAndShiftTangents(y1, dy1, tangent);
      const x2 = div(sub(y2, t), s);
      const moved = sub(sumOfTerms(y2, dy2), add(dt, mul(ds, x2)));
      return {
        x: concat([y1, x2], 1),
        dx: concat([sumOfTerms(y1, dy1), div(moved, s)], 1),
        logdet: neg(sumPerSample(log(s))),
        dlogdet: neg(sumPerSample(div(ds, s))),
      };
    });
  }

  #halves(): [number, number] {
    const kept = Math.floor(this.channels / 2);
    return [kept, this.channels - kept];
  }

  #split(x: Tensor): [Tensor, Tensor] {
    requireChannels('GlowCoupling', x, this.channels);
    const [kept, moved] = split(x, 1, this.#halves());
    return [kept!, moved!];
  }

  #splitTangent(tangent: Tangent): [Tensor, Tensor] | [undefined, undefined] {
    return tangent.x ? this.#split(tangent.x) : [undefined, undefined];
  }

  #scaleAndShift(x1: Tensor): { s: Tensor; t: Tensor } {
    const { y, saved } = this.conditioner.forward(x1);
    saved.dispose();
    const result = this.#unpack(y);
    y.dispose();
    return result;
  }

  /** (s, t) from the conditioner's output (r, t). */
  #unpack(rt: Tensor): { s: Tensor; t: Tensor } {
    const [r, t] = this.#splitOutput(rt);
    const s = this.scaleFunction.apply(r);
    r.dispose();
    return { s, t };
  }

  #splitOutput(rt: Tensor): [Tensor, Tensor] {
    const moved = this.#halves()[1];
    if (rt.shape[1] !== 2 * moved) {
      throw new ShapeError(
        `GlowCoupling: the conditioner returned ${formatShape(rt.shape)}; expected ${2 * moved} ` +
          `channels, a scale and a shift for each of ${moved}.`,
      );
    }
    const [r, t] = split(rt, 1, [moved, moved]);
    return [r!, t!];
  }

  #scaleAndShiftTangents(x1: Tensor, dx1: Tensor | undefined, tangent: Tangent) {
    const { y, dy } = this.conditioner.jvp(x1, { x: dx1, parameters: tangent.parameters });
    const { s, t } = this.#unpack(y);
    const [dr, dt] = this.#splitOutput(dy);
    return { s, t, ds: this.scaleFunction.grad(s, dr), dt };
  }

  /** (d₁ + gᵀ drt, d₂), freeing first what is no longer needed: here memory is at its peak. */
  #backThroughConditioner(
    drt: Tensor,
    saved: ReturnType<Conditioner['forward']>['saved'],
    d1: Tensor,
    d2: Tensor,
    dead: readonly Tensor[],
  ): Tensor {
    for (const t of dead) t.dispose();
    const through = this.conditioner.backward(drt, saved);
    saved.dispose();
    drt.dispose();
    return concat([add(d1, through), d2], 1);
  }
}
