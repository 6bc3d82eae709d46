/**
 * A block of attention and a network at each position (Vaswani et al., "Attention is all you need", 2017), as
 * a chain. Mathematics: docs/math/conditioners/attention.md
 */
import { RandomStream } from '@invnet/tensor';
import { requireDimensions, requireModuleOptions, requireSizes } from '../core/checks.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { relu } from '../elementwise/activations.ts';
import { Construction } from '../tree/construction.ts';
import { type Chain, chain } from './chain.ts';
import { Conv } from './conv.ts';
import { LayerNorm } from './layer-norm.ts';
import { MultiHeadAttention, type MultiHeadAttentionOptions } from './multi-head-attention.ts';
import { residual } from './skip-connection.ts';

/** Options of `attentionBlock`; those of its `MultiHeadAttention` among them. */
export interface AttentionBlockOptions extends MultiHeadAttentionOptions {
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Width of the network at each position. Default: `channels`. */
  readonly hidden?: number;
  /** Default: `relu()`. */
  readonly activation?: Activation;
}

const names = ['channels', 'heads', 'contextChannels', 'masked', 'ndims', 'hidden', 'activation'];

/**
 * y = norm(h + W₂ f(W₁ h)) with h = norm(x + attention(x)), or attention to the positions of the context.
 *
 * @throws ValueError as `MultiHeadAttention`, and for sizes that are not whole and positive.
 * @example chain(new Conv({ inChannels: 2, outChannels: 8 }), attentionBlock({ channels: 8, heads: 2 }))
 */
export function attentionBlock(options: AttentionBlockOptions): Chain {
  using building = new Construction();
  requireModuleOptions('attentionBlock', options, names);
  const { ndims = 2, hidden = options.channels, activation = relu(), ...attention } = options;
  const { channels, random = new RandomStream(0) } = attention;
  requireSizes('attentionBlock', { channels, hidden });
  requireDimensions('attentionBlock', ndims, 1);
  requireActivation('attentionBlock', 'activation', activation);
  const pointwise = { ndims, kernel: 1, random };
  const made = chain(
    residual(new MultiHeadAttention({ ...attention, random })),
    new LayerNorm({ channels }),
    residual(
      chain(
        new Conv({ ...pointwise, inChannels: channels, outChannels: hidden }),
        activation,
        new Conv({ ...pointwise, inChannels: hidden, outChannels: channels }),
      ),
    ),
    new LayerNorm({ channels }),
  );
  building.complete();
  return made;
}
