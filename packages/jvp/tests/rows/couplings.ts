/** Rows of couplings, leapfrog steps and the pieces that they are made of. */
import {
  AdditiveCoupling,
  BasicCoupling,
  ConditionalGlowCoupling,
  ConditionalHintCoupling,
  defaultConditioner,
  Flattened,
  HintCoupling,
  type HintCouplingOptions,
  HyperbolicLayer,
  Identity,
  IrimCoupling,
  JoinedChannels,
  RecursiveCoupling,
  type ResolutionChange,
} from '@invnet/layers';
import { even, odd, type Row, random } from '../row.ts';

export function couplingRows(ndims: number): Row[] {
  const size = odd(ndims);
  const positions = size.reduce((a, b) => a * b, 1);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const pair = (a: number, b: number) =>
    [
      [a, ...size],
      [b, ...size],
    ] as const;
  const hint = (name: string, options: HintCouplingOptions): Row => ({
    name: `HintCoupling, ${name}`,
    shape: [2, options.channels, ...size],
    make: () => new HintCoupling({ ...sizes(), ...options }),
  });
  const rows: Row[] = [
    { name: 'Identity', shape: [2, 2, ...size], make: () => new Identity() },
    {
      name: 'BasicCoupling',
      shape: [2, 3 * positions],
      make: () => new Flattened(new BasicCoupling({ ...sizes(), channels: [1, 2] }), pair(1, 2)),
    },
    {
      name: 'AdditiveCoupling',
      shape: [2, 3 * positions],
      make: () => {
        const g = defaultConditioner({ ...sizes(), inChannels: 1, outChannels: 2 });
        return new Flattened(new AdditiveCoupling(g), pair(1, 2));
      },
    },
    {
      name: 'AdditiveCoupling with context',
      shape: [2, 3 * positions],
      context: [2, 2, ...size],
      make: () => {
        const channels = { inChannels: 1, outChannels: 2, contextChannels: 2 };
        const g = defaultConditioner({ ...sizes(), ...channels });
        return new Flattened(new AdditiveCoupling(g), pair(1, 2));
      },
    },
    {
      name: 'ConditionalGlowCoupling',
      shape: [2, 3, ...size],
      context: [2, 2, ...size],
      make: () => new ConditionalGlowCoupling({ ...sizes(), channels: 3, contextChannels: 2 }),
    },
    {
      name: 'IrimCoupling',
      shape: [2, 3, ...size],
      make: () => new IrimCoupling({ ...sizes(), channels: 3 }),
    },
    {
      name: 'JoinedChannels',
      shape: [2, 3 * positions],
      make: () =>
        new Flattened(
          new JoinedChannels(new IrimCoupling({ ...sizes(), channels: 3 }), [1, 2]),
          pair(1, 2),
        ),
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
        return new Flattened(node, pair(2, 2));
      },
    },
    hint('none', { channels: 5 }),
    hint('lower', { channels: 4, permute: 'lower' }),
    hint('both, depth 1', { channels: 4, permute: 'both', depth: 1 }),
    hint('full, shared', { channels: 4, permute: 'full', shared: true }),
    {
      name: 'ConditionalHintCoupling',
      shape: [2, 5 * positions],
      make: () => {
        const options = { ...sizes(), channels: 2, conditionChannels: 3 };
        return new Flattened(new ConditionalHintCoupling(options), pair(2, 3));
      },
    },
    {
      name: 'ConditionalHintCoupling without permutation, shared',
      shape: [2, 8 * positions],
      make: () => {
        const options = { ...sizes(), channels: 4, permute: false, shared: true };
        return new Flattened(new ConditionalHintCoupling(options), pair(4, 4));
      },
    },
  ];
  return ndims === 0 ? rows : [...rows, ...hyperbolicRows(ndims)];
}

function hyperbolicRows(ndims: number): Row[] {
  const bands = 2 ** ndims;
  const [whole, halved] = [even(ndims), even(ndims).map((s) => s / 2)];
  const positions = halved.reduce((a, b) => a * b, 1);
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
      shape: [2, 2 * bands * positions],
      make: () =>
        new Flattened(
          new HyperbolicLayer({
            channels: from[0]!,
            hidden: 3,
            ndims,
            resolution,
            stepSize,
            random: random(),
          }),
          [from, from],
          [to, to],
        ),
    };
  };
  return [row('keep', 0.3), row('halve', 1), row('double', 0.5)];
}
