/** Traces of a gather as lines, their positive lobes filled, as seismologists draw them. */
import { element } from './svg.ts';
import { ink } from './theme.ts';

/** A gather and where it goes. */
export interface WiggleOptions {
  /** Samples by traces, time running down. */
  readonly values: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  /** Each how manyth trace is drawn. */
  readonly every: number;
  /** The amplitude that reaches the next trace that is drawn. */
  readonly full: number;
  readonly box: { readonly width: number; readonly height: number };
}

/** Lines and lobes, the upper left corner of the panel being the origin. */
export function wiggles(options: WiggleOptions): string {
  const { values, width, height, every, full, box } = options;
  const trace = box.width / width;
  const swing = every * trace;
  const lines: string[] = [];
  const lobes: string[] = [];
  for (let column = Math.floor((every - 1) / 2); column < width; column += every) {
    const rest = (column + 0.5) * trace;
    const points: string[] = [];
    const positive: string[] = [];
    for (let row = 0; row < height; row++) {
      const amplitude = values[row * width + column]! / full;
      const y = (((row + 0.5) / height) * box.height).toFixed(1);
      // A strong arrival may reach over its neighbour, but no further.
      const x = (a: number) => (rest + swing * Math.min(1.5, Math.max(-1.5, a))).toFixed(1);
      points.push(`${x(amplitude)},${y}`);
      positive.push(`${x(Math.max(0, amplitude))},${y}`);
    }
    lines.push(`M${points.join('L')}`);
    const end = `${rest.toFixed(1)},${box.height.toFixed(1)}`;
    lobes.push(`M${rest.toFixed(1)},0L${positive.join('L')}L${end}Z`);
  }
  return (
    element('path', { d: lobes.join(''), fill: ink }) +
    element('path', { d: lines.join(''), fill: 'none', stroke: ink, 'stroke-width': 0.5 })
  );
}
