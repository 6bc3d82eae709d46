/** Affine maps by a given matrix and offset. Mathematics: docs/math/linear/conv1x1.md */
import { formatValue, requireFinite, requireOptions, tensor, ValueError } from '@invnet/tensor';
import { conv1x1Of } from '../linear/conv1x1-of.ts';
import { AdditiveTransformer } from '../transformers/additive-transformer.ts';
import { ElementwiseTransform } from '../transformers/elementwise-transform.ts';
import { Construction } from '../tree/construction.ts';
import { Sequential } from './sequential.ts';

/**
 * y = M x + b at every position, for an invertible matrix M, given row by row, and C numbers b, none of which
 * is trained; logdet = P·log|det M| over P positions. Without an offset it is `conv1x1Of(matrix)`, frozen.
 *
 * @throws ValueError for a matrix that is not square, not finite or singular, or another number of offsets.
 * @example
 * const whiten = fixedLinear([2, 0, 1, 0.5], { offset: [-1, 0] });
 * const { y } = whiten.forward(x); // x [N, 2, ...]
 */
export function fixedLinear(
  matrix: ArrayLike<number>,
  options: { readonly offset: ArrayLike<number> },
): Sequential {
  requireOptions('fixedLinear', options, ['offset']);
  const { offset } = options;
  using building = new Construction();
  const mix = conv1x1Of(matrix, { frozen: true });
  const { channels } = mix;
  requireOffset(offset, channels);
  const shift = new ElementwiseTransform({ channels, transformer: new AdditiveTransformer() });
  using values = tensor(Float64Array.from(offset), [channels]);
  shift.p.assign(values);
  shift.p.frozen = true;
  building.complete();
  return new Sequential({ mix, shift });
}

function requireOffset(offset: ArrayLike<number>, channels: number): void {
  const list = Array.isArray(offset) || ArrayBuffer.isView(offset);
  if (!list || offset.length !== channels) {
    const found = list ? `has ${offset.length} numbers` : `is ${formatValue(offset)}`;
    throw new ValueError(`fixedLinear: the offset ${found}; expected ${channels}, one a channel.`);
  }
  for (let i = 0; i < channels; i++) requireFinite('fixedLinear', `offset[${i}]`, offset[i]!);
}
