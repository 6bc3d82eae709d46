/** A base with heavy tails. Mathematics: docs/math/flows/bases.md */
import { Construction, Parameter, perSample, requireModuleOptions } from '@invnet/layers';
import {
  add,
  affine,
  exp,
  log,
  mul,
  neg,
  reciprocal,
  requireBoolean,
  type Shape,
  sqrt,
  square,
  sub,
  sumPerSample,
  type Tensor,
  tanh,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries, type EntryOptions, type EntryValues } from './entries.ts';
import { digammaStep, logAboveOne, logGammaStep } from './log-gamma.ts';
import { type MomentGradients, momentsDrawBackward } from './moments.ts';

/** Options of `StudentT`. */
export interface StudentTOptions extends EntryOptions {
  /** What degrees of freedom ν start from; positive. Default: 5. */
  readonly degrees?: EntryValues;
  /** What means start from. Default: 0. */
  readonly mean?: EntryValues;
  /** What scales start from; positive. Default: 1. */
  readonly scale?: EntryValues;
  /** Keeps all of them as they are. Default: false. */
  readonly frozen?: boolean;
}

/**
 * Independent numbers of Student's t distribution, μ + σt, whose tails fall as |t|^(−ν − 1): a network of bounded slopes
 * has tails as heavy as its base's (Jaini et al., "Tails of Lipschitz triangular flows", 2020). A mean, a scale and ν for
 * each channel, or for each number of a sample where `size` is given; `logScale` and `logDegrees` hold logarithms.
 *
 * Samples have gradients for means and scales, and for ν none: freeze `logDegrees` for losses of samples.
 *
 * @example const flow = new Flow({ network, base: new StudentT({ channels: 2, degrees: 3 }) });
 */
export class StudentT extends BaseDistribution {
  static readonly type: string = 'StudentT';
  readonly mean: Parameter;
  readonly logScale: Parameter;
  readonly logDegrees: Parameter;
  readonly #entries: Entries;
  readonly #frozen: boolean;

  /** @throws ValueError for sizes that are not whole and positive, or scales and degrees that are not positive. */
  constructor(options: StudentTOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'size', 'degrees', 'mean', 'scale', 'frozen'];
    requireModuleOptions('StudentT', options, names);
    const { degrees = 5, mean = 0, scale = 1, frozen = false } = options;
    requireBoolean('StudentT', 'frozen', frozen);
    const entries = new Entries('StudentT', options);
    this.#entries = entries;
    this.#frozen = frozen;
    this.mean = new Parameter('mean', entries.values('mean', mean), { frozen });
    this.logScale = new Parameter('logScale', entries.logarithms('scale', scale), { frozen });
    this.logDegrees = new Parameter('logDegrees', entries.logarithms('degrees', degrees), {
      frozen,
    });
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, frozen: this.#frozen };
  }

  protected density(z: Tensor): Tensor {
    return this.#density(this.#at(z));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor) {
    const at = this.#at(z);
    const { nu, scale, e, spread, logSpread } = at;
    const w = perSample(dlogProb, z);
    const above = affine(nu, 1, 1);
    // (ν + 1)e/(ν(1 + q)), and times e.
    const slope = mul(mul(above, e), reciprocal(mul(nu, spread)));
    const pulled = mul(slope, e);
    const dmean = mul(w, mul(slope, reciprocal(scale)));
    this.#accumulate({ dmean, dlogDeviation: mul(w, affine(pulled, 1, -1)) });
    const rates = sub(digammaStep(affine(nu, 0.5)), reciprocal(nu));
    const inner = add(sub(rates, logSpread), mul(pulled, reciprocal(nu)));
    const dlogDegrees = mul(w, mul(affine(nu, 0.5), inner));
    this.logDegrees.accumulateGrad(this.#entries.gather(dlogDegrees));
    return { logProb: this.#density(at), dz: neg(dmean) };
  }

  protected draw(shape: Shape, { random, temperature }: Draw): Tensor {
    const { mean, nu, scale } = this.#parameters(shape);
    // Two numbers for each: a logarithm in (−∞, 0], and a cosine.
    const count = shape.reduce((a, b) => a * b, 1);
    const [u, v] = [random.uniformArray(count), random.uniformArray(count)];
    const logs = tensor(
      u.map((x) => Math.log(1 - x)),
      shape,
      mean,
    );
    const cosines = tensor(
      v.map((x) => temperature * Math.cos(2 * Math.PI * x)),
      shape,
      mean,
    );
    const s = affine(mul(logs, reciprocal(nu)), -2);
    const radii = sqrt(mul(nu, mul(affine(exp(s), 1, 1), tanh(affine(s, 0.5)))));
    return add(mean, mul(scale, mul(radii, cosines)));
  }

  protected override drawBackward(z: Tensor, dz: Tensor) {
    if (!this.logDegrees.frozen) {
      throw new ValueError(
        'StudentT.backwardSample: samples have no gradient for degrees of freedom; expected logDegrees to be frozen.',
      );
    }
    const { mean } = this.#parameters(z.shape);
    this.#accumulate(momentsDrawBackward(z, mean, dz));
    return {};
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  #density(at: { nu: Tensor; logScale: Tensor; logSpread: Tensor }): Tensor {
    const { nu, logScale, logSpread } = at;
    const constants = sub(
      logGammaStep(affine(nu, 0.5)),
      add(affine(log(affine(nu, Math.PI)), 0.5), logScale),
    );
    return sumPerSample(sub(constants, mul(affine(nu, 0.5, 0.5), logSpread)));
  }

  /** The parameters over z, with e = (z − μ)/σ, 1 + q = 1 + e²/ν and its logarithm. */
  #at(z: Tensor) {
    const parameters = this.#parameters(z.shape);
    const { mean, scale, nu } = parameters;
    const e = mul(sub(z, mean), reciprocal(scale));
    const q = mul(square(e), reciprocal(nu));
    return { ...parameters, e, spread: affine(q, 1, 1), logSpread: logAboveOne(q) };
  }

  #parameters(z: Shape) {
    const [mean, logScale, logDegrees] = [this.mean, this.logScale, this.logDegrees].map((p) =>
      this.#entries.over(p.data, z),
    );
    return { mean: mean!, logScale: logScale!, scale: exp(logScale!), nu: exp(logDegrees!) };
  }

  #accumulate({ dmean, dlogDeviation }: MomentGradients): void {
    this.mean.accumulateGrad(this.#entries.gather(dmean));
    this.logScale.accumulateGrad(this.#entries.gather(dlogDeviation));
  }
}
