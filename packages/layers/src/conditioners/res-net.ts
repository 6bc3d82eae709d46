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
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { Construction } from '../tree/construction.ts';
import { ConvLayer, requireImage } from './conv-layer.ts';
import { type NormalizationName, normalizationOf } from './normalization.ts';

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
  /** Default: `relu()`. */
  readonly activation?: Activation;
  /** Before each activation. Default: `batch`. */
  readonly normalization?: NormalizationName;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

type Choices = 'activation' | 'normalization';

/** A normalization, if there is one, an activation and a convolution. */
interface Unit {
  readonly norm?: Conditioner;
  readonly conv: ConvLayer;
}

/** What a unit's backward needs. */
interface SavedUnit {
  readonly norm: Saved | undefined;
  /** What the activation saw, where that is needed. */
  readonly normalized: Tensor | undefined;
  readonly activated: Tensor;
}

interface SavedResNet {
  readonly x: Tensor;
  readonly units: readonly SavedUnit[];
}

/**
 * h₀ = w ∗ x + b, hₖ = hₖ₋₁ + U(U(hₖ₋₁)) for each block, y = U(h) with U(h) = w ∗ f(norm(h)) + b, by
 * default with ReLU and batch normalization. `training` switches all normalizations; their running
 * statistics move in training steps only, see `BatchNorm`.
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
  /** Files from before there was a choice have none of it, so what is left out stays out. */
  readonly options: Required<Omit<ResNetOptions, 'random' | Choices>> &
    Pick<ResNetOptions, Choices>;
  readonly lift: ConvLayer;
  readonly blocks: readonly (readonly [Unit, Unit])[];
  readonly last: Unit;
  /** Without one it is ReLU, whose gradient goes with the convolution's. */
  readonly #activation: Activation | undefined;

  /** @throws ValueError for sizes that are not whole and positive, or an even kernel. */
  constructor(options: ResNetOptions) {
    super();
    using building = new Construction();
    const sizeNames = ['inChannels', 'hidden', 'outChannels', 'blocks', 'ndims', 'kernel'];
    requireModuleOptions('ResNet', options, [...sizeNames, 'activation', 'normalization']);
    const { inChannels, hidden, outChannels, blocks = 2, ndims = 2, kernel = 3 } = options;
    const { normalization = 'batch', random = new RandomStream(0) } = options;
    requireSizes('ResNet', { inChannels, hidden, outChannels });
    requireRepeats('ResNet', 'blocks', blocks);
    requireDimensions('ResNet', ndims, 1);
    requireOddKernel('ResNet', 'kernel', kernel);
    const { activation } = options;
    this.#activation = activation && requireActivation('ResNet', 'activation', activation);
    this.options = {
      ...{ inChannels, hidden, outChannels, blocks, ndims, kernel },
      ...(activation && { activation }),
      ...(options.normalization && { normalization }),
    };
    const square = { inChannels: hidden, outChannels: hidden, ndims, kernel, random };
    const unit = (conv: { outChannels?: number; gain?: number }): Unit => {
      const [norm] = normalizationOf('ResNet', normalization, hidden);
      return { ...(norm && { norm }), conv: new ConvLayer({ ...square, ...conv }) };
    };
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
      const { y, saved } = forwardUnit(unit, h, this.#activation);
      units.push(saved);
      if (h !== start && h !== saved.normalized) h.dispose();
      h = y;
      if (i % 2 === 1) {
        h = add(start, y);
        y.dispose();
        if (!units.some(({ normalized }) => normalized === start)) start.dispose();
        start = h;
      }
    });
    return { y: h, saved: { x, units } };
  }

  protected applyBackward(dy: Tensor, { x, units }: SavedResNet) {
    const back = (i: number, d: Tensor) =>
      backwardUnit(this.#units[i]!, units[i]!, d, this.#activation);
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
      [h, dh] = unitTangent(unit, h, dh, tangent, this.#activation);
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

function forwardUnit(
  { norm, conv }: Unit,
  h: Tensor,
  f: Activation | undefined,
): { y: Tensor; saved: SavedUnit } {
  const { y: normalized, saved } = norm?.forward(h) ?? { y: h, saved: undefined };
  const activated = f ? f.apply(normalized) : relu(normalized);
  if (!f && norm) normalized.dispose();
  return {
    y: conv.forward(activated, 'none', []),
    saved: { norm: saved, normalized: f && normalized, activated },
  };
}

function backwardUnit(
  { norm, conv }: Unit,
  { norm: saved, normalized, activated }: SavedUnit,
  dy: Tensor,
  f: Activation | undefined,
): Tensor {
  let dnormalized = conv.backward(activated, dy, f ? 'input' : 'relu');
  if (f) {
    const dactivated = dnormalized;
    dnormalized = f.grad(activated, dactivated, normalized!);
    dactivated.dispose();
  }
  if (!norm) return dnormalized;
  const { dx } = norm.backward(dnormalized, saved!);
  dnormalized.dispose();
  return dx;
}

function unitTangent(
  { norm, conv }: Unit,
  h: Tensor,
  dh: Tensor,
  tangent: Tangent,
  f: Activation | undefined,
): [Tensor, Tensor] {
  const { y: normalized, dy } = norm?.jvp(h, { x: dh, parameters: tangent.parameters }) ?? {
    y: h,
    dy: dh,
  };
  const activated = f ? f.apply(normalized) : relu(normalized);
  const da = f ? f.grad(activated, dy, normalized) : reluGrad(activated, dy);
  const y = conv.forward(activated, 'none', []);
  return [y, conv.tangent(activated, y, da, tangent)];
}
