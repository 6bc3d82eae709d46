/** The normalizations within blocks, by name. */
import { requireOneOf } from '@invnet/tensor';
import type { Conditioner } from '../core/conditioner.ts';
import { ActNorm } from '../linear/act-norm.ts';
import { asConditioner } from './as-conditioner.ts';
import { BatchNorm } from './batch-norm.ts';
import { LayerNorm } from './layer-norm.ts';

/** `batch` and `layer` are `BatchNorm` and `LayerNorm`; `actnorm` is an `ActNorm`, which data set. */
export type NormalizationName = 'none' | 'batch' | 'layer' | 'actnorm';

/** The normalization of a name, none for `none`. @throws ValueError for a name that is none of them. */
export function normalizationOf(
  op: string,
  name: NormalizationName,
  channels: number,
): readonly Conditioner[] {
  requireOneOf(op, 'normalization', name, ['none', 'batch', 'layer', 'actnorm']);
  switch (name) {
    case 'none':
      return [];
    case 'batch':
      return [new BatchNorm({ channels })];
    case 'layer':
      return [new LayerNorm({ channels })];
    case 'actnorm':
      return [asConditioner(new ActNorm({ channels }))];
  }
}
