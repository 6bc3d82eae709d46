/**
 * The layers of a masked network, evaluated and differentiated in one go where their input is known, and pass
 * by pass where each channel follows from those before: then each unit is computed once, when all that it
 * sees is known, and its gradient once, when all that sees it has one. Channels stand in the order of
 * evaluation. Mathematics: docs/math/autoregressive/made-block.md
 */
import { add, concat, matmul, mul, permute, slice, type Tensor, tidy, zeros } from '@invnet/tensor';
import { sumOfTerms } from '../core/idioms.ts';
import type { Activation } from '../elementwise/activation.ts';
import type { TensorBuffer } from '../tree/buffer.ts';
import type { Parameter } from '../tree/parameter.ts';
import type { Masks, Range } from './masks.ts';

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

  /** The network's own activations. */
  readonly activate: Activate = (sums, layer) =>
    this.#isLinear(layer) ? sums : this.#parts.activation.apply(sums);

  /** Their derivatives at an evaluation, which take tangents and gradients alike. */
  slopesAt({ inputs, sums }: Trace): Activate {
    return (moved, layer, units) => {
      if (this.#isLinear(layer)) return moved;
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
   * As `evaluate`, where `next` makes the channels of a pass of their results, [N, size·channels].
   */
  sweep(
    samples: number,
    added: readonly Tensor[],
    activate: Activate,
    next: (p: Tensor, channels: Range) => Tensor,
  ): Evaluated {
    const { masks, size } = this.#parts;
    const weights = this.#weightsByChannel();
    const [inputs, sums]: [Tensor[], Tensor[]] = [[], []];
    const shares = added.map((t, i) => (i < this.#hidden ? t : swapped(t, size)));
    /** Some rows of a layer, for what is known of its input. */
    const layer = (i: number, to: Range) =>
      tidy(() => {
        const v = inputs[i];
        const own = columns(shares[i]!, to);
        const w = v && columns(rows(weights[i]!, to), { start: 0, length: v.shape[1]! });
        return sumOfTerms(
          own,
          w ? matmul(v, w, { transposeB: true }) : zeros([samples, to.length], own),
          own,
          this.#isSkipped(i) ? columns(sums[i - 2]!, to) : undefined,
        );
      });
    for (const [pass, channels] of masks.channels.entries()) {
      for (let i = 0; i < this.#hidden; i++) {
        const units = masks.units[i]![pass]!;
        if (units.length === 0) continue;
        const z = layer(i, units);
        const v = activate(z, i, units);
        inputs[i + 1] = grown(inputs[i + 1], v, 'behind');
        sums[i] = grown(sums[i], z, 'behind');
        free(v, z);
      }
      const z = layer(this.#hidden, times(channels, size));
      const p = swapped(z, channels.length);
      const x = next(p, channels);
      inputs[0] = grown(inputs[0], x, 'behind');
      sums[this.#hidden] = grown(sums[this.#hidden], z, 'behind');
      free(p, z);
    }
    free(...weights, ...shares.slice(this.#hidden));
    return { inputs, sums: sums.slice(0, -1), p: swapped(sums.at(-1)!, masks.order.length) };
  }

  /**
   * As `backward`, from the last pass to the first, where `next` makes the gradient of the results of a pass's
   * channels, [N, size·channels], of what later passes give for the channels' own.
   */
  sweepBack(trace: Trace, next: (dx: Tensor | undefined, channels: Range) => Tensor): Tensor[] {
    const { masks, size } = this.#parts;
    const slopes = this.slopesAt(trace);
    const samples = trace.inputs[0]!.shape[0]!;
    const weights = this.#weightsByChannel();
    const gradients: Tensor[] = [];
    /** What the rows of a layer that have gradients, the last ones, give for some columns. */
    const through = (i: number, to: Range) => {
      const dz = gradients[i];
      if (!dz) return undefined;
      const length = dz.shape[1]!;
      const few = rows(weights[i]!, { start: weights[i]!.shape[0]! - length, length });
      return matmul(dz, columns(few, to));
    };
    for (const [pass, channels] of [...masks.channels.entries()].reverse()) {
      const dx = tidy(() => through(0, channels));
      const dp = next(dx, channels);
      const dz = swapped(dp, size);
      gradients[this.#hidden] = grown(gradients[this.#hidden], dz, 'before');
      dz.dispose();
      for (let i = this.#hidden - 1; i >= 0; i--) {
        const units = masks.units[i]![pass]!;
        if (units.length === 0) continue;
        const moved = tidy(() => {
          const dv = through(i + 1, units) ?? zeros([samples, units.length], trace.inputs[0]!);
          const back = slopes(dv, i, units);
          return this.#isSkipped(i + 2)
            ? add(back, columns(gradients[i + 2]!, { start: 0, length: units.length }))
            : back;
        });
        gradients[i] = grown(gradients[i], moved, 'before');
        moved.dispose();
      }
    }
    free(...weights);
    gradients.push(swapped(gradients.pop()!, masks.order.length));
    return gradients;
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

function rows(w: Tensor, { start, length }: Range): Tensor {
  return slice(w, 0, start, length);
}

function columns(t: Tensor, { start, length }: Range): Tensor {
  return slice(t, 1, start, length);
}

function times({ start, length }: Range, factor: number): Range {
  return { start: start * factor, length: length * factor };
}

/** [N, a·b] as [N, b·a]. */
function swapped(t: Tensor, a: number): Tensor {
  const [n, all] = t.shape;
  return tidy(() => permute(t.reshape([n!, a, -1]), [0, 2, 1]).reshape([n!, all!]));
}

/** A whole with a piece joined to its columns, in a tensor of its own; the whole is freed. */
function grown(whole: Tensor | undefined, piece: Tensor, where: 'before' | 'behind'): Tensor {
  if (!whole) return piece.reshape(piece.shape);
  const result = concat(where === 'behind' ? [whole, piece] : [piece, whole], 1);
  whole.dispose();
  return result;
}

function free(...tensors: readonly Tensor[]): void {
  for (const t of tensors) t.dispose();
}
