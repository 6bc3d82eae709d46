/** Layer normalization (Ba et al., 2016) inside conditioners. Mathematics: docs/math/conditioners/layer-norm.md */
import {
  add,
  affine,
  div,
  mean,
  mul,
  ones,
  requireAtLeast,
  type Shape,
  sqrt,
  square,
  sub,
  type Tensor,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `LayerNorm`. */
export interface LayerNormOptions {
  readonly channels: number;
  /** Added to variances. Default: 1e-5. */
  readonly epsilon?: number;
}

/** The normalized input, and the deviation at each position. */
interface SavedLayerNorm {
  readonly normalized: Tensor;
  readonly deviation: Tensor;
}

/**
 * y = s ⊙ (x − μ)/√(v + ε) + b with the mean μ and the variance v over the channels, at each position by
 * itself; on vectors PyTorch's `LayerNorm(C)`. No sample sees another, and nothing differs in training.
 *
 * @example chain(new Conv({ inChannels: 2, outChannels: 8 }), new LayerNorm({ channels: 8 }), gelu())
 */
export class LayerNorm extends Conditioner<SavedLayerNorm> {
  static readonly type: string = 'LayerNorm';
  readonly options: Required<LayerNormOptions>;
  readonly scale: Parameter;
  readonly shift: Parameter;

  /** @throws ValueError unless channels ≥ 1 and epsilon is not negative. */
  constructor(options: LayerNormOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('LayerNorm', options, ['channels', 'epsilon']);
    const { channels, epsilon = 1e-5 } = options;
    requireWhole('LayerNorm', 'channels', channels, 1);
    requireAtLeast('LayerNorm', 'epsilon', epsilon, 0);
    this.options = { channels, epsilon };
    this.scale = new Parameter('scale', ones([channels]));
    this.shift = new Parameter('shift', zeros([channels]));
    building.complete();
  }

  protected apply(x: Tensor) {
    const saved = this.#normalize(x);
    return { y: this.#scaleAndShift(saved.normalized), saved };
  }

  protected applyBackward(dy: Tensor, { normalized, deviation }: SavedLayerNorm) {
    if (!this.scale.frozen) this.scale.takeGrad(channelSums(mul(dy, normalized)));
    if (!this.shift.frozen) this.shift.takeGrad(channelSums(dy));
    const dn = mul(dy, alongChannels(this.scale.data, dy));
    return { dx: div(project(dn, normalized), deviation) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { normalized, deviation } = this.#normalize(x);
    const ds = tangent.parameters?.get(this.scale);
    const db = tangent.parameters?.get(this.shift);
    const dn = tangent.x && div(project(tangent.x, normalized), deviation);
    const dy = sumOfTerms(
      x,
      dn && mul(dn, alongChannels(this.scale.data, x)),
      ds && mul(normalized, alongChannels(ds, x)),
      db && add(zerosLike(x), alongChannels(db, x)),
    );
    return { y: this.#scaleAndShift(normalized), dy };
  }

  protected applyShape(x: Shape): Shape {
    return requireChannels('LayerNorm', x, this.options.channels);
  }

  #normalize(x: Tensor): SavedLayerNorm {
    const centered = sub(x, overChannels(x));
    const deviation = sqrt(affine(overChannels(square(centered)), 1, this.options.epsilon));
    return { normalized: div(centered, deviation), deviation };
  }

  #scaleAndShift(normalized: Tensor): Tensor {
    const scaled = mul(normalized, alongChannels(this.scale.data, normalized));
    return add(scaled, alongChannels(this.shift.data, normalized));
  }
}

/** Takes out what moves the mean and the deviation: v − mean(v) − n̂·mean(n̂ ⊙ v), symmetric in v. */
function project(v: Tensor, normalized: Tensor): Tensor {
  const along = mul(normalized, overChannels(mul(normalized, v)));
  return sub(sub(v, overChannels(v)), along);
}

/** The mean over the channels, [N, 1, …]. */
function overChannels(x: Tensor): Tensor {
  return mean(x, { axes: [1], keepDims: true });
}
