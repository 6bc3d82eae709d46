/** Samples of vectors as metrics take them. */
import { formatShape, requireList, requireRecord, requireWhole, ShapeError } from '@invnet/tensor';
import { requireNumbers } from './numbers.ts';

/** Samples, batch first: shape [N, …] and the numbers in that order, as a tensor or a row source has them. */
export interface Points {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/**
 * How many samples there are, and of how many numbers each.
 *
 * @param op - Who asks, for messages. @param name - What the samples are called there.
 * @throws ValueError, ShapeError unless they are finite samples.
 * @example const { rows, columns } = requirePoints('report', 'samples', samples);
 */
export function requirePoints(
  op: string,
  name: string,
  points: Points,
): { readonly rows: number; readonly columns: number } {
  requireRecord(op, name, points, '{ shape, data }');
  const { shape, data } = points;
  requireList(op, `${name}.shape`, shape, 'a shape such as [samples, numbers]');
  for (const size of shape) requireWhole(op, `a size in ${name}.shape`, size, 1);
  requireNumbers(op, `${name}.data`, data);
  const [rows] = shape;
  const size = shape.reduce((product, n) => product * n, 1);
  if (rows !== undefined && size === data.length) return { rows, columns: size / rows };
  throw new ShapeError(
    `${op}: ${name} has ${data.length} numbers for shape ${formatShape(shape)}; expected ` +
      `${rows === undefined ? 'samples, [N, …]' : size}.`,
  );
}

/** Two samples of vectors of one length. @throws ValueError, ShapeError */
export function requireTwoSamples(
  op: string,
  x: Points,
  y: Points,
): { readonly rows: readonly [number, number]; readonly columns: number } {
  const [of, other] = [requirePoints(op, 'x', x), requirePoints(op, 'y', y)];
  if (of.columns === other.columns) {
    return { rows: [of.rows, other.rows], columns: of.columns };
  }
  throw new ShapeError(
    `${op}: x has ${of.columns} numbers a sample and y ${other.columns}; expected as many.`,
  );
}
