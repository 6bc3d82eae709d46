/**
 * The function inside an `InvertibleResidual`: Lipschitz layers behind each other, and what a log-determinant
 * and its gradient ask of them. Mathematics: docs/math/residual/lipschitz-block.md
 */
import {
  add,
  formatShape,
  formatValue,
  mul,
  requireList,
  type Shape,
  ShapeError,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Module } from '../tree/module.ts';
import { type EvaluatedLayer, LipschitzLayer } from './lipschitz-layer.ts';

/** A term ⟨w, J v⟩ per sample, whose derivative a log-determinant's is a sum of. */
export interface Pairing {
  readonly v: Tensor;
  readonly w: Tensor;
}

/**
 * g(x) = gₖ(… g₁(x)), of Lipschitz constant at most the product of those of its layers, which is below 1; g keeps
 * the shape. Its layers are named by their position.
 *
 * @example
 * const block = new LipschitzBlock({
 *   layers: [
 *     new SpectralDense({ inChannels: 2, outChannels: 64, random }),
 *     new LipSwish(),
 *     new SpectralDense({ inChannels: 64, outChannels: 2, random }),
 *   ],
 * });
 */
export class LipschitzBlock extends Module {
  static readonly type: string = 'LipschitzBlock';
  readonly inner: readonly LipschitzLayer[];
  /** What the Lipschitz constant is at most, as far as the norms of the weights are known. */
  readonly lipschitz: number;

  /** @throws ValueError for what is no Lipschitz layer, and where the product of the constants is not below 1. */
  constructor(options: { readonly layers: readonly LipschitzLayer[] }) {
    super();
    requireModuleOptions('LipschitzBlock', options, ['layers']);
    const { layers } = options;
    requireList('LipschitzBlock', 'layers', layers);
    layers.forEach((layer, i) => {
      if (layer instanceof LipschitzLayer) return;
      throw new ValueError(
        `LipschitzBlock: layer ${i} is ${formatValue(layer)}; expected a Lipschitz layer, such as a SpectralDense.`,
      );
    });
    this.inner = [...layers];
    this.lipschitz = layers.reduce((product, layer) => product * layer.lipschitz, 1);
    if (this.lipschitz >= 1) {
      throw new ValueError(
        `LipschitzBlock: the layers' Lipschitz constants make ${this.lipschitz}; expected less than 1, by a ` +
          'SpectralDense or SpectralConv among them.',
      );
    }
  }

  get options() {
    return { layers: this.inner };
  }

  /** The block at its numbers of now; what it makes is freed by the `tidy` around it. */
  evaluate(): EvaluatedBlock {
    return new EvaluatedBlock(this.inner.map((layer) => layer.evaluate()));
  }

  /** The shape of x. @throws ShapeError unless the block takes it, and keeps it. */
  outputShape(x: Shape): Shape {
    requireList('LipschitzBlock', 'the shape', x);
    const y = this.inner.reduce((h, layer) => layer.outputShape(h), x);
    if (y.length === x.length && y.every((s, i) => s === x[i])) return x;
    throw new ShapeError(
      `LipschitzBlock: makes ${formatShape(y)} of ${formatShape(x)}; expected layers that keep the shape together.`,
    );
  }
}

/** A block whose weights were normalized once, for all that one call asks of it. */
export class EvaluatedBlock {
  readonly #layers: readonly EvaluatedLayer[];

  constructor(layers: readonly EvaluatedLayer[]) {
    this.#layers = layers;
  }

  /** g(x) */
  apply(x: Tensor): Tensor {
    return tidy(() => this.#layers.reduce((h, layer) => tidy(() => layer.apply(h)), x));
  }

  /** The block at x, with what each layer is given there. */
  at(x: Tensor): BlockAt {
    const arguments_ = [x];
    for (const layer of this.#layers) arguments_.push(tidy(() => layer.apply(arguments_.at(-1)!)));
    return new BlockAt(this.#layers, arguments_);
  }
}

/** What happens at a layer on the way back: its argument h, the gradient u of its result, and v and w there. */
type Visit = (layer: EvaluatedLayer, h: Tensor, u: Tensor | undefined, pairing: Pairing) => void;

/** A block at a point x, J = ∂g/∂x being its Jacobian there. */
export class BlockAt {
  readonly #layers: readonly EvaluatedLayer[];
  /** Of each layer, and the result. */
  readonly #arguments: readonly Tensor[];

  constructor(layers: readonly EvaluatedLayer[], arguments_: readonly Tensor[]) {
    this.#layers = layers;
    this.#arguments = arguments_;
  }

  get x(): Tensor {
    return this.#arguments[0]!;
  }

  /** Of each layer what it is given, and the result: with them, a block at x can be made again. */
  get states(): readonly Tensor[] {
    return this.#arguments;
  }

  /** g(x) */
  get y(): Tensor {
    return this.#arguments.at(-1)!;
  }

  /** J v */
  push(v: Tensor): Tensor {
    return tidy(() => this.#pushes(v).at(-1)!);
  }

  /** v ↦ J v for many v: what they share is computed once, and is freed by the `tidy` around it. */
  pusher(): (v: Tensor) => Tensor {
    const slopes = this.#layers.map((layer, i) => layer.slope?.(this.#arguments[i]!));
    return (v) =>
      tidy(() =>
        this.#layers.reduce((d, layer, i) => {
          const slope = slopes[i];
          return tidy(() => (slope ? mul(slope, d) : layer.push(this.#arguments[i]!, d)));
        }, v),
      );
  }

  /** Jᵀu */
  pull(u: Tensor): Tensor {
    return tidy(() =>
      this.#layers.reduceRight((d, layer, i) => tidy(() => layer.pull(this.#arguments[i]!, d)), u),
    );
  }

  /** J ẋ + (∂g/∂θ) θ̇; undefined where nothing moves. */
  tangent({ x: dx, ...directions }: Tangent): Tensor | undefined {
    return tidy(() =>
      this.#layers.reduce<Tensor | undefined>((d, layer, i) => {
        const h = this.#arguments[i]!;
        const moved = layer.moved(h, directions);
        if (!d) return moved;
        const pushed = layer.push(h, d);
        return moved ? add(pushed, moved) : pushed;
      }, dx),
    );
  }

  /**
   * The gradient of ⟨u, g⟩ + Σ ⟨w, J v⟩ with respect to x; adds those with respect to the parameters to their
   * `grad`. One pairing is followed at a time, so memory does not grow with their number.
   */
  gradient(u: Tensor | undefined, pairings: Iterable<Pairing> = []): Tensor {
    let total: Tensor | undefined;
    // The first pairing goes along with u.
    let alone = u;
    for (const pairing of pairings) {
      const [before, start] = [total, alone];
      alone = undefined;
      total = tidy(() => {
        const visit: Visit = (layer, h, gradient, { v, w }) => {
          if (gradient) layer.accumulate(h, gradient);
          layer.accumulateBend(h, v, w);
        };
        const found = this.#backWith(pairing, visit, start);
        return before ? add(before, found) : found;
      });
      before?.dispose();
    }
    if (alone) total = this.#back(alone);
    return total ?? zerosLike(this.x);
  }

  /** The derivative of Σ ⟨w, J v⟩ along a direction, per sample. */
  bendAlong({ x: dx, ...directions }: Tangent, pairings: Iterable<Pairing>): Tensor {
    let total: Tensor | undefined;
    for (const pairing of pairings) {
      const before = total;
      total = tidy(() => {
        const products: (readonly [Tensor | undefined, Tensor | undefined])[] = [];
        const towardsX = this.#backWith(pairing, (layer, h, u, { v, w }) => {
          if (u) products.push([u, layer.moved(h, directions)]);
          products.push([w, layer.movedPush(h, v, directions)]);
        });
        products.push([towardsX, dx]);
        const terms = products.map(([a, b]) => a && b && sumPerSample(mul(a, b)));
        return sumOfTerms(sumPerSample(this.x), before, ...terms);
      });
      before?.dispose();
    }
    return total ?? zeros([this.x.shape[0]!], this.x);
  }

  /** Backwards through the layers alone. */
  #back(u: Tensor): Tensor {
    return this.#layers.reduceRight((d, layer, i) => {
      const h = this.#arguments[i]!;
      const next = tidy(() => {
        layer.accumulate(h, d);
        return layer.pull(h, d);
      });
      if (d !== u) d.dispose();
      return next;
    }, u);
  }

  /**
   * Backwards through the derivative along v: each layer has w for that, and u for what it was taken at, which is
   * `start` for the result.
   */
  #backWith({ v, w }: Pairing, visit: Visit, start?: Tensor): Tensor {
    const pushes = this.#pushes(v);
    let [u, weight] = [start, w];
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const [layer, h, along] = [this.#layers[i]!, this.#arguments[i]!, pushes[i]!];
      visit(layer, h, u, { v: along, w: weight });
      const bend = layer.bend?.(h, along, weight);
      u = u ? (bend ? add(layer.pull(h, u), bend) : layer.pull(h, u)) : bend;
      weight = layer.pull(h, weight);
    }
    return u ?? zerosLike(this.x);
  }

  /** v before each layer, and behind the last. */
  #pushes(v: Tensor): Tensor[] {
    const pushes = [v];
    this.#layers.forEach((layer, i) => {
      pushes.push(tidy(() => layer.push(this.#arguments[i]!, pushes[i]!)));
    });
    return pushes;
  }
}
