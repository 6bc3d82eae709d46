/**
 * A residual network as a conditioner (He et al., "Identity mappings in deep residual networks",
 * 2016). Mathematics: docs/math/conditioners/res-net.md
 */
import { add, RandomStream, relu, reluGrad, type Shape, type Tensor } from '@invnet/tensor';
import {
  requireDimensions,
  requireModuleOptions,
  requireOddKernel,
  requireRepeats,
  requireSizes,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { BatchNorm } from './batch-norm.ts';
import { ConvLayer, requireImage } from './conv-layer.ts';

/** Options of `ResNet`. */
export interface ResNetOptions {
  readonly inChannels: number;
  readonly hidden: number;
  readonly outChannels: number;
  /** Number of residual blocks. Default: 2. */
  readonly blocks?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size. Default: 3. */
  readonly kernel?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** A normalization, a ReLU and a convolution. */
interface Unit {
  readonly norm: BatchNorm;
  readonly conv: ConvLayer;
}

/** What a unit's backward needs. */
interface SavedUnit {
  readonly norm: ReturnType<BatchNorm['forward']>['saved'];
  readonly activated: Tensor;
}

interface SavedResNet {
  readonly x: Tensor;
  readonly units: readonly SavedUnit[];
}

/**
 * h₀ = w ∗ x + b, hₖ = hₖ₋₁ + U(U(hₖ₋₁)) for each block, y = U(h) with U(h) = w ∗ relu(norm(h)) + b
 * and batch normalization. `training` switches all normalizations; their running statistics move in
 * training steps only, see `BatchNorm`.
 *
 * In training mode samples of a batch see each other through the statistics; the log-determinants
 * of a coupling around it stay right, since they depend on its output alone.
 *
 * @example
 * const net = new ResNet({ inChannels: 2, hidden: 32, outChannels: 4, blocks: 3 });
 * net.training = false;
 * const { y, saved } = net.forward(x); // x [N, 2, H, W], y [N, 4, H, W]
 */
export class ResNet extends Conditioner<SavedResNet> {
  static readonly type: string = 'ResNet';
  readonly options: Required<Omit<ResNetOptions, 'random'>>;
  readonly lift: ConvLayer;
  readonly blocks: readonly (readonly [Unit, Unit])[];
  readonly last: Unit;

  /** @throws ValueError for sizes that are not whole and positive, or an even kernel. */
  constructor(options: ResNetOptions) {
    super();
    using building = new Construction();
    const names = ['inChannels', 'hidden', 'outChannels', 'blocks', 'ndims', 'kernel'];
    requireModuleOptions('ResNet', options, names);
    const { inChannels, hidden, outChannels, blocks = 2, ndims = 2, kernel = 3 } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('ResNet', { inChannels, hidden, outChannels });
    requireRepeats('ResNet', 'blocks', blocks);
    requireDimensions('ResNet', ndims, 1);
    requireOddKernel('ResNet', 'kernel', kernel);
    this.options = { inChannels, hidden, outChannels, blocks, ndims, kernel };
    const square = { inChannels: hidden, outChannels: hidden, ndims, kernel, random };
    const unit = (conv: { outChannels?: number; gain?: number }): Unit => ({
      norm: new BatchNorm({ channels: hidden }),
      conv: new ConvLayer({ ...square, ...conv }),
    });
    this.lift = new ConvLayer({ ...square, inChannels });
    this.blocks = Array.from({ length: blocks }, () => [unit({}), unit({})] as const);
    this.last = unit({ outChannels, gain: 0.1 });
    building.complete();
  }

  protected apply(x: Tensor) {
    const units: SavedUnit[] = [];
    let h = this.lift.forward(x, 'none', []);
    let start = h;
    this.#units.forEach((unit, i) => {
      const { y, saved } = forwardUnit(unit, h);
      units.push(saved);
      if (h !== start) h.dispose();
      h = y;
      if (i % 2 === 1) {
        h = add(start, y);
        y.dispose();
        start.dispose();
        start = h;
      }
    });
    return { y: h, saved: { x, units } };
  }

  protected applyBackward(dy: Tensor, { x, units }: SavedResNet) {
    const back = (i: number, d: Tensor) => backwardUnit(this.#units[i]!, units[i]!, d);
    let dh = back(units.length - 1, dy);
    for (let i = units.length - 2; i > 0; i -= 2) {
      const inner = back(i, dh);
      const through = back(i - 1, inner);
      const sum = add(dh, through);
      for (const dead of [inner, through, dh]) dead.dispose();
      dh = sum;
    }
    return { dx: this.lift.backward(x, dh) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    let h = this.lift.forward(x, 'none', []);
    let dh = this.lift.tangent(x, h, tangent.x, tangent);
    let [start, dstart] = [h, dh];
    this.#units.forEach((unit, i) => {
      [h, dh] = unitTangent(unit, h, dh, tangent);
      if (i % 2 === 1) {
        [h, dh] = [add(start, h), add(dstart, dh)];
        [start, dstart] = [h, dh];
      }
    });
    return { y: h, dy: dh };
  }

  protected applyShape(x: Shape): Shape {
    const { inChannels, outChannels, ndims } = this.options;
    const [n, , ...size] = requireImage('ResNet', x, inChannels, ndims);
    return [n!, outChannels, ...size];
  }

  /** Two per block, and the last one. */
  get #units(): readonly Unit[] {
    return [...this.blocks.flat(), this.last];
  }
}

function forwardUnit({ norm, conv }: Unit, h: Tensor): { y: Tensor; saved: SavedUnit } {
  const { y: normalized, saved } = norm.forward(h);
  const activated = relu(normalized);
  normalized.dispose();
  return { y: conv.forward(activated, 'none', []), saved: { norm: saved, activated } };
}

function backwardUnit({ norm, conv }: Unit, saved: SavedUnit, dy: Tensor): Tensor {
  const dnormalized = conv.backward(saved.activated, dy, 'relu');
  const { dx } = norm.backward(dnormalized, saved.norm);
  dnormalized.dispose();
  return dx;
}

function unitTangent(
  { norm, conv }: Unit,
  h: Tensor,
  dh: Tensor,
  tangent: Tangent,
): [Tensor, Tensor] {
  const { y: normalized, dy } = norm.jvp(h, { x: dh, parameters: tangent.parameters });
  const activated = relu(normalized);
  const y = conv.forward(activated, 'none', []);
  return [y, conv.tangent(activated, y, reluGrad(activated, dy), tangent)];
}
