/**
 * Layers pass by pass, where what a pass takes follows from what the passes before it gave. Passes are halved again
 * and again: the first half gives its share to all units of the second at once, so that most products are large.
 * Mathematics: docs/math/autoregressive/made-block.md
 */
import { concat, matmul, slice, type Tensor, tidy } from '@invnet/tensor';
import { sumOfTerms } from '../core/idioms.ts';
import type { Masks, Range } from './masks.ts';

/** Numbers of each layer for some passes; undefined where these have none. */
export type Pieces = (Tensor | undefined)[];

/** What the layers take and sum up in some passes. */
export interface Swept {
  readonly inputs: Pieces;
  readonly sums: Pieces;
}

/** Passes from the first number on, up to the second one and without it. */
export type Passes = readonly [number, number];

/** Weights in blocks of passes. */
export class Blocks {
  readonly all: Passes;
  readonly #masks: Masks;
  readonly #weights: readonly Tensor[];
  readonly #size: number;

  /** @param weights - of each layer; the last one's rows stand channel by channel, `size` for each. */
  constructor(masks: Masks, weights: readonly Tensor[], size: number) {
    this.all = [0, masks.channels.length];
    this.#masks = masks;
    this.#weights = weights;
    this.#size = size;
  }

  /** The units of a layer, or the results of the last one. */
  rows(layer: number, passes: Passes): Range {
    const units = this.#masks.units[layer];
    if (units) return span(units, passes);
    const { start, length } = span(this.#masks.channels, passes);
    return { start: start * this.#size, length: length * this.#size };
  }

  /** What a layer takes. */
  columns(layer: number, passes: Passes): Range {
    return layer === 0 ? span(this.#masks.channels, passes) : this.rows(layer - 1, passes);
  }

  /** What the inputs of some passes give to the units of others. */
  through(layer: number, v: Tensor | undefined, from: Passes, to: Passes): Tensor | undefined {
    if (!v || this.rows(layer, to).length === 0) return undefined;
    return tidy(() => matmul(v, this.#block(layer, to, from), { transposeB: true }));
  }

  /** What the gradients of some units give to the inputs of other passes. */
  back(layer: number, dz: Tensor | undefined, from: Passes, to: Passes): Tensor | undefined {
    if (!dz || this.columns(layer, to).length === 0) return undefined;
    return tidy(() => matmul(dz, this.#block(layer, from, to)));
  }

  #block(layer: number, rows: Passes, columns: Passes): Tensor {
    const [r, c] = [this.rows(layer, rows), this.columns(layer, columns)];
    return slice(slice(this.#weights[layer]!, 0, r.start, r.length), 1, c.start, c.length);
  }
}

/**
 * Evaluates passes in order.
 *
 * @param given - what the passes before have given to the sums of these; taken over.
 * @param one - evaluates one pass; takes over what was given to it.
 */
export function sweep(
  blocks: Blocks,
  given: Pieces,
  one: (pass: number, given: Pieces) => Swept,
  passes: Passes = blocks.all,
): Swept {
  const [start, end] = passes;
  if (end - start === 1) return one(start, given);
  const middle = (start + end) >> 1;
  const [first, second]: [Passes, Passes] = [
    [start, middle],
    [middle, end],
  ];
  const of = (t: Tensor | undefined, i: number, part: Passes) =>
    cut(t, blocks.rows(i, passes), blocks.rows(i, part));
  const before = sweep(
    blocks,
    given.map((t, i) => of(t, i, first)),
    one,
    first,
  );
  const rest = given.map((t, i) =>
    total(of(t, i, second), blocks.through(i, before.inputs[i], first, second)),
  );
  free(given);
  const after = sweep(blocks, rest, one, second);
  return { inputs: joined(before.inputs, after.inputs), sums: joined(before.sums, after.sums) };
}

/**
 * Differentiates passes, the last one first: the gradients of each layer's sums.
 *
 * @param given - what the passes behind have given to the gradients of each layer's inputs; taken over.
 * @param one - differentiates one pass; takes over what was given to it.
 */
export function sweepBack(
  blocks: Blocks,
  given: Pieces,
  one: (pass: number, given: Pieces) => Pieces,
  passes: Passes = blocks.all,
): Pieces {
  const [start, end] = passes;
  if (end - start === 1) return one(start, given);
  const middle = (start + end) >> 1;
  const [first, second]: [Passes, Passes] = [
    [start, middle],
    [middle, end],
  ];
  const of = (t: Tensor | undefined, i: number, part: Passes) =>
    cut(t, blocks.columns(i, passes), blocks.columns(i, part));
  const after = sweepBack(
    blocks,
    given.map((t, i) => of(t, i, second)),
    one,
    second,
  );
  const rest = given.map((t, i) => total(of(t, i, first), blocks.back(i, after[i], second, first)));
  free(given);
  return joined(sweepBack(blocks, rest, one, first), after);
}

/** The sum of those terms that are there, which it takes over. */
export function total(...terms: readonly (Tensor | undefined)[]): Tensor | undefined {
  const there = terms.filter((t) => t !== undefined);
  if (there.length < 2) return there[0];
  const sum = sumOfTerms(there[0]!, ...there);
  free(there);
  return sum;
}

export function free(tensors: readonly (Tensor | undefined)[]): void {
  for (const t of tensors) t?.dispose();
}

/** Part of what stands for a whole. */
function cut(t: Tensor | undefined, whole: Range, part: Range): Tensor | undefined {
  return t && part.length > 0 ? slice(t, 1, part.start - whole.start, part.length) : undefined;
}

/** Two pieces of each layer side by side, which it takes over. */
function joined(before: Pieces, after: Pieces): Pieces {
  return before.map((t, i) => {
    const u = after[i];
    if (!t || !u) return t ?? u;
    const both = concat([t, u], 1);
    free([t, u]);
    return both;
  });
}

function span(ranges: readonly Range[], [start, end]: Passes): Range {
  const [first, last] = [ranges[start]!, ranges[end - 1]!];
  return { start: first.start, length: last.start + last.length - first.start };
}
