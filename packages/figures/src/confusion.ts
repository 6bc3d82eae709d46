/** Which class was taken for which. */
import {
  formatValue,
  requireBetween,
  requireList,
  requireOptions,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { Figure } from './figure.ts';
import { requireNumberList } from './numbers.ts';
import { plotted, widthOf } from './svg.ts';
import { fontSize, ink } from './theme.ts';

/** What is drawn. */
export interface ConfusionOptions {
  /** Counts: a row for each true class, a column for each predicted one. */
  readonly counts: readonly ArrayLike<number>[];
  readonly classes: readonly string[];
  readonly title?: string;
  /** Side of a cell. Default: 26. */
  readonly cell?: number;
}

/**
 * A confusion matrix: in each cell the percentage of its row, that is of the true class, so the diagonal has
 * the accuracies of the classes. Cells without a case are empty.
 *
 * @throws ShapeError unless there are as many rows and columns as classes; ValueError for what is no count.
 * @example confusion({ counts: [[48, 2], [10, 40]], classes: ['corn', 'oats'] });
 */
export function confusion(options: ConfusionOptions): Figure {
  check(options);
  const { counts, classes, title, cell = 26 } = options;
  const cells = counts.flatMap((row, i) => {
    const all = Array.from(row).reduce((sum, n) => sum + n, 0);
    return Array.from(row, (n, j) => ({ truth: i, predicted: j, part: n / all })).filter(
      ({ part }) => part > 0,
    );
  });
  const names = 0.95 * Math.max(...classes.map((name) => widthOf(name)));
  const side = cell * classes.length;
  const [width, height] = [side + names + 40, side + names + 40];
  const band = { domain: classes.map((_, i) => i), padding: 0, axis: null };
  const tickFormat = (i: number) => classes[i];
  const look = {
    tickFormat,
    tickSize: 0,
    fontSize,
    labelAnchor: 'center',
    labelArrow: 'none',
  } as const;
  const content = plotted({
    width,
    height,
    marginTop: 4,
    marginRight: 12,
    marginBottom: names + 36,
    marginLeft: names + 28,
    x: band,
    y: band,
    color: { type: 'linear', domain: [0, 1], scheme: 'blues' },
    marks: [
      Plot.cell(cells, { x: 'predicted', y: 'truth', fill: 'part', inset: 0.5 }),
      Plot.text(cells, {
        x: 'predicted',
        y: 'truth',
        text: ({ part }: { part: number }) => percentage(part),
        fill: ({ part }: { part: number }) => (part > 0.5 ? 'white' : ink),
        fontSize: Math.min(fontSize, 0.4 * cell),
      }),
      Plot.frame({ stroke: ink, strokeWidth: 0.75 }),
      Plot.axisX({ ...look, tickRotate: -90, label: 'predicted', labelOffset: names + 26 }),
      Plot.axisY({ ...look, label: 'true', labelOffset: names + 24 }),
    ],
  });
  return new Figure({ width, height, content, title, middle: names + 28 + side / 2 });
}

/** Less than half a percent is not nothing. */
function percentage(part: number): string {
  return part < 0.005 ? '<1' : String(Math.round(100 * part));
}

function check(options: ConfusionOptions): void {
  const op = 'confusion';
  requireOptions(op, options, ['counts', 'classes', 'title', 'cell']);
  const { counts, classes, cell } = options;
  requireList(op, 'counts', counts, 'a list of rows of counts');
  requireList(op, 'classes', classes, 'a list of names');
  for (const name of classes) {
    if (typeof name === 'string') continue;
    throw new ValueError(`${op}: a class is ${formatValue(name)}; expected its name.`);
  }
  for (const [i, row] of counts.entries()) requireNumberList(op, `counts[${i}]`, row);
  if (cell !== undefined) requireBetween(op, 'cell', cell, 0, 1000);
  const n = classes.length;
  if (n === 0 || counts.length !== n || counts.some((row) => row.length !== n)) {
    throw new ShapeError(
      `${op}: counts has ${counts.length} rows for ${n} classes; expected ${n} rows of ${n} counts.`,
    );
  }
  const wrong = counts.flatMap((row) => Array.from(row)).filter((count) => !(count >= 0));
  if (wrong.length === 0) return;
  throw new ValueError(`${op}: counts has ${formatValue(wrong[0])}; expected numbers from 0 on.`);
}
