/**
 * The layers of a masked network, evaluated and differentiated in one go where their input is known, and pass
 * by pass where each channel follows from those before: then each unit is computed once, when all that it
 * sees is known, and its gradient once, when all that sees it has one. Channels stand in the order of
 * evaluation. Mathematics: docs/math/autoregressive/made-block.md
 */
import { add, matmul, mul, permute, slice, type Tensor, tidy, zeros } from '@invnet/tensor';
import { sumOfTerms } from '../core/idioms.ts';
import type { Activation } from '../elementwise/activation.ts';
import type { TensorBuffer } from '../tree/buffer.ts';
import type { Parameter } from '../tree/parameter.ts';
import type { Masks, Range } from './masks.ts';
import {
  Blocks,
  free,
  type Passes,
  type Pieces,
  type Swept,
  sweep,
  sweepBack,
  total,
} from './sweep.ts';

/** z = (W ⊙ M) v + b. The mask of the last layer has one row for each channel, which all its results share. */
export interface MaskedLayer {
  readonly w: Parameter;
  readonly b: Parameter;
  readonly mask: TensorBuffer;
}

/**
 * What stands between layers: activations (`plain`); or, behind the first layer, blocks of two that add to what
 * they get, with an activation between them (`residual`), and one before them as well (`preactivated`).
 */
export type MadeBlocks = 'plain' | 'residual' | 'preactivated';

/** An evaluation: all that its derivatives need. */
export interface Trace {
  /** The input of each layer: x, then what the units give. */
  readonly inputs: readonly Tensor[];
  /** What the units of each hidden layer sum up, before their activation. */
  readonly sums: readonly Tensor[];
}

/** A trace and the result, [N, size·D]. */
export interface Evaluated extends Trace {
  readonly p: Tensor;
}

/** What the units of a hidden layer, or some of them, make of their sums. */
export type Activate = (sums: Tensor, layer: number, units?: Range) => Tensor;

interface Parts {
  readonly layers: readonly MaskedLayer[];
  readonly masks: Masks;
  /** Results for each channel. */
  readonly size: number;
  readonly blocks: MadeBlocks;
  readonly activation: Activation;
}

/** The layers of a masked network. It frees what it makes large on the way, and leaves the rest to its caller. */
export class MaskedLayers {
  readonly #parts: Parts;
  readonly #hidden: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#hidden = parts.layers.length - 1;
  }

  /** The network's own activations; where a layer has none, the sums in a tensor of its own. */
  readonly activate: Activate = (sums, layer) =>
    this.#isLinear(layer) ? sums.reshape(sums.shape) : this.#parts.activation.apply(sums);

  /** Their derivatives at an evaluation, which take tangents and gradients alike. */
  slopesAt({ inputs, sums }: Trace): Activate {
    return (moved, layer, units) => {
      if (this.#isLinear(layer)) return moved.reshape(moved.shape);
      const at = (t: Tensor) => (units ? columns(t, units) : t);
      const { activation } = this.#parts;
      return tidy(() => activation.grad(at(inputs[layer + 1]!), moved, at(sums[layer]!)));
    };
  }

  /** A tensor of the shape of a layer's W, masked. */
  masked(layer: number, w: Tensor): Tensor {
    const { mask } = this.#parts.layers[layer]!;
    if (layer < this.#hidden) return mul(w, mask.data);
    return tidy(() => mul(w.reshape([-1, ...mask.shape]), mask.data).reshape(w.shape));
  }

  /** W ⊙ M; of the first layer what the channels go through, and not a joined context. */
  weights(layer: number): Tensor {
    const w = this.masked(layer, this.#parts.layers[layer]!.w.data);
    const channels = this.#parts.masks.order.length;
    if (layer > 0 || w.shape[1] === channels) return w;
    const own = slice(w, 1, 0, channels);
    w.dispose();
    return own;
  }

  /** All layers for an x that is known; each adds `added` to its product, [N, …] or [1, …]. */
  evaluate(x: Tensor, added: readonly Tensor[], activate: Activate): Evaluated {
    const [inputs, sums]: [Tensor[], Tensor[]] = [[x], []];
    const layer = (i: number) =>
      tidy(() => {
        const product = matmul(inputs[i]!, this.weights(i), { transposeB: true });
        return sumOfTerms(product, product, added[i], this.#isSkipped(i) ? sums[i - 2] : undefined);
      });
    for (let i = 0; i < this.#hidden; i++) {
      sums[i] = layer(i);
      inputs[i + 1] = activate(sums[i]!, i);
    }
    return { inputs, sums, p: layer(this.#hidden) };
  }

  /** The gradient of each layer's sums, the last of which is p, for that of p. */
  backward(dp: Tensor, trace: Trace): Tensor[] {
    const slopes = this.slopesAt(trace);
    const gradients: Tensor[] = [];
    gradients[this.#hidden] = dp;
    for (let i = this.#hidden - 1; i >= 0; i--) {
      gradients[i] = tidy(() => {
        const through = slopes(matmul(gradients[i + 1]!, this.weights(i + 1)), i);
        return this.#isSkipped(i + 2) ? add(through, gradients[i + 2]!) : through;
      });
    }
    return gradients;
  }

  /**
   * As `evaluate`, where `next` makes the channels of a pass of their results, [N, size·channels]. What it gives is
   * taken over.
   */
  sweep(
    samples: number,
    added: readonly Tensor[],
    activate: Activate,
    next: (p: Tensor, channels: Range) => Tensor,
  ): Evaluated {
    const { masks, size } = this.#parts;
    const weights = this.#weightsByChannel();
    const blocks = new Blocks(masks, weights, size);
    const start = added.map((own, i) =>
      tidy(() => {
        const share = i < this.#hidden ? own : swapped(own, size);
        return add(zeros([samples, share.shape[1]!], share), share);
      }),
    );
    const { inputs, sums } = sweep(blocks, start, (pass, given) => {
      const here: Passes = [pass, pass + 1];
      const swept: Swept = { inputs: [], sums: [] };
      for (const [i, share] of given.entries()) {
        const product = i > 0 ? blocks.through(i, swept.inputs[i], here, here) : undefined;
        const skipped = this.#isSkipped(i) ? swept.sums[i - 2] : undefined;
        const z = total(share, product, skipped?.reshape(skipped.shape));
        swept.sums[i] = z;
        if (i < this.#hidden) swept.inputs[i + 1] = z && activate(z, i, blocks.rows(i, here));
      }
      const channels = masks.channels[pass]!;
      const p = swapped(swept.sums[this.#hidden]!, channels.length);
      swept.inputs[0] = next(p, channels);
      p.dispose();
      return swept;
    });
    free(weights);
    const all = swapped(sums[this.#hidden]!, masks.order.length);
    free(sums.slice(this.#hidden));
    return { inputs: whole(inputs), sums: whole(sums.slice(0, this.#hidden)), p: all };
  }

  /**
   * As `backward`, from the last pass to the first, where `next` makes the gradient of the results of a pass's
   * channels, [N, size·channels], of what later passes give for the channels' own.
   */
  sweepBack(trace: Trace, next: (dx: Tensor | undefined, channels: Range) => Tensor): Tensor[] {
    const { masks, size, layers } = this.#parts;
    const slopes = this.slopesAt(trace);
    const weights = this.#weightsByChannel();
    const blocks = new Blocks(masks, weights, size);
    const start = layers.map(() => undefined);
    const gradients = sweepBack(blocks, start, (pass, given) => {
      const here: Passes = [pass, pass + 1];
      const moved: Pieces = [];
      moved[this.#hidden] = swapped(next(given[0], masks.channels[pass]!), size);
      for (let i = this.#hidden - 1; i >= 0; i--) {
        const units = blocks.rows(i, here);
        moved[i] = undefined;
        if (units.length === 0) continue;
        const dv = total(given[i + 1], blocks.back(i + 1, moved[i + 1], here, here));
        const skipped = this.#isSkipped(i + 2) ? moved[i + 2] : undefined;
        moved[i] = tidy(() => {
          const x = trace.inputs[0]!;
          const through = slopes(dv ?? zeros([x.shape[0]!, units.length], x), i, units);
          return skipped ? add(through, skipped) : through;
        });
        dv?.dispose();
      }
      free(given);
      return moved;
    });
    free(weights);
    return whole(gradients).map((dz, i) =>
      i < this.#hidden ? dz : swapped(dz, masks.order.length),
    );
  }

  /** W ⊙ M of each layer; the last one's rows by channels, all results of one side by side. */
  #weightsByChannel(): Tensor[] {
    return this.#parts.layers.map((_, i) => {
      if (i < this.#hidden) return this.weights(i);
      return tidy(() => {
        const w = this.weights(i);
        const { size } = this.#parts;
        return permute(w.reshape([size, -1, w.shape[1]!]), [1, 0, 2]).reshape(w.shape);
      });
    });
  }

  /** Has a layer's units no activation? */
  #isLinear(layer: number): boolean {
    const { blocks } = this.#parts;
    if (blocks === 'plain') return false;
    return layer === this.#hidden - 1 || (blocks === 'residual' && layer % 2 === 0);
  }

  /** Is what a block got added behind a layer? */
  #isSkipped(layer: number): boolean {
    return this.#parts.blocks !== 'plain' && layer % 2 === 0 && 2 <= layer && layer < this.#hidden;
  }
}

function columns(t: Tensor, { start, length }: Range): Tensor {
  return slice(t, 1, start, length);
}

/** [N, a·b] as [N, b·a]. */
function swapped(t: Tensor, a: number): Tensor {
  const [n, all] = t.shape;
  return tidy(() => permute(t.reshape([n!, a, -1]), [0, 2, 1]).reshape([n!, all!]));
}

/** Pieces of all passes, of which every layer has some. */
function whole(pieces: Pieces): Tensor[] {
  return pieces.map((t) => t!);
}
