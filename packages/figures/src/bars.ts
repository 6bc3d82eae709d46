/** Numbers of a few methods side by side. */
import {
  requireAtLeast,
  requireBetween,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { Figure } from './figure.ts';
import { legend } from './legend.ts';
import { moved, plotted, widthOf } from './svg.ts';
import { colors, fontSize, gridInk, ink } from './theme.ts';

/** One bar. */
export interface BarValue {
  /** Bars of one name lie together. */
  readonly name: string;
  readonly value: number;
  /** Which of several measurements it is; each has a colour. */
  readonly group?: string;
  /** Half the length of a whisker, such as a standard deviation. */
  readonly error?: number;
}

/** What is drawn. */
export interface BarsOptions {
  readonly values: readonly BarValue[];
  readonly title?: string;
  readonly label?: string;
  /** Default: what 0, the values and their whiskers cover. */
  readonly range?: readonly [number, number];
  /** Of the numbers beside the bars. Default: 3. */
  readonly digits?: number;
  /** Default: 420. */
  readonly width?: number;
}

const thickness = 20;

/**
 * Lying bars with their values beside them, in the order in which they are given.
 *
 * @throws ValueError without values, and for options that do not fit.
 * @example
 * bars({
 *   label: 'overall accuracy',
 *   values: [
 *     { name: 'support vector machine', group: 'random pixels', value: 0.798 },
 *     { name: 'support vector machine', group: 'blocks', value: 0.573 },
 *   ],
 * });
 */
export function bars(options: BarsOptions): Figure {
  check(options);
  const { values, title, label, digits = 3, width = 420 } = options;
  const names = [...new Set(values.map(({ name }) => name))];
  const groups = [...new Set(values.map(({ group = '' }) => group))];
  const colorOf = new Map(groups.map((group, i) => [group, colors[i % colors.length]!]));
  const [least, most] = [Math.min(0, ...values.map(low)), Math.max(0, ...values.map(high))];
  const domain = options.range ?? [least, most > least ? most : 1];
  // Where bars begin: at 0, unless the range leaves it out.
  const base = Math.min(Math.max(0, domain[0]), domain[1]);
  const height = names.length * (groups.length * thickness + 10) + (label === undefined ? 28 : 44);
  const at = { y: 'group', fy: 'name' };
  const plot = plotted({
    width,
    height,
    marginTop: 4,
    marginRight: 12 + widthOf('0'.repeat(digits + 3)),
    marginBottom: label === undefined ? 24 : 40,
    marginLeft: 12 + Math.max(...names.map((name) => widthOf(name))),
    x: { domain: [...domain], axis: null },
    y: { domain: groups, axis: null, padding: 0.1 },
    fy: { domain: names, axis: null, padding: 0.15 },
    marks: [
      Plot.gridX({ stroke: gridInk, strokeOpacity: 1, tickSpacing: 60 }),
      Plot.barX(values.map(withGroup), {
        ...at,
        x1: base,
        x2: 'value',
        fill: (bar: BarValue) => colorOf.get(bar.group ?? ''),
        clip: true,
      }),
      Plot.ruleY(
        values.map(withGroup).filter(({ error }) => error !== undefined),
        { ...at, x1: low, x2: high, stroke: ink, marker: 'tick' },
      ),
      Plot.text(values.map(withGroup), {
        ...at,
        x: (bar: BarValue) => Math.max(base, high(bar)),
        text: (bar: BarValue) => bar.value.toFixed(digits),
        textAnchor: 'start',
        dx: 4,
        fontSize,
      }),
      Plot.ruleX([base], { stroke: ink }),
      Plot.axisX({
        anchor: 'bottom',
        label: label ?? null,
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 36,
        tickSize: 4,
        tickSpacing: 60,
        fontSize,
      }),
      Plot.axisFy({ anchor: 'left', label: null, fontSize }),
    ],
  });
  const named = groups.filter((group) => group !== '');
  const entries = named.map((name) => ({
    name,
    color: colorOf.get(name)!,
    sample: 'square' as const,
  }));
  const key = legend(entries, { width: width - 16 });
  const above = named.length > 0 ? key.height + 4 : 0;
  const content = (above ? moved(8, 2, key.content) : '') + moved(0, above, plot);
  return new Figure({ width, height: height + above, content, title });
}

function withGroup(bar: BarValue): BarValue & { readonly group: string } {
  return { group: '', ...bar };
}

function low({ value, error = 0 }: BarValue): number {
  return value - error;
}

function high({ value, error = 0 }: BarValue): number {
  return value + error;
}

function check(options: BarsOptions): void {
  const op = 'bars';
  requireOptions(op, options, ['values', 'title', 'label', 'range', 'digits', 'width']);
  const { values, range, digits = 3, width = 420 } = options;
  requireList(op, 'values', values, 'a list of bars');
  if (values.length === 0) throw new ValueError('bars: values is empty; expected a bar.');
  for (const [i, bar] of values.entries()) {
    const where = `${op}: values[${i}]`;
    requireOptions(where, bar, ['name', 'value', 'group', 'error']);
    if (typeof bar.name !== 'string' || typeof (bar.group ?? '') !== 'string') {
      throw new ValueError(`${where}: name or group is no text; expected texts.`);
    }
    requireFinite(where, 'value', bar.value);
    requireAtLeast(where, 'error', bar.error ?? 0, 0);
  }
  if (range !== undefined) {
    requireList(op, 'range', range, 'two numbers');
    requireBetween(op, 'range[0]', range[0]);
    requireBetween(op, 'range[1]', range[1], range[0]);
  }
  requireWhole(op, 'digits', digits, 0, 10);
  requireBetween(op, 'width', width, 100);
}
