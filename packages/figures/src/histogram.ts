/** Bars over an axis of numbers: how often what was in each bin, and how often it should have been. */
import {
  requireAtLeast,
  requireBetween,
  requireList,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import type { Figure } from './figure.ts';
import { type FrameOptions, framed, frameNames, requireFrame } from './frame.ts';
import { requireNumberList } from './numbers.ts';
import { colors, softInk } from './theme.ts';

/** What is drawn. */
export interface HistogramOptions extends FrameOptions {
  /** Of bins of equal width, from the left to the right. */
  readonly counts: ArrayLike<number>;
  /** Where the first bin begins and the last one ends. Default: 0 and 1. */
  readonly edges?: readonly [number, number];
  /** A height that all bars should have, and between which heights chance lets them be. */
  readonly expected?: {
    readonly count: number;
    readonly low: number;
    readonly high: number;
    readonly name?: string;
  };
}

/**
 * A histogram of what has been counted.
 *
 * @throws ValueError without counts, and for options that do not fit.
 * @example
 * const expected = { count: 25, low: 13, high: 38, name: 'uniform, 99 %' };
 * histogram({ title: 'Ranks', counts: [24, 31, 19, 26], expected, x: { label: 'normalized rank' } });
 */
export function histogram(options: HistogramOptions): Figure {
  check(options);
  const { edges = [0, 1], expected, ...frame } = options;
  const counts = Array.from(options.counts);
  const width = (edges[1] - edges[0]) / counts.length;
  const most = Math.max(...counts, expected?.high ?? 0);
  const marks = [
    Plot.rectY(counts, {
      x1: (_, i) => edges[0] + i * width,
      x2: (_, i) => edges[0] + (i + 1) * width,
      y: (count: number) => count,
      ...{ insetLeft: 0.5, insetRight: 0.5, fill: colors[0], fillOpacity: 0.6, clip: true },
    }),
    // Before the bars, so that their ends are seen within it.
    expected &&
      Plot.rect([expected], {
        ...{ x1: edges[0], x2: edges[1], y1: 'low', y2: 'high' },
        fill: softInk,
        fillOpacity: 0.25,
      }),
    expected && Plot.ruleY([expected.count], { stroke: softInk, strokeDasharray: '4 3' }),
  ];
  const name = expected?.name;
  return framed(
    marks.map((mark) => mark ?? null),
    {
      options: frame,
      ranges: { x: frame.x?.range ?? edges, y: frame.y?.range ?? [0, most > 0 ? 1.08 * most : 1] },
      entries: name === undefined ? [] : [{ name, color: softInk, sample: 'dashes' }],
      marginRight: 14,
    },
  );
}

function check(options: HistogramOptions): void {
  const op = 'histogram';
  requireOptions(op, options, [...frameNames, 'counts', 'edges', 'expected']);
  requireFrame(op, options);
  const { counts, edges, expected } = options;
  requireNumberList(op, 'counts', counts);
  if (counts.length === 0) throw new ValueError(`${op}: counts is empty; expected a bin.`);
  for (let i = 0; i < counts.length; i++) requireAtLeast(op, `counts[${i}]`, counts[i]!, 0);
  if (edges !== undefined) {
    requireList(op, 'edges', edges, 'two numbers');
    requireBetween(op, 'edges[0]', edges[0]);
    requireBetween(op, 'edges[1]', edges[1], edges[0]);
  }
  if (expected === undefined) return;
  requireOptions(`${op}: expected`, expected, ['count', 'low', 'high', 'name']);
  for (const name of ['count', 'low', 'high'] as const) {
    requireAtLeast(op, `expected.${name}`, expected[name], 0);
  }
}
