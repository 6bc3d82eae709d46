/**
 * A residual network as a conditioner (He et al., "Identity mappings in deep residual networks",
 * 2016). Mathematics: docs/math/res-net.md
 */
import { add, RandomStream, relu, reluGrad, type Tensor, tidy, zeros } from '@invnet/tensor';
import { BatchNorm } from './batch-norm.ts';
import type { Tangent } from './bijection.ts';
import { requireChannels, requireWhole } from './checks.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import { ConvLayer } from './conv-layer.ts';
import { Parameter, prefixNames } from './parameter.ts';

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

interface SavedResNet extends Saved {
  readonly x: Tensor;
  readonly units: readonly SavedUnit[];
}

/**
 * h₀ = w ∗ x + b, hₖ = hₖ₋₁ + U(U(hₖ₋₁)) for each block, y = U(h) with U(h) = w ∗ relu(norm(h)) + b
 * and batch normalization. `training` switches all normalizations.
 *
 * In training mode samples of a batch see each other through the statistics; the log-determinants
 * of a coupling around it stay right, since they depend on its output alone.
 *
 * @example
 * const net = new ResNet({ inChannels: 2, hidden: 32, outChannels: 4, blocks: 3 });
 * net.training = false;
 * const { y, saved } = net.forward(x); // x [N, 2, H, W], y [N, 4, H, W]
 */
export class ResNet implements Conditioner<SavedResNet> {
  readonly parameters: readonly Parameter[];
  readonly #inChannels: number;
  readonly #lift: ConvLayer;
  /** Two per block, and the last one. */
  readonly #units: readonly Unit[];

  /** @throws ValueError for sizes that are not whole and positive, or an even kernel. */
  constructor(options: ResNetOptions) {
    const { inChannels, hidden, outChannels, blocks = 2, ndims = 2, kernel = 3 } = options;
    const random = options.random ?? new RandomStream(0);
    for (const [name, value] of Object.entries({
      inChannels,
      hidden,
      outChannels,
      blocks,
      ndims,
    })) {
      requireWhole('ResNet', name, value, 1);
    }
    requireWhole('ResNet', '(kernel − 1)/2', (kernel - 1) / 2, 0);
    const layer = (name: string, into: number, out: number, gain: number) => {
      const shape = [out, into, ...new Array<number>(ndims).fill(kernel)];
      const deviation = gain * Math.sqrt(2 / (into * kernel ** ndims));
      const w = new Parameter('w', random.normal(shape, deviation));
      const conv = new ConvLayer(w, new Parameter('b', zeros([out])), {
        padding: (kernel - 1) / 2,
      });
      prefixNames(name, conv.parameters);
      return conv;
    };
    const unit = (name: string, out: number, gain: number): Unit => {
      const norm = new BatchNorm({ channels: hidden });
      prefixNames(`${name}.norm`, norm.parameters);
      return { norm, conv: layer(`${name}.conv`, hidden, out, gain) };
    };
    this.#inChannels = inChannels;
    this.#lift = layer('lift', inChannels, hidden, 1);
    this.#units = [
      ...Array.from({ length: 2 * blocks }, (_, i) =>
        unit(`blocks.${Math.floor(i / 2)}.${i % 2}`, hidden, 1),
      ),
      unit('last', outChannels, 0.1),
    ];
    this.parameters = [
      ...this.#lift.parameters,
      ...this.#units.flatMap(({ norm, conv }) => [...norm.parameters, ...conv.parameters]),
    ];
  }

  /** Training mode, or evaluation mode, of all normalizations. Default: true. */
  get training(): boolean {
    return this.#units[0]!.norm.training;
  }

  set training(on: boolean) {
    for (const { norm } of this.#units) norm.training = on;
  }

  forward(x: Tensor): { y: Tensor; saved: SavedResNet } {
    requireChannels('ResNet', x, this.#inChannels);
    const units: SavedUnit[] = [];
    let h = this.#lift.forward(x, 'none', []);
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
    start.dispose();
    const dispose = () => {
      for (const { norm, activated } of units) {
        norm.dispose();
        activated.dispose();
      }
    };
    return { y: h, saved: { x, units, dispose } };
  }

  backward(dy: Tensor, { x, units }: SavedResNet): { dx: Tensor } {
    const back = (i: number, d: Tensor) => backwardUnit(this.#units[i]!, units[i]!, d);
    let dh = back(units.length - 1, dy);
    for (let i = units.length - 2; i > 0; i -= 2) {
      const inner = back(i, dh);
      const through = back(i - 1, inner);
      const sum = add(dh, through);
      for (const dead of [inner, through, dh]) dead.dispose();
      dh = sum;
    }
    const dx = this.#lift.backward(x, dh);
    dh.dispose();
    return { dx };
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor } {
    requireChannels('ResNet', x, this.#inChannels);
    return tidy(() => {
      let h = this.#lift.forward(x, 'none', []);
      let dh = this.#lift.tangent(x, h, tangent.x, tangent);
      let [start, dstart] = [h, dh];
      this.#units.forEach((unit, i) => {
        [h, dh] = unitTangent(unit, h, dh, tangent);
        if (i % 2 === 1) {
          [h, dh] = [add(start, h), add(dstart, dh)];
          [start, dstart] = [h, dh];
        }
      });
      return { y: h, dy: dh };
    });
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
