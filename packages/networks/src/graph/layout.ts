/**
 * A layered drawing of a graph without cycles (Sugiyama, Tagawa and Toda, "Methods for visual understanding of
 * hierarchical system structures", 1981): boxes in rows, so that edges lead down, cross seldom and run straight.
 */

/** A box to be placed. */
export interface Box {
  readonly width: number;
  /** Boxes that it reads, by their numbers, and how straight the edge from each is to be. */
  readonly reads: readonly { readonly from: number; readonly weight: number }[];
}

/** Where boxes and edges are: middles of boxes, and points of edges from top to bottom. */
export interface Layout {
  readonly boxes: readonly { readonly x: number; readonly row: number }[];
  readonly edges: readonly {
    readonly from: number;
    readonly to: number;
    readonly points: readonly { readonly x: number; readonly row: number }[];
  }[];
}

/** A box, or the place where a long edge passes a row. */
interface Place {
  readonly width: number;
  readonly row: number;
  readonly above: Neighbour[];
  readonly below: Neighbour[];
  /** That of all its edges: how much it resists to be pushed aside. */
  weight: number;
  x: number;
}

interface Neighbour {
  readonly place: Place;
  readonly weight: number;
}

const sweeps = 24;

/** Places boxes, each below all that it reads; `gap` is what is kept free between two in a row. */
export function layoutOf(boxes: readonly Box[], gap: number): Layout {
  const rowOf = rowsOf(boxes);
  const rows: Place[][] = [];
  const place = (width: number, row: number): Place => {
    const made = { width, row, above: [], below: [], weight: 0, x: 0 };
    rows[row] = [...(rows[row] ?? []), made];
    return made;
  };
  const placed = boxes.map(({ width }, i) => place(width, rowOf[i]!));
  const edges = boxes.flatMap(({ reads }, to) =>
    reads.map(({ from, weight }) => {
      const through = [placed[from]!];
      for (let row = rowOf[from]! + 1; row < rowOf[to]!; row++) through.push(place(0, row));
      through.push(placed[to]!);
      for (const [i, lower] of through.slice(1).entries()) {
        const upper = through[i]!;
        lower.above.push({ place: upper, weight });
        upper.below.push({ place: lower, weight });
        for (const end of [upper, lower]) end.weight += weight;
      }
      return { from, to, points: through };
    }),
  );
  for (const row of rows) spread(row, gap);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.toReversed()) {
      for (const p of row) p.x = mean(down ? p.above : p.below) ?? p.x;
      // The order settles first, the places within it afterwards.
      if (sweep < sweeps / 2) row.sort((p, q) => p.x - q.x);
      spread(row, gap);
    }
  }
  const left = Math.min(...rows.flat().map((p) => p.x - p.width / 2));
  for (const p of rows.flat()) p.x -= left;
  return { boxes: placed, edges };
}

/** Below all that it reads; what reads nothing, right above its first reader. */
function rowsOf(boxes: readonly Box[]): readonly number[] {
  const rows = boxes.map(() => 0);
  const below = (i: number) =>
    boxes.flatMap(({ reads }, j) => (reads.some(({ from }) => from === i) ? [j] : []));
  for (let changed = true; changed; ) {
    changed = false;
    for (const [i, { reads }] of boxes.entries()) {
      const row = Math.max(rows[i]!, ...reads.map(({ from }) => rows[from]! + 1));
      changed ||= row !== rows[i];
      rows[i] = row;
    }
  }
  return boxes.map(({ reads }, i) =>
    reads.length === 0 ? Math.min(...below(i).map((j) => rows[j]!)) - 1 : rows[i]!,
  );
}

function mean(neighbours: readonly Neighbour[]): number | undefined {
  if (neighbours.length === 0) return undefined;
  const total = neighbours.reduce((sum, { weight }) => sum + weight, 0);
  return neighbours.reduce((sum, { place, weight }) => sum + weight * place.x, 0) / total;
}

/**
 * Moves what stands in a row as little as keeps its order and the gaps: least squares, by joining neighbours that
 * are too close into blocks (pool adjacent violators).
 */
function spread(row: readonly Place[], gap: number): void {
  const blocks: { sum: number; weight: number; places: readonly Place[] }[] = [];
  const offsets = new Map<Place, number>();
  let offset = 0;
  for (const [i, p] of row.entries()) {
    if (i > 0) offset += row[i - 1]!.width / 2 + gap + p.width / 2;
    offsets.set(p, offset);
    let block = {
      sum: p.weight * (p.x - offset),
      weight: p.weight,
      places: [p] as readonly Place[],
    };
    for (
      let last = blocks.at(-1);
      last && last.sum / last.weight > block.sum / block.weight;
      last = blocks.at(-1)
    ) {
      blocks.pop();
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        places: [...last.places, ...block.places],
      };
    }
    blocks.push(block);
  }
  for (const { sum, weight, places } of blocks) {
    for (const p of places) p.x = sum / weight + offsets.get(p)!;
  }
}
