/** What a network is made of, as a table of text. */

import { requireOptions } from '@invnet/tensor';
import { shapesGivenBy } from '../core/shape-rule.ts';
import { type AnyShape, formatStateShape } from '../core/state.ts';
import { type Module, placesIn, requireModule } from '../tree/module.ts';
import { countParameters } from './freezing.ts';

/** Of the column of options. */
const widestOptions = 60;

/** What `summary` is asked about. */
export interface SummaryOptions {
  /** The shape of the input, batch first, or of a pair; without it shapes are left out. */
  readonly input?: AnyShape;
}

/**
 * A line for each module: path, type, main options, shape of its output, numbers of parameters in it.
 * Nothing is computed for it but shapes.
 *
 * @throws ShapeError for an input that the network does not take.
 * @example console.log(summary(new Glow({ channels: 1 }), { input: [16, 1, 28, 28] }));
 */
export function summary(network: Module, options: SummaryOptions = {}): string {
  requireModule('summary', network);
  requireOptions('summary', options, ['input']);
  const { input } = options;
  const shapes = input === undefined ? input : shapesIn(network, input);
  const wrapped = new Map<string, number>();
  const rows = [...placesIn(network)].map(({ path, module }) => {
    const depth = wrapped.get(path) ?? 0;
    wrapped.set(path, depth + 1);
    const shape = shapes?.get(module);
    return [
      nameOf(path, depth),
      module.type,
      optionsOf(module),
      ...(shapes ? [shape ? formatStateShape(shape) : ''] : []),
      String(countParameters(module)),
    ];
  });
  const header = ['path', 'type', 'options', ...(shapes ? ['output'] : []), 'parameters'];
  const [all, trained] = [countParameters(network), countParameters(network, { trained: true })];
  return [...table(header, rows), '', `${all} parameters, ${trained} of them trained`].join('\n');
}

/** The path, with `inner` behind it for what a wrapper there wraps. */
function nameOf(path: string, wrappers: number): string {
  const names = [...(path === '' ? [] : [path]), ...new Array<string>(wrappers).fill('inner')];
  return names.join('.') || '(itself)';
}

/** The shapes that the network, and what it is made of, give for an input. */
function shapesIn(network: Module, input: AnyShape): ReadonlyMap<Module, AnyShape> {
  if (!givesShapes(network)) return new Map();
  let own: AnyShape | undefined;
  const given = shapesGivenBy(() => {
    own = network.outputShape(input);
  });
  return own ? new Map([...given, [network, own]]) : given;
}

/** Is it a network, a conditioner or a flow? */
function givesShapes(
  module: Module,
): module is Module & { outputShape(x: AnyShape): AnyShape | undefined } {
  return 'outputShape' in module && typeof module.outputShape === 'function';
}

/** Numbers, texts and short lists among the options, as many as fit the column. */
function optionsOf(module: Module): string {
  const all = Object.entries(module.options)
    .flatMap(([name, value]) => {
      const text = optionText(value);
      return text === undefined ? [] : [`${name} ${text}`];
    })
    .join(', ');
  return all.length > widestOptions ? `${all.slice(0, widestOptions - 1)}…` : all;
}

function optionText(value: unknown): string | undefined {
  if (['number', 'string', 'boolean'].includes(typeof value)) return String(value);
  if (Array.isArray(value) && value.every((v) => typeof v === 'number')) {
    return `[${value.join(', ')}]`;
  }
  const named = typeof value === 'object' && value !== null && 'apply' in value && 'name' in value;
  return named ? String(value.name) : undefined;
}

/** Columns of one width; the last one, of numbers, to the right. */
function table(header: readonly string[], rows: readonly string[][]): string[] {
  const all = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((w) => '-'.repeat(w)).join('  '), ...rows.map(line)];
}
