/** A uniform base on a box. Mathematics: docs/math/flows/bases.md */
import { requireModuleOptions } from '@invnet/layers';
import {
  add,
  affine,
  formatValue,
  log,
  mul,
  relu,
  requireFinite,
  requireList,
  type Shape,
  ShapeError,
  sign,
  sub,
  sumPerSample,
  type Tensor,
  tensor,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';

/** Options of `Uniform`. */
export interface UniformOptions {
  /** Lower bounds: one for all numbers, or one for each channel. Default: 0. */
  readonly low?: number | readonly number[];
  /** Upper bounds, likewise. Default: 1. */
  readonly high?: number | readonly number[];
}

/**
 * Independent uniform numbers from `low` to `high`, bounds included: log p(z) = −Σ log(high − low), and −∞ outside, where
 * no gradient leads back. A network in front of it ends in the box, as by a `sigmoid` or a spline with bounds.
 *
 * @example new Uniform({ low: [0, -1], high: [1, 1] }).logProb(z) // z [N, 2]
 */
export class Uniform extends BaseDistribution {
  static readonly type: string = 'Uniform';
  readonly options: Required<UniformOptions>;

  /** @throws ValueError unless low < high, all finite, in lists of one length. */
  constructor(options: UniformOptions = {}) {
    super();
    requireModuleOptions('Uniform', options, ['low', 'high']);
    const [low, high] = [boundOf('low', options.low ?? 0), boundOf('high', options.high ?? 1)];
    const [lows, highs] = [listOf(low), listOf(high)];
    if (lows.length > 1 && highs.length > 1 && lows.length !== highs.length) {
      throw new ValueError(
        `Uniform: low has ${lows.length} numbers and high ${highs.length}; expected as many.`,
      );
    }
    for (let i = 0; i < Math.max(lows.length, highs.length); i++) {
      const [l, h] = [lows[i] ?? lows[0]!, highs[i] ?? highs[0]!];
      if (l < h) continue;
      throw new ValueError(`Uniform: low is ${l} and high ${h}; expected low below high.`);
    }
    this.options = { low, high };
  }

  protected density(z: Tensor): Tensor {
    const { low, high } = this.#bounds(z.shape, z);
    // 1 within, 0 outside.
    const outside = add(sign(relu(sub(low, z))), sign(relu(sub(z, high))));
    return sumPerSample(sub(log(affine(outside, -1, 1)), log(sub(high, low))));
  }

  protected densityBackward(z: Tensor, _dlogProb: Tensor) {
    return { logProb: this.density(z), dz: zerosLike(z) };
  }

  /** Around the middle, at a temperature below 1. @throws ValueError above 1, which would leave the box. */
  protected draw(shape: Shape, { random, temperature }: Draw): Tensor {
    if (temperature > 1) {
      throw new ValueError(`Uniform.sample: temperature is ${temperature}; expected at most 1.`);
    }
    const u = random.uniform(shape);
    const { low, high } = this.#bounds(shape, u);
    const share = affine(u, temperature, (1 - temperature) / 2);
    return add(low, mul(sub(high, low), share));
  }

  protected override requireShape(z: Shape): void {
    const { low, high } = this.options;
    const channels = Math.max(listOf(low).length, listOf(high).length);
    if (channels === 1 || z[1] === channels) return;
    throw new ShapeError(
      `Uniform: got [${z.join(', ')}]; expected ${channels} channels, [N, ${channels}, …].`,
    );
  }

  #bounds(z: Shape, like: Tensor): { low: Tensor; high: Tensor } {
    const along = (bound: number | readonly number[]) => {
      const list = listOf(bound);
      return tensor(list, list.length === 1 ? [] : [list.length, ...z.slice(2).map(() => 1)], like);
    };
    return { low: along(this.options.low), high: along(this.options.high) };
  }
}

/** The bound itself, of finite numbers; a list as one of its own. */
function boundOf(name: string, bound: number | readonly number[]): number | readonly number[] {
  if (typeof bound === 'number') {
    requireFinite('Uniform', name, bound);
    return bound;
  }
  requireList('Uniform', name, bound, 'a number, or a list of them');
  if (bound.length === 0) {
    throw new ValueError(
      `Uniform: ${name} is ${formatValue(bound)}; expected at least one number.`,
    );
  }
  for (const [i, b] of bound.entries()) requireFinite('Uniform', `${name}[${i}]`, b);
  return [...bound];
}

function listOf(bound: number | readonly number[]): readonly number[] {
  return typeof bound === 'number' ? [bound] : bound;
}
