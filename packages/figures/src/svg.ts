/** SVG as text: elements and labels, and what Observable Plot draws, to be put where it belongs. */

import { formatValue, ValueError } from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { document } from '#platform';
import { fontSize, fontStack, ink, smallSize } from './theme.ts';

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** `<name …>content</name>`; attributes that are undefined are left out. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escaped(String(rounded(value!)))}"`);
  return `<${name}${written.join('')}>${content}</${name}>`;
}

/** A line of text; anchored at its middle unless the attributes say otherwise. */
export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, 'text-anchor': 'middle', ...attributes }, escaped(content));
}

/** Content with its origin moved. */
export function moved(x: number, y: number, content: string): string {
  return element('g', { transform: `translate(${rounded(x)},${rounded(y)})` }, content);
}

/** About how wide a text is, in the units of the figure. */
export function widthOf(content: string, size = fontSize): number {
  requireText(content);
  return 0.54 * size * content.length;
}

/** About how wide the labels of a linear axis get: those of its ends, with the digits that its steps need. */
export function widestTick([low, high]: readonly [number, number], size = smallSize): number {
  // Of the smallest step that there may be; as many as Plot writes at most.
  const digits = Math.ceil(-Math.log10((high - low) / 10));
  const minimumFractionDigits = Math.min(20, Math.max(0, digits));
  const label = (end: number) => Math.trunc(end).toLocaleString('en', { minimumFractionDigits });
  // Figures of equal width are wider than letters are on average.
  return 1.15 * Math.max(...[low, high].map((end) => widthOf(label(end), size)));
}

/** What Plot draws, as a group whose origin is the upper left corner of the plot. */
export function plotted(options: Plot.PlotOptions): string {
  const svg = Plot.plot({ ...options, document });
  // Its rules are for a plot that is alone in a page, and would stretch one within a figure.
  svg.querySelector('style')?.remove();
  const attributes = {
    fill: ink,
    color: ink,
    'font-family': fontStack,
    'font-size': fontSize,
    'text-anchor': 'middle',
  };
  // Plot's paths have all digits of a float64.
  const content = svg.innerHTML.replace(/ d="[^"]*"/g, (path) =>
    path.replace(/\d+\.\d{3,}/g, (number) => String(rounded(Number(number)))),
  );
  return element('g', attributes, content);
}

function rounded(value: string | number): string | number {
  return typeof value === 'number' ? Math.round(value * 100) / 100 : value;
}

/** @throws ValueError for a title, a name or a label that is no text. */
function requireText(content: string): void {
  if (typeof content === 'string') return;
  throw new ValueError(`figures: ${formatValue(content)} is no text; expected one, as of a title.`);
}

function escaped(content: string): string {
  if (typeof content !== 'string') {
    throw new ValueError(
      `figures: ${formatValue(content)} is no text; expected one, as of a title.`,
    );
  }
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
