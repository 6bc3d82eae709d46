/**
 * Which numbers of a sample the parameters of a base are of: with a `size`, each number of a sample has its own; without,
 * each channel has, at all positions.
 */
import {
  channelSums,
  requireChannels,
  requireSizes,
  requireSpatialSizes,
  requireWhole,
} from '@invnet/layers';
import {
  formatShape,
  formatValue,
  requireBetween,
  requireFinite,
  requireList,
  type Shape,
  ShapeError,
  sizeOf,
  sum,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';

/** Of which samples a base is. */
export interface EntryOptions {
  readonly channels: number;
  /** Spatial sizes of z, where each number has parameters of its own. Default: each channel has, at all positions. */
  readonly size?: Shape | undefined;
}

/** A number for all entries, or one for each, in row-major order. */
export type EntryValues = number | readonly number[];

/** The entries of a base's parameters. */
export class Entries {
  /** What makes them again. */
  readonly options: EntryOptions;
  readonly #op: string;

  /** @throws ValueError for channels or sizes that are not whole and positive. */
  constructor(op: string, { channels, size }: EntryOptions) {
    requireSizes(op, { channels });
    if (size !== undefined) {
      requireSpatialSizes(op, 'size', size);
      requireWhole(op, 'channels × size', sizeOf([channels, ...size]), 1);
    }
    this.options = size === undefined ? { channels } : { channels, size: [...size] };
    this.#op = op;
  }

  /** The shape of parameters, [C, …size]. */
  get shape(): Shape {
    return [this.options.channels, ...(this.options.size ?? [])];
  }

  /** How many there are. */
  get count(): number {
    return sizeOf(this.shape);
  }

  /** @throws ShapeError for a z that they are not of. */
  requireShape(z: Shape): void {
    const { channels, size } = this.options;
    if (size === undefined) requireChannels(this.#op, z, channels);
    else if (formatShape(z.slice(1)) !== formatShape(this.shape)) {
      throw new ShapeError(
        `${this.#op}: got ${formatShape(z)}; expected [N, ${this.shape.join(', ')}].`,
      );
    }
  }

  /** A tensor of the parameters' shape, [C, …] or one for each sample, [N, C, …], to be broadcast over z. Shares memory. */
  over(v: Tensor, z: Shape): Tensor {
    if (this.options.size !== undefined) return v;
    return v.reshape([...v.shape, ...z.slice(2).map(() => 1)]);
  }

  /** The adjoint of `over` for one that is for all samples: sums of what has z's shape. */
  gather(full: Tensor): Tensor {
    return this.options.size === undefined ? channelSums(full) : sum(full, { axes: [0] });
  }

  /** The same for one of each sample: sums over positions, where a channel has one entry. */
  gatherPerSample(full: Tensor): Tensor {
    if (this.options.size !== undefined) return full;
    return sum(full.reshape([full.shape[0]!, this.options.channels, -1]), { axes: [2] });
  }

  /** A tensor of one value for each entry. @throws ValueError for other counts, or what is not finite. */
  values(name: string, given: EntryValues): Tensor {
    return tensor(this.#numbers(name, given), this.shape);
  }

  /** As `values`, the logarithms of positive ones. @throws ValueError */
  logarithms(name: string, given: EntryValues): Tensor {
    const numbers = this.#numbers(name, given);
    for (const v of numbers) requireBetween(this.#op, name, v, 0);
    return tensor(numbers.map(Math.log), this.shape);
  }

  #numbers(name: string, given: EntryValues): Float64Array {
    const { count } = this;
    if (typeof given === 'number') {
      requireFinite(this.#op, name, given);
      return new Float64Array(count).fill(given);
    }
    requireList(this.#op, name, given, 'a number, or a list of them');
    if (given.length !== count) {
      throw new ValueError(
        `${this.#op}: ${name} has ${formatValue(given.length)} numbers; expected ${count}, or one number for all.`,
      );
    }
    for (const [i, v] of given.entries()) requireFinite(this.#op, `${name}[${i}]`, v);
    return Float64Array.from(given);
  }
}
