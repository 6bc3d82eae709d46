/**
 * The units of a masked network: which channels each one sees, when it can be computed, and the masks between
 * layers. Numbers only. Mathematics: docs/math/autoregressive/made-block.md
 */
import { ValueError } from '@invnet/tensor';
import type { CausalGraph } from './causal-graph.ts';

/** Neighbours along an axis. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** Units and channels stand in the order in which they can be computed. */
export interface Masks {
  /** The channels, in the order in which they can be computed. */
  readonly order: readonly number[];
  /** The channels of each pass. */
  readonly channels: readonly Range[];
  /** The units of each pass, for each hidden layer. */
  readonly units: readonly (readonly Range[])[];
  /** What each layer's rows see of its columns, 0 or 1, row by row; the last one's rows are the channels. */
  readonly tables: readonly MaskTable[];
}

/** A mask of a layer. */
export interface MaskTable {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Numbers that some unit may see: a set of columns, one bit each, the first column's the highest. */
interface Seen {
  readonly bits: bigint;
  /** The pass from which on all of them are known. */
  readonly pass: number;
}

/**
 * Each unit sees what one of the channels depends on, the different ones in turn (as zuko's `MaskedMLP`, and for
 * a chain of channels as Germain et al., 2015), and behind the first layer the units that see no more.
 *
 * @param widths - of each hidden layer.
 * @param alike - Do all layers have the units of the first, as residual blocks need?
 * @throws ValueError where no channel depends on anything.
 */
export function masksOf(
  op: string,
  graph: CausalGraph,
  widths: readonly number[],
  alike: boolean,
): Masks {
  const { parents, order, pass } = graph;
  const passes = 1 + Math.max(...pass);
  const rows = parents.map((row) => seenBy(row, pass));
  const sets = distinct(rows).filter(({ bits }) => bits !== 0n);
  if (sets.length === 0) {
    throw new ValueError(
      `${op}: no channel depends on another one or on a context; expected something to condition on. What ` +
        'stands alone is an ElementwiseTransform.',
    );
  }
  const layers: Seen[][] = [];
  for (const [i, count] of widths.entries()) {
    const before = layers[i - 1];
    const reached = before && !alike ? sets.filter((a) => before.some((b) => within(b, a))) : sets;
    const units = Array.from({ length: count }, (_, u) => reached[u % reached.length]!);
    layers.push(units.sort((a, b) => a.pass - b.pass));
  }
  const width = parents[0]!.length;
  const columns = Array.from({ length: width }, (_, i) => order[i] ?? i);
  const sees = ({ bits }: Seen, column: number) =>
    ((bits >> BigInt(width - 1 - column)) & 1n) === 1n;
  const channelSets = order.map((c) => rows[c]!);
  const first = table(layers[0]!, columns, sees);
  const others = [...layers.slice(1), channelSets].map((to, i) =>
    table(to, layers[i]!, (a, b) => within(b, a)),
  );
  return {
    order,
    channels: rangesOf(
      order.map((c) => pass[c]!),
      passes,
    ),
    units: layers.map((units) =>
      rangesOf(
        units.map((u) => u.pass),
        passes,
      ),
    ),
    tables: [first, ...others],
  };
}

function seenBy(row: readonly boolean[], pass: readonly number[]): Seen {
  const bits = BigInt(`0b${row.map(Number).join('')}`);
  const channels = pass.flatMap((p, c) => (row[c] ? [p + 1] : []));
  return { bits, pass: Math.max(0, ...channels) };
}

/** Each set once, in ascending order. */
function distinct(rows: readonly Seen[]): Seen[] {
  const found = new Map(rows.map((seen) => [seen.bits, seen]));
  return [...found.values()].sort((a, b) => (a.bits < b.bits ? -1 : 1));
}

function within(a: Seen, b: Seen): boolean {
  return (a.bits & b.bits) === a.bits;
}

function table<R, C>(
  rows: readonly R[],
  columns: readonly C[],
  sees: (row: R, column: C) => boolean,
): MaskTable {
  const values = Float32Array.from(rows.flatMap((r) => columns.map((c) => Number(sees(r, c)))));
  return { rows: rows.length, columns: columns.length, values };
}

/** Where each pass stands in an ascending list of passes. */
function rangesOf(ascending: readonly number[], passes: number): Range[] {
  let start = 0;
  return Array.from({ length: passes }, (_, pass) => {
    const length = ascending.filter((p) => p === pass).length;
    start += length;
    return { start: start - length, length };
  });
}
