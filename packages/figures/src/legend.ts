/** Which name has which colour: rows of samples with names behind them. */
import { element, moved, text, widthOf } from './svg.ts';
import { fontSize } from './theme.ts';

/** One name. */
export interface LegendEntry {
  readonly name: string;
  readonly color: string;
  /** Default: `'line'`. */
  readonly sample?: 'line' | 'dashes' | 'dot' | 'square';
}

const rowHeight = 18;
const sampleWidth = 18;
const gap = 14;

/** Entries in as many rows as the width asks for, a sample before each name. */
export function legend(
  entries: readonly LegendEntry[],
  { width }: { readonly width: number },
): { readonly height: number; readonly content: string } {
  const rows: { left: number; parts: string[] }[] = [{ left: 0, parts: [] }];
  for (const entry of entries) {
    const taken = sampleWidth + 4 + widthOf(entry.name);
    if (rows.at(-1)!.left > 0 && rows.at(-1)!.left + taken > width)
      rows.push({ left: 0, parts: [] });
    const row = rows.at(-1)!;
    row.parts.push(moved(row.left, 0, drawn(entry)));
    row.left += taken + gap;
  }
  const content = rows.map(({ left, parts }, i) =>
    moved((width - left + gap) / 2, i * rowHeight, parts.join('')),
  );
  return { height: rows.length * rowHeight, content: content.join('') };
}

function drawn({ name, color, sample = 'line' }: LegendEntry): string {
  const middle = rowHeight / 2;
  const samples = {
    line: () => stroke(color),
    dashes: () => stroke(color, '4 3'),
    dot: () => element('circle', { cx: sampleWidth / 2, cy: middle, r: 3, fill: color }),
    square: () => element('rect', { x: 5, y: middle - 5, width: 11, height: 11, fill: color }),
  };
  const start = { 'text-anchor': 'start', 'font-size': fontSize };
  return samples[sample]() + text(sampleWidth + 4, middle + 4, name, start);
}

function stroke(color: string, dashes?: string): string {
  const d = `M0,${rowHeight / 2}H${sampleWidth}`;
  return element('path', { d, stroke: color, 'stroke-width': 2, 'stroke-dasharray': dashes });
}
