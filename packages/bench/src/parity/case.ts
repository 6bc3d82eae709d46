/** Layers here that are to agree with another library's, and what they are made of. */
import {
  ActivationLayer,
  AdditiveTransformer,
  type Bijection,
  type ConditionerShape,
  Conv1x1,
  chain,
  Dense,
  ElementwiseTransform,
  Reversed,
  Sequential,
  tanh,
  withContext,
} from '@invnet/layers';

/** Makes a layer; `given` has the numbers that are not parameters, such as an order. */
export type Build = (given: (name: string) => number[]) => Bijection;

/** Layers by the names that they have in `peers/parity/of_*.py`. */
export type Builds = Readonly<Record<string, Build>>;

/** The network of couplings there: a layer of five units, tanh, a layer. */
export const net = ({ inChannels, outChannels }: Omit<ConditionerShape, 'contextChannels'>) =>
  chain(
    new Dense({ inChannels, outChannels: 5 }),
    new ActivationLayer({ activation: tanh() }),
    new Dense({ inChannels: 5, outChannels }),
  );

/** Options of a coupling whose network sees a context of two numbers beside x. */
export const withTwo = { conditioner: withContext(net), contextChannels: 2, ndims: 0 } as const;

/** A shift of each channel, p. */
export const shiftOf = (channels: number): Bijection =>
  new ElementwiseTransform({ channels, transformer: new AdditiveTransformer() });

/** x ↦ L U x, without a permutation. */
export const triangles = (channels: number): Bijection =>
  new Conv1x1({ channels, parametrization: 'plu', rows: [...Array(channels).keys()] });

/** x ↦ P L U x, by the rows and signs that are given. */
export const factored = (given: (name: string) => number[], channels: number): Bijection =>
  new Conv1x1({
    ...{ channels, parametrization: 'plu' },
    ...{ rows: given('rows'), signs: given('signs') },
  });

/** What a layer is made of, in a few words. */
export function nameOf(layer: Bijection): string {
  if (layer instanceof Sequential) return layer.names.map((n) => nameOf(layer.at(n))).join(', ');
  if (layer instanceof Reversed) return `reverse of ${nameOf(layer.inner)}`;
  if (!('transformer' in layer) || !(layer.transformer instanceof Object)) return layer.type;
  return 'type' in layer.transformer ? `${layer.type} of ${layer.transformer.type}` : layer.type;
}
