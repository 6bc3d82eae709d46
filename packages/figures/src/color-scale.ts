/** From values to colours: three palettes, and the range that they cover. */
import { requireBetween, requireOneOf, requireOptions, ValueError } from '@invnet/tensor';
import * as Plot from '@observablehq/plot';

const palettes = ['grey', 'sequential', 'diverging'] as const;

/** Black to white; black over red to light yellow (inferno); blue over white to red, white being 0. */
export type Palette = (typeof palettes)[number];

/** How values become colours. */
export interface Scale {
  /** Default: `'grey'`. */
  readonly palette?: Palette;
  /** The values of the first and the last colour. Default: what the values cover. */
  readonly range?: readonly [number, number];
  /** In place of `range`: the part of all values that it covers, above 0.5. Default: 1, all of them. */
  readonly clip?: number;
  /** Beside the bar. */
  readonly label?: string;
}

/** A scale whose range is known. */
export interface ColorScale {
  readonly label: string | undefined;
  readonly low: number;
  readonly high: number;
  /** 256 colours, red, green and blue of each. */
  readonly table: Uint8Array;
}

/** @throws ValueError for names, ranges or parts that are none. */
export function requireScale(op: string, scale: Scale): void {
  requireOptions(op, scale, ['palette', 'range', 'clip', 'label']);
  const { palette = 'grey', range = [0, 1], clip = 1 } = scale;
  requireOneOf(op, 'palette', palette, palettes);
  requireBetween(op, 'range[0]', range[0]);
  requireBetween(op, 'range[1]', range[1], range[0]);
  if (clip !== 1) requireBetween(op, 'clip', clip, 0.5, 1);
  if (scale.range && scale.clip !== undefined) {
    throw new ValueError(`${op}: both range and clip are given; expected one of them.`);
  }
}

/** The scale over all the values that are shown by it. */
export function colorScale(scale: Scale, values: Iterable<number>): ColorScale {
  const { palette = 'grey', clip = 1, label } = scale;
  const [low, high] = scale.range ?? rangeOf(values, clip, palette === 'diverging');
  return { label, low, high, table: tables[palette]() };
}

/** The place in the table of a value's colour; values beyond the range have the colour at its end. */
export function colorIndex({ low, high }: ColorScale, value: number): number {
  return Math.min(255, Math.max(0, Math.floor((256 * (value - low)) / (high - low))));
}

function rangeOf(values: Iterable<number>, clip: number, symmetric: boolean): [number, number] {
  const shown = Float64Array.from(values).filter(Number.isFinite);
  const sorted = (symmetric ? shown.map(Math.abs) : shown).sort();
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? 0;
  const [low, high] = symmetric ? [-at(clip), at(clip)] : [at((1 - clip) / 2), at((1 + clip) / 2)];
  // A constant image is in the middle of a range around it.
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

const tables: Record<Palette, () => Uint8Array> = {
  grey: () => Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3)),
  sequential: () => schemeTable('inferno', (i) => i / 255),
  diverging: () => schemeTable('rdbu', (i) => 1 - i / 255),
};

function schemeTable(scheme: Plot.ColorScheme, at: (index: number) => number): Uint8Array {
  const color = Plot.scale({ color: { type: 'linear', domain: [0, 1], scheme } });
  const table = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) table.set(components(color.apply(at(i))), 3 * i);
  return table;
}

/** Red, green and blue of `#rrggbb` or `rgb(red, green, blue)`. */
export function components(color: string): number[] {
  if (!color.startsWith('#')) return color.match(/\d+/g)!.map(Number);
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
}
