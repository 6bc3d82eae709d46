/** A normal base with independent numbers. Mathematics: docs/math/flows/bases.md */
import { Construction, Parameter, requireModuleOptions } from '@invnet/layers';
import { requireBoolean, type Shape, type Tensor } from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries, type EntryOptions, type EntryValues } from './entries.ts';
import {
  type MomentGradients,
  type Moments,
  momentsBackward,
  momentsDensity,
  momentsDraw,
  momentsDrawBackward,
} from './moments.ts';

/** Options of `Normal`. */
export interface NormalOptions extends EntryOptions {
  /** What means start from. Default: 0. */
  readonly mean?: EntryValues;
  /** What deviations start from; positive. Default: 1. */
  readonly deviation?: EntryValues;
  /** Keeps means and deviations as they are. Default: false. */
  readonly frozen?: boolean;
}

/**
 * Independent normal numbers, with a mean and a deviation for each channel, or for each number of a sample where `size`
 * is given: log p(z) = −Σ (½ e² + log σ) − ½ D log 2π with e = (z − μ)/σ. `logDeviation` holds log σ.
 *
 * @example
 * const base = new Normal({ channels: 2, mean: [0, 5], deviation: 0.5, frozen: true });
 * const flow = new Flow({ network, base });
 */
export class Normal extends BaseDistribution {
  static readonly type: string = 'Normal';
  readonly mean: Parameter;
  readonly logDeviation: Parameter;
  readonly #entries: Entries;
  readonly #frozen: boolean;

  /** @throws ValueError for sizes that are not whole and positive, or deviations that are not positive. */
  constructor(options: NormalOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'size', 'mean', 'deviation', 'frozen'];
    requireModuleOptions('Normal', options, names);
    const { mean = 0, deviation = 1, frozen = false } = options;
    requireBoolean('Normal', 'frozen', frozen);
    this.#entries = new Entries('Normal', options);
    this.#frozen = frozen;
    this.mean = new Parameter('mean', this.#entries.values('mean', mean), { frozen });
    const logDeviation = this.#entries.logarithms('deviation', deviation);
    this.logDeviation = new Parameter('logDeviation', logDeviation, { frozen });
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, frozen: this.#frozen };
  }

  protected density(z: Tensor): Tensor {
    return momentsDensity(z, this.#moments(z.shape));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor) {
    const { logProb, dz, ...d } = momentsBackward(z, this.#moments(z.shape), dlogProb);
    this.#accumulate(d);
    return { logProb, dz };
  }

  protected draw(shape: Shape, draw: Draw): Tensor {
    return momentsDraw(shape, this.#moments(shape), draw);
  }

  protected override drawBackward(z: Tensor, dz: Tensor) {
    this.#accumulate(momentsDrawBackward(z, this.#moments(z.shape).mean, dz));
    return {};
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  #moments(z: Shape): Moments {
    const { mean, logDeviation } = this;
    return {
      mean: this.#entries.over(mean.data, z),
      logDeviation: this.#entries.over(logDeviation.data, z),
    };
  }

  #accumulate({ dmean, dlogDeviation }: MomentGradients): void {
    this.mean.accumulateGrad(this.#entries.gather(dmean));
    this.logDeviation.accumulateGrad(this.#entries.gather(dlogDeviation));
  }
}
