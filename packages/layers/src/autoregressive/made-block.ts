/**
 * The conditioner of autoregressive maps: what it gives for a channel depends on those before it alone.
 * Mathematics: docs/math/autoregressive/made-block.md
 */
import {
  add,
  concat,
  formatShape,
  matmul,
  RandomStream,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  tensor,
  tidy,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import { sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';
import { Permutation } from '../linear/permutation.ts';
import { TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { AddedContext, type ContextLayer, type Entry, targetOf } from './added-context.ts';
import { causalGraph } from './causal-graph.ts';
import { type MadeBlockOptions, madeDefaults, madeOptions, requireMasks } from './made-options.ts';
import { type MaskedLayer, MaskedLayers, type Trace } from './masked-layers.ts';
import { type MaskTable, masksOf, type Range } from './masks.ts';

/** An evaluation and its context. */
export interface SavedMade extends Trace {
  readonly context: Tensor | undefined;
  readonly entry: Entry | undefined;
}

/** Deviation of the weights of last layers, of the network and of blocks, relative to the usual one. */
const lastLayerGain = 0.1;

/**
 * MADE (Germain et al., "MADE: Masked autoencoder for distribution estimation", 2015): a dense network on
 * vectors [N, D] that gives `size` numbers for each channel, [N, size·D], the j-th of channel c in channel
 * j·D + c. Those of a channel depend on the channels before it in an order, or on its parents in a graph, and on
 * a context. Weights are masked, so that all other derivatives are exactly zero; the masks are buffers.
 *
 * The units of hidden layers see what the different channels depend on, in turn, and stand in the order in which
 * they can be computed: first those that see the context alone, then those that see the first pass's channels,
 * and so on. So do rows and columns of weights, channels included (`channelOrder`).
 *
 * Besides what conditioners do it can be evaluated pass by pass, where each channel follows from its parameters
 * (`solve`), with the arithmetic of one evaluation.
 *
 * @example
 * const block = new MadeBlock({ channels: 3, size: 2, hidden: [32, 32], order: 'reversed' });
 * const { y } = block.forward(x); // x [N, 3], y [N, 6]
 * const graph = [[false, false], [true, false]]; // channel 1 depends on channel 0
 * new MadeBlock({ channels: 2, size: 1, adjacency: graph, blocks: 'residual' });
 */
export class MadeBlock extends Conditioner<SavedMade> {
  static readonly type: string = 'MadeBlock';
  readonly channels: number;
  readonly size: number;
  /** The channels in the order in which they can be computed, and in which weights have them. */
  readonly channelOrder: readonly number[];
  /** How many passes it takes to compute the channels one after another. */
  readonly passes: number;
  readonly layers: readonly MaskedLayer[];
  readonly contextLayers: readonly ContextLayer[];
  readonly #options: ReturnType<typeof madeDefaults> & Omit<MadeBlockOptions, 'random'>;
  readonly #masked: MaskedLayers;
  readonly #added: AddedContext | undefined;
  readonly #sorting: Permutation | undefined;

  /**
   * @throws ValueError for sizes below 1, orders that are none, graphs with cycles, where no channel depends on
   * anything, and blocks of different widths.
   */
  constructor(options: MadeBlockOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('MadeBlock', options, ['channels', 'size', ...madeOptions]);
    const { channels, size, random = new RandomStream(0), ...rest } = options;
    requireSizes('MadeBlock', { channels, size });
    const { hidden, blocks, activation, contextChannels, context } = madeDefaults(rest);
    const joined = context === 'joined' ? contextChannels : 0;
    const plain = blocks === 'plain';
    const widths = plain ? hidden : [hidden[0]!, ...hidden.flatMap((width) => [width, width])];
    requireMasks([channels, channels + joined, ...widths, channels]);
    const graph = causalGraph('MadeBlock', channels, joined, { ...rest, random });
    const masks = masksOf('MadeBlock', graph, widths, !plain);
    this.channels = channels;
    this.size = size;
    this.channelOrder = Object.freeze([...masks.order]);
    this.passes = masks.channels.length;
    this.layers = masks.tables.map((table, i) => {
      const last = i === widths.length || (!plain && i > 0 && i % 2 === 0);
      return layerOf(i, table, i === widths.length ? size : 1, last ? lastLayerGain : 1, random);
    });
    const added = context === 'added' && contextChannels > 0;
    this.contextLayers = (!added ? [] : plain ? [0] : [0, ...hidden.keys()]).map((_, j) => ({
      w: new Parameter(
        `v${j}`,
        random.normal([hidden[0]!, contextChannels], contextChannels ** -0.5),
      ),
      b: new Parameter(`c${j}`, zeros([hidden[0]!])),
    }));
    this.#added = added ? new AddedContext(this.contextLayers, activation) : undefined;
    this.#masked = new MaskedLayers({ layers: this.layers, masks, size, blocks, activation });
    const stays = masks.order.every((channel, i) => channel === i);
    this.#sorting = stays ? undefined : new Permutation({ channels, order: masks.order });
    const { passes, adjacency } = rest;
    const order = stays || adjacency ? undefined : masks.order;
    const sizes = { channels, size, hidden, contextChannels };
    this.#options = { ...sizes, blocks, activation, context, order, passes, adjacency };
    building.complete();
  }

  get options() {
    return this.#options;
  }

  override get usesContext(): boolean {
    return this.#options.contextChannels > 0;
  }

  /** x in the order of evaluation. */
  sort(x: Tensor): Tensor {
    return this.#sorting ? this.#sorting.forward(x).y : x;
  }

  /** x from the order of evaluation. */
  unsort(x: Tensor): Tensor {
    return this.#sorting ? this.#sorting.inverse(x).x : x;
  }

  /** As `forward`, for channels in the order of evaluation; what is saved is the caller's to free. */
  evaluate(x: Tensor, context: Tensor | undefined): { p: Tensor; saved: SavedMade } {
    const { shares, ...rest } = this.#shares(x.shape[0]!, context);
    const { p, ...trace } = this.#masked.evaluate(x, shares, this.#masked.activate);
    return { p, saved: { ...trace, ...rest } };
  }

  /** As `backward`, for channels in the order of evaluation. */
  differentiate(dp: Tensor, saved: SavedMade): { dx: Tensor; dcontext?: Tensor } {
    const gradients = this.#masked.backward(dp, saved);
    const dx = tidy(() => matmul(gradients[0]!, this.#masked.weights(0)));
    return { dx, ...this.#gather(gradients, saved) };
  }

  /**
   * Evaluates pass by pass: `next` gets the numbers for a pass's channels, [N, size·channels], and gives these
   * channels, [N, channels], which are taken over. All of them are in `saved.inputs[0]`, in the order of evaluation.
   */
  solve(
    samples: number,
    context: Tensor | undefined,
    next: (p: Tensor, channels: Range) => Tensor,
  ): { p: Tensor; saved: SavedMade } {
    const { shares, ...rest } = this.#shares(samples, context);
    const { p, ...trace } = this.#masked.sweep(samples, shares, this.#masked.activate, next);
    return { p, saved: { ...trace, ...rest } };
  }

  /** The derivative of what `solve` gives, where `next` gets and gives directions. */
  solveTangent(
    saved: SavedMade,
    tangent: Tangent,
    next: (dp: Tensor, channels: Range) => Tensor,
  ): { dp: Tensor } {
    const [samples] = saved.inputs[0]!.shape;
    const moved = this.#shareTangents(saved, tangent);
    const { p: dp } = this.#masked.sweep(samples!, moved, this.#masked.slopesAt(saved), next);
    return { dp };
  }

  /**
   * Differentiates an evaluation from the last pass to the first: `next` gets what later passes give for the
   * gradient of a pass's channels, and gives that of their numbers.
   */
  solveBack(
    saved: SavedMade,
    next: (dx: Tensor | undefined, channels: Range) => Tensor,
  ): { dcontext?: Tensor } {
    return this.#gather(this.#masked.sweepBack(saved, next), saved);
  }

  /** What `evaluate` gives for some of the channels, which stand in the order of evaluation. */
  resultsOf(p: Tensor, { start, length }: Range): Tensor {
    const n = p.shape[0]!;
    return tidy(() => slice(p.reshape([n, this.size, -1]), 2, start, length).reshape([n, -1]));
  }

  protected apply(x: Tensor, context?: Tensor) {
    const { p, saved } = this.evaluate(this.sort(x), context);
    return { y: this.#unsortResults(p), saved };
  }

  protected applyBackward(dy: Tensor, saved: SavedMade) {
    const { dx, ...rest } = this.differentiate(this.#sortResults(dy), saved);
    return { dx: this.unsort(dx), ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { p, saved } = this.evaluate(this.sort(x), context);
    const dx = tangent.x ? this.sort(tangent.x) : zerosLike(x);
    const moved = this.#shareTangents(saved, tangent);
    const { p: dp } = this.#masked.evaluate(dx, moved, this.#masked.slopesAt(saved));
    return { y: this.#unsortResults(p), dy: this.#unsortResults(dp) };
  }

  protected applyShape(x: Shape): Shape {
    const { channels, size } = this;
    if (x.length === 2 && x[1] === channels) return [x[0]!, size * channels];
    throw new ShapeError(`MadeBlock: got ${formatShape(x)}; expected [N, ${channels}].`);
  }

  /** What each layer adds to its product: its bias, and what becomes of the context. */
  #shares(samples: number, context: Tensor | undefined) {
    const shares: Tensor[] = this.layers.map(({ b }) => b.data.reshape([1, -1]));
    const { contextChannels } = this.#options;
    if (contextChannels === 0) return { shares, context: undefined, entry: undefined };
    if (!context) throw new ValueError('MadeBlock: expected a context, got none.');
    if (!sameShape(context.shape, [samples, contextChannels])) {
      throw new ShapeError(
        `MadeBlock: context ${formatShape(context.shape)} for ${samples} samples; expected ` +
          `${formatShape([samples, contextChannels])}.`,
      );
    }
    if (this.#added) {
      const { shares: more, entry } = this.#added.apply(context);
      return { shares: together(shares, more), context, entry };
    }
    const joined = product(context, this.#joinedWeights());
    return { shares: together(shares, [joined]), context, entry: undefined };
  }

  /** The directions of what layers add, and of their products by weights that move. */
  #shareTangents({ inputs, context, entry }: SavedMade, tangent: Tangent): Tensor[] {
    const { parameters } = tangent;
    const moved = this.layers.map(({ w, b }, i) => {
      const dw = parameters?.get(w);
      const v = inputs[i]!;
      return sumOfTerms(
        zeros([1, w.shape[0]!], v),
        dw && product(i === 0 ? this.#beside(v, context) : v, this.#masked.masked(i, dw)),
        parameters?.get(b)?.reshape([1, -1]),
      );
    });
    if (this.#added) {
      return together(moved, this.#added.tangent(context!, entry!, tangent));
    }
    const through = tangent.context && product(tangent.context, this.#joinedWeights());
    return through ? together(moved, [through]) : moved;
  }

  /** Adds to the gradients of all parameters, for those of each layer's sums. */
  #gather(gradients: readonly Tensor[], saved: SavedMade): { dcontext?: Tensor } {
    const { inputs, context, entry } = saved;
    for (const [i, { w, b }] of this.layers.entries()) {
      const dz = gradients[i]!;
      const v = inputs[i]!;
      if (!b.frozen) b.takeGrad(channelSums(dz));
      if (w.frozen) continue;
      const dw = tidy(() => {
        const seen = i === 0 ? this.#beside(v, context) : v;
        return this.#masked.masked(i, matmul(dz, seen, { transposeA: true }));
      });
      w.takeGrad(dw);
    }
    if (!context) return {};
    if (this.#added) return { dcontext: this.#added.backward(context, entry!, gradients) };
    return { dcontext: matmul(gradients[0]!, this.#joinedWeights()) };
  }

  /** What the first layer sees: the channels, and a context that is joined. */
  #beside(x: Tensor, context: Tensor | undefined): Tensor {
    return context && !this.#added ? concat([x, context], 1) : x;
  }

  /** The first layer's weights of a context that is joined. */
  #joinedWeights(): Tensor {
    const { w } = this.layers[0]!;
    return slice(this.#masked.masked(0, w.data), 1, this.channels, w.shape[1]! - this.channels);
  }

  #sortResults(p: Tensor): Tensor {
    return this.#sorting ? this.sort(p.reshape([-1, this.channels])).reshape(p.shape) : p;
  }

  #unsortResults(p: Tensor): Tensor {
    return this.#sorting ? this.unsort(p.reshape([-1, this.channels])).reshape(p.shape) : p;
  }
}

/** A layer whose weights have a deviation for as many inputs as a row sees on average. */
function layerOf(
  i: number,
  { rows, columns, values }: MaskTable,
  size: number,
  gain: number,
  random: RandomStream,
): MaskedLayer {
  const seen = Math.max(1, values.reduce((total, v) => total + v, 0) / rows);
  return {
    w: new Parameter(`w${i}`, random.normal([size * rows, columns], gain * Math.sqrt(2 / seen))),
    b: new Parameter(`b${i}`, zeros([size * rows])),
    mask: new TensorBuffer(`mask${i}`, tensor(values, [rows, columns])),
  };
}

/** v Wᵀ */
function product(v: Tensor, w: Tensor): Tensor {
  return matmul(v, w, { transposeB: true });
}

/** The shares of all layers with those of a context. */
function together(shares: readonly Tensor[], more: readonly Tensor[]): Tensor[] {
  const all = [...shares];
  for (const [j, t] of more.entries()) all[targetOf(j)] = add(t, all[targetOf(j)]!);
  return all;
}
