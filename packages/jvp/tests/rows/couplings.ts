/** Rows of couplings and leapfrog steps. */
import {
  AdditiveCoupling,
  atanClamp,
  BasicCoupling,
  ConditionalGlowCoupling,
  ConditionalHintCoupling,
  type ConditionalHintCouplingOptions,
  defaultConditioner,
  exp,
  expClamp,
  Flattened,
  GlowCoupling,
  HintCoupling,
  type HintCouplingOptions,
  HyperbolicLayer,
  IrimCoupling,
  Leapfrog,
  RecursiveCoupling,
  type ResolutionChange,
  sigmoid,
} from '@invnet/layers';
import { sizeOf } from '@invnet/tensor';
import { even, odd, pairOf, type Row, random } from '../row.ts';

export function couplingRows(ndims: number): Row[] {
  const size = odd(ndims);
  const positions = sizeOf(size);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const additive = (name: string, contextChannels: number): Row => ({
    name,
    shape: [2, 3 * positions],
    ...(contextChannels > 0 && { context: [2, contextChannels, ...size] }),
    make: () => {
      const channels = { inChannels: 1, outChannels: 2, contextChannels };
      const g = defaultConditioner({ ...sizes(), ...channels });
      return new Flattened(new AdditiveCoupling(g), pairOf(1, 2, size));
    },
  });
  const glow = (name: string, options: object = {}): Row => ({
    name,
    shape: [2, 3, ...size],
    make: () => new GlowCoupling({ ...sizes(), channels: 3, hidden: 4, ...options }),
  });
  const conditionalGlow = (name: string, options: object): Row => ({
    name,
    shape: [2, 3, ...size],
    context: [2, 2, ...size],
    make: () =>
      new ConditionalGlowCoupling({ ...sizes(), channels: 3, contextChannels: 2, ...options }),
  });
  const hint = (name: string, options: HintCouplingOptions): Row => ({
    name: `HintCoupling, ${name}`,
    shape: [2, options.channels, ...size],
    make: () => new HintCoupling({ ...sizes(), ...options }),
  });
  const conditionalHint = (name: string, options: ConditionalHintCouplingOptions): Row => {
    const { channels, conditionChannels = channels } = options;
    return {
      name,
      shape: [2, (channels + conditionChannels) * positions],
      make: () =>
        new Flattened(
          new ConditionalHintCoupling({ ...sizes(), ...options }),
          pairOf(channels, conditionChannels, size),
        ),
    };
  };
  const rows: Row[] = [
    additive('AdditiveCoupling', 0),
    additive('AdditiveCoupling with context', 2),
    {
      name: 'BasicCoupling',
      shape: [2, 3 * positions],
      make: () =>
        new Flattened(new BasicCoupling({ ...sizes(), channels: [1, 2] }), pairOf(1, 2, size)),
    },
    conditionalHint('ConditionalHintCoupling', { channels: 2, conditionChannels: 3 }),
    conditionalHint('ConditionalHintCoupling without permutation, shared', {
      channels: 4,
      permute: false,
      shared: true,
    }),
    glow('GlowCoupling'),
    glow('GlowCoupling, expClamp', { scaleFunction: expClamp({ clamp: 1 }) }),
    glow('GlowCoupling, atanClamp', { scaleFunction: atanClamp({ clamp: 1, rate: 2 }) }),
    glow('GlowCoupling, exp', { scaleFunction: exp() }),
    glow('GlowCoupling, 1 + exp', { scaleFunction: exp({ low: 1 }) }),
    glow('GlowCoupling, sigmoid from 0', { scaleFunction: sigmoid() }),
    glow('GlowCoupling, sigmoid from 0.2 to 3', {
      scaleFunction: sigmoid({ low: 0.2, high: 3 }),
    }),
    glow('GlowCoupling of two and one', { split: [2, 1] }),
    glow('GlowCoupling, first moved', { moves: 'first', scaleFunction: exp() }),
    conditionalGlow('ConditionalGlowCoupling', {}),
    conditionalGlow('ConditionalGlowCoupling, first two moved', { split: [2, 1], moves: 'first' }),
    hint('none', { channels: 5 }),
    hint('lower', { channels: 4, permute: 'lower' }),
    hint('both, depth 1', { channels: 4, permute: 'both', depth: 1 }),
    hint('full, shared', { channels: 4, permute: 'full', shared: true }),
    {
      name: 'IrimCoupling',
      shape: [2, 3, ...size],
      make: () => new IrimCoupling({ ...sizes(), channels: 3 }),
    },
    {
      name: 'Leapfrog',
      shape: [2, 4 * positions],
      make: () => {
        const force = defaultConditioner({ ...sizes(), inChannels: 2, outChannels: 2 });
        return new Flattened(new Leapfrog({ force, stepSize: 0.4 }), pairOf(2, 2, size));
      },
    },
    {
      name: 'Leapfrog with context',
      shape: [2, 2 * positions],
      context: [2, 2, ...size],
      make: () => {
        const channels = { inChannels: 1, outChannels: 1, contextChannels: 2 };
        const force = defaultConditioner({ ...sizes(), ...channels });
        return new Flattened(new Leapfrog({ force, stepSize: 0.4 }), pairOf(1, 1, size));
      },
    },
    {
      name: 'RecursiveCoupling with context',
      shape: [2, 4 * positions],
      context: [2, 1, ...size],
      make: () => {
        const part = () =>
          new ConditionalGlowCoupling({ ...sizes(), channels: 2, contextChannels: 1 });
        const coupling = new BasicCoupling({ ...sizes(), channels: [2, 2], contextChannels: 1 });
        const node = new RecursiveCoupling({ first: part(), second: part(), coupling });
        return new Flattened(node, pairOf(2, 2, size));
      },
    },
  ];
  return ndims === 0 ? rows : [...rows, ...hyperbolicRows(ndims)];
}

function hyperbolicRows(ndims: number): Row[] {
  const bands = 2 ** ndims;
  const [whole, halved] = [even(ndims), even(ndims).map((s) => s / 2)];
  const row = (resolution: ResolutionChange, stepSize: number): Row => {
    const fine = [1, ...whole];
    const coarse = [bands, ...halved];
    const [from, to] = {
      keep: [fine, fine],
      halve: [fine, coarse],
      double: [coarse, fine],
    }[resolution] as [number[], number[]];
    return {
      name: `HyperbolicLayer, ${resolution}`,
      shape: [2, 2 * bands * sizeOf(halved)],
      make: () => {
        const channels = from[0]!;
        const sizes = { channels, hidden: 3, ndims, resolution, stepSize, random: random() };
        return new Flattened(new HyperbolicLayer(sizes), [from, from], [to, to]);
      },
    };
  };
  return [row('keep', 0.3), row('halve', 1), row('double', 0.5)];
}
