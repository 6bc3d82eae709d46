/** 1×1 convolutions by a given matrix. Mathematics: docs/math/linear/conv1x1.md */
import { formatValue, requireFinite, requireOptions, tensor, ValueError } from '@invnet/tensor';
import { Conv1x1 } from './conv1x1.ts';
import { factorize, mostFactored } from './plu-factors.ts';

/**
 * The 1×1 convolution by an invertible matrix W, given row by row: C² numbers for C channels. It is exact to
 * the digits of the backend, and well conditioned if W is, for its factors are found by pivoting.
 *
 * @throws ValueError for a matrix that is not square, not finite or singular.
 * @example
 * const mix = conv1x1Of([0.6, 0.8, -0.8, 0.6], { frozen: true }); // a rotation that is not trained
 * const { y } = mix.forward(x); // x [N, 2, ...]
 */
export function conv1x1Of(
  matrix: ArrayLike<number>,
  options: { readonly frozen?: boolean } = {},
): Conv1x1 {
  requireOptions('conv1x1Of', options, ['frozen']);
  const channels = sideOf(matrix);
  const lu = Float64Array.from(matrix);
  lu.forEach((entry, i) => {
    requireFinite('conv1x1Of', `matrix[${i}]`, entry);
  });
  const order = factorize(lu, channels);
  if (!order)
    throw new ValueError('conv1x1Of: the matrix is singular; expected an invertible one.');
  const [rows, signs] = [new Array<number>(channels), new Array<number>(channels)];
  for (const [row, from] of order.entries()) {
    rows[from] = row;
    signs[row] = Math.sign(lu[row * (channels + 1)]!);
    lu[row * (channels + 1)] = Math.log(Math.abs(lu[row * (channels + 1)]!));
  }
  using factors = tensor(lu, [channels, channels]);
  const mix = new Conv1x1({ channels, parametrization: 'plu', rows, signs, ...options });
  mix.weights[0]!.assign(factors);
  return mix;
}

/** @throws ValueError unless it has as many numbers as a square matrix. */
function sideOf(matrix: ArrayLike<number>): number {
  const list = Array.isArray(matrix) || ArrayBuffer.isView(matrix);
  const side = list ? Math.sqrt(matrix.length) : 0;
  if (Number.isInteger(side) && side >= 1 && side <= mostFactored) return side;
  const found = list ? `has ${matrix.length} numbers` : `is ${formatValue(matrix)}`;
  throw new ValueError(
    `conv1x1Of: the matrix ${found}; expected a list of C² numbers, row by row.`,
  );
}
