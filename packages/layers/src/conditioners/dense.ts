/** A dense layer as a conditioner, for chains. Mathematics: docs/math/conditioners/chain.md */
import {
  add,
  formatShape,
  matmul,
  RandomStream,
  requireAtLeast,
  type Shape,
  ShapeError,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `Dense`. */
export interface DenseOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Deviation of the weights relative to √(2/inChannels). Default: 1; the last layer of a block: 0.1. */
  readonly gain?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = W x + b on vectors [N, C], W [out, in] as PyTorch's `Linear` has it.
 *
 * @example new Dense({ inChannels: 2, outChannels: 16 }).forward(x) // x [N, 2], y [N, 16]
 */
export class Dense extends Conditioner<Tensor> {
  static readonly type: string = 'Dense';
  readonly options: Required<Omit<DenseOptions, 'random'>>;
  readonly w: Parameter;
  readonly b: Parameter;

  /** @throws ValueError for channels below 1, or a negative gain. */
  constructor(options: DenseOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('Dense', options, ['inChannels', 'outChannels', 'gain']);
    const { inChannels, outChannels, gain = 1, random = new RandomStream(0) } = options;
    requireSizes('Dense', { inChannels, outChannels });
    requireAtLeast('Dense', 'gain', gain, 0);
    this.options = { inChannels, outChannels, gain };
    const weights = random.normal([outChannels, inChannels], gain * Math.sqrt(2 / inChannels));
    this.w = new Parameter('w', weights);
    this.b = new Parameter('b', zeros([outChannels]));
    building.complete();
  }

  protected apply(x: Tensor) {
    return { y: add(this.#linear(x, this.w.data), this.b.data), saved: x };
  }

  protected applyBackward(dy: Tensor, x: Tensor) {
    const { w, b } = this;
    if (!w.frozen) w.takeGrad(matmul(dy, x, { transposeA: true }));
    if (!b.frozen) b.takeGrad(channelSums(dy));
    return { dx: matmul(dy, w.data) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { y } = this.apply(x);
    const dw = tangent.parameters?.get(this.w);
    const db = tangent.parameters?.get(this.b);
    const moved = sumOfTerms(
      y,
      tangent.x && this.#linear(tangent.x, this.w.data),
      dw && this.#linear(x, dw),
    );
    return { y, dy: db ? add(moved, db) : moved };
  }

  protected applyShape(x: Shape): Shape {
    const { inChannels, outChannels } = this.options;
    if (x.length === 2 && x[1] === inChannels) return [x[0]!, outChannels];
    throw new ShapeError(`Dense: got ${formatShape(x)}; expected [N, ${inChannels}].`);
  }

  #linear(x: Tensor, w: Tensor): Tensor {
    return matmul(x, w, { transposeB: true });
  }
}
