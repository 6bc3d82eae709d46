/**
 * Which channels depend on which, from an order or from a graph, and how many passes it takes to compute
 * them one after another. Numbers only; what a network makes of them is in `masks.ts`.
 */
import {
  formatShape,
  formatValue,
  type RandomStream,
  requireList,
  ValueError,
} from '@invnet/tensor';
import { requireWhole } from '../core/checks.ts';
import { Permutation } from '../linear/permutation.ts';

/** How channels depend on each other: by an order, or by a graph. */
export interface CausalOptions {
  /**
   * The channels, counted from 0, one after another: each depends on all before it. `reversed` begins with
   * the last one; `random` is drawn. Default: as they stand. Saved is the list, in any case.
   */
  readonly order?: readonly number[] | 'reversed' | 'random' | undefined;
  /**
   * In how many groups of equal size the order is cut: channels of one group depend on the groups before
   * and not on each other, so that the inverse takes as many passes. 2 makes a coupling. Default: `channels`.
   */
  readonly passes?: number | undefined;
  /**
   * In place of an order a graph: channel i depends on channel j where `adjacency[i][j]`. The diagonal says
   * nothing, for each channel moves by itself. Behind the channels each row may have the channels of a
   * context that is joined; without them all of it is seen.
   */
  readonly adjacency?: readonly (readonly boolean[])[] | undefined;
}

/** Dependencies without a cycle. */
export interface CausalGraph {
  /** For each channel, which of the channels, then of those of the context, it depends on. */
  readonly parents: readonly (readonly boolean[])[];
  /** The channels, each behind those that it depends on. */
  readonly order: readonly number[];
  /** For each channel, the pass in which it can be computed, from 0. */
  readonly pass: readonly number[];
}

/** @throws ValueError for a cycle, for an order that is none, and where a graph comes with an order. */
export function causalGraph(
  op: string,
  channels: number,
  joined: number,
  options: CausalOptions & { readonly random: RandomStream },
): CausalGraph {
  const { adjacency, passes = channels, order = range(channels), random } = options;
  if (adjacency !== undefined) {
    if (options.order !== undefined || options.passes !== undefined) {
      throw new ValueError(
        `${op}: got both an adjacency and ${options.order === undefined ? 'passes' : 'an order'}; ` +
          'expected one of them, since a graph has its own order and passes.',
      );
    }
    const parents = parentsOf(op, channels, joined, adjacency);
    return sorted(op, parents, range(channels));
  }
  requireWhole(op, 'passes', passes, 1, channels);
  const list = new Permutation({ channels, order, random }).order;
  const group = Math.ceil(channels / passes);
  const groups = new Map(list.map((channel, place) => [channel, Math.floor(place / group)]));
  const context = new Array<boolean>(joined).fill(true);
  const parents = range(channels).map((i) => [
    ...range(channels).map((j) => groups.get(i)! > groups.get(j)!),
    ...context,
  ]);
  return sorted(op, parents, list);
}

function parentsOf(
  op: string,
  channels: number,
  joined: number,
  adjacency: readonly (readonly boolean[])[],
): boolean[][] {
  requireList(op, 'adjacency', adjacency, 'a list of rows, one for each channel');
  if (adjacency.length !== channels) {
    throw new ValueError(`${op}: adjacency has ${adjacency.length} rows; expected ${channels}.`);
  }
  return adjacency.map((row, i) => {
    requireList(op, `adjacency[${i}]`, row, 'a list of booleans');
    const widths = joined > 0 ? [channels, channels + joined] : [channels];
    if (!widths.includes(row.length)) {
      throw new ValueError(
        `${op}: adjacency[${i}] has ${row.length} entries; expected ${widths.join(' or ')}.`,
      );
    }
    const wrong = row.findIndex((entry) => typeof entry !== 'boolean');
    if (wrong >= 0) {
      throw new ValueError(
        `${op}: adjacency[${i}][${wrong}] is ${formatValue(row[wrong])}; expected true or false.`,
      );
    }
    return range(channels + joined).map((j) => i !== j && (row[j] ?? true));
  });
}

/** Takes, pass after pass, all channels whose parents have been taken. */
function sorted(op: string, parents: boolean[][], list: readonly number[]): CausalGraph {
  const pass = new Array<number>(list.length);
  const order: number[] = [];
  let left = [...list];
  for (let now = 0; left.length > 0; now++) {
    const ready = left.filter((i) => !left.some((j) => parents[i]![j]));
    if (ready.length === 0) {
      throw new ValueError(
        `${op}: adjacency has a cycle among or before the channels ${formatShape(left)}; expected that no ` +
          'channel depends on itself by way of others.',
      );
    }
    for (const i of ready) pass[i] = now;
    order.push(...ready);
    left = left.filter((i) => !ready.includes(i));
  }
  return { parents, order, pass };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}
