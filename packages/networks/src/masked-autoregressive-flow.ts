/**
 * Masked autoregressive flows of vectors. Left out: normalization between the layers, since scales and shifts are
 * in them already.
 */
import {
  AffineTransformer,
  Autoregressive,
  Construction,
  type MadeOptions,
  madeOptions,
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  Sequential,
  softsignClamp,
  type Transformer,
} from '@invnet/layers';
import { RandomStream, requireOneOf } from '@invnet/tensor';

/** Options of `maskedAutoregressiveFlow`; those of the networks of its layers among them. */
export interface MaskedAutoregressiveFlowOptions extends Omit<MadeOptions, 'order'> {
  readonly channels: number;
  /** Number of layers. Default: 5. */
  readonly transforms?: number;
  /**
   * Orders of the channels: as they stand and `reversed` by turns (`alternating`), or drawn for each layer
   * (`random`). With an `adjacency` all layers have that. Default: alternating.
   */
  readonly order?: 'alternating' | 'random';
  /**
   * Moves the channels of all layers.
   * Default: `new AffineTransformer({ scaleFunction: softsignClamp({ clamp: Math.log(1000) }) })`.
   */
  readonly transformer?: Transformer;
}

/**
 * A masked autoregressive flow (Papamakarios, Pavlakou and Murray, 2017): layers of type `Autoregressive` whose
 * orders change. Forward, from data to the latent, takes one pass for each layer; sampling takes one channel
 * after another. `reverse` makes the inverse autoregressive flow of it (Kingma et al., 2016), of fast samples.
 *
 * @throws ValueError as `Autoregressive`, and for numbers of layers below 1.
 * @example
 * const network = maskedAutoregressiveFlow({ channels: 6, transforms: 5, hidden: [64, 64] });
 * const flow = new Flow({ network });
 * const posterior = maskedAutoregressiveFlow({ channels: 2, contextChannels: 8 }); // of p(x | context)
 */
export function maskedAutoregressiveFlow(options: MaskedAutoregressiveFlowOptions): Sequential {
  using building = new Construction();
  const own = ['channels', 'transforms', 'transformer'];
  requireModuleOptions('maskedAutoregressiveFlow', options, [...own, ...madeOptions]);
  const { channels, transforms = 5, order = 'alternating', ...rest } = options;
  const { random = new RandomStream(0), transformer = defaultTransformer(), ...made } = rest;
  requireSizes('maskedAutoregressiveFlow', { channels });
  requireRepeats('maskedAutoregressiveFlow', 'transforms', transforms);
  requireOneOf('maskedAutoregressiveFlow', 'order', order, ['alternating', 'random']);
  const layers = Array.from({ length: transforms }, (_, i) => {
    const turned = i % 2 === 1 ? { order: 'reversed' as const } : {};
    const ordered = order === 'random' ? { order } : turned;
    const graph = made.adjacency ? {} : ordered;
    return new Autoregressive({ ...made, ...graph, channels, transformer, random });
  });
  const network = new Sequential(layers);
  building.complete();
  return network;
}

function defaultTransformer(): Transformer {
  return new AffineTransformer({ scaleFunction: softsignClamp({ clamp: Math.log(1000) }) });
}
