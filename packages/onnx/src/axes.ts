/**
 * Backends see operands with their axes merged where possible. ONNX nodes are better off with the axes
 * that a value has already: then nothing need be reshaped between a convolution and what follows it.
 */
import type { Shape } from '@invnet/tensor';

/** Axes of a value, and within which of the merged axes each lies. */
export interface Axes {
  readonly sizes: Shape;
  readonly within: readonly number[];
}

/** The known sizes, where they part merged ones of the same product; else the merged ones. */
export function axesOf(merged: Shape, known: Shape): Axes {
  const within: number[] = [];
  let axis = 0;
  let left = merged[0]!;
  for (const size of known) {
    while (left === 1 && size !== 1 && axis + 1 < merged.length) {
      axis += 1;
      left = merged[axis]!;
    }
    if (left % size !== 0) return { sizes: merged, within: merged.map((_, i) => i) };
    left /= size;
    within.push(axis);
  }
  return { sizes: known, within };
}

/** The known sizes with the place of the middle axis of [outer, middle, inner]; else these. */
export function middleAxis(merged: Shape, known: Shape): { sizes: Shape; axis: number } {
  const { sizes, within } = axesOf(merged, known);
  const axis = sizes.findIndex((size, i) => within[i] === 1 && size === merged[1]);
  return axis === -1 ? { sizes: merged, axis: 1 } : { sizes, axis };
}
