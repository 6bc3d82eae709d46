/** Rows of combinators, around layers that tell whether they are called rightly. */
import {
  ActNorm,
  AdditiveCoupling,
  AffineLayer,
  AxisHalves,
  BasicCoupling,
  ChannelHalves,
  ConditionalGlowCoupling,
  Conv1x1,
  CustomBijection,
  compose,
  FirstHalf,
  Flattened,
  GlowCoupling,
  HaarSqueeze,
  Identity,
  IrimCoupling,
  JoinedChannels,
  Parallel,
  Reshape,
  ResidualBlock,
  reverse,
  Sequential,
  Swapped,
  Unflattened,
} from '@invnet/layers';
import { sizeOf } from '@invnet/tensor';
import { stretching } from '../operators.ts';
import { even, odd, pairOf, type Row, random } from '../row.ts';

export function combinatorRows(ndims: number): Row[] {
  const size = odd(ndims);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const coupling = () => new GlowCoupling({ ...sizes(), channels: 3, hidden: 4 });
  const mix = (channels: number) => new Conv1x1({ channels, random: random() });
  const rows: Row[] = [
    {
      name: 'ChannelHalves',
      shape: [2, 3, ...size],
      make: () => new ChannelHalves(new BasicCoupling({ ...sizes(), channels: [1, 2] }), [1, 2]),
    },
    {
      name: 'FirstHalf',
      shape: [2, 3, ...size],
      make: () => new FirstHalf(mix(2)),
    },
    { name: 'Identity', shape: [2, 2, ...size], make: () => new Identity() },
    {
      name: 'JoinedChannels',
      shape: [2, 3 * sizeOf(size)],
      make: () =>
        new Flattened(
          new JoinedChannels(new IrimCoupling({ ...sizes(), channels: 3 }), [1, 2]),
          pairOf(1, 2, size),
        ),
    },
    {
      name: 'Parallel',
      shape: [2, 5 * sizeOf(size)],
      make: () => {
        const maps = { data: mix(2), condition: new ActNorm({ channels: 3 }) };
        return new Flattened(new Parallel(maps), pairOf(2, 3, size));
      },
    },
    {
      name: 'Parallel with context, one map for both',
      shape: [2, 4 * sizeOf(size)],
      context: [2, 1, ...size],
      make: () => {
        const map = new ConditionalGlowCoupling({ ...sizes(), channels: 2, contextChannels: 1 });
        return new Flattened(new Parallel(map, map), pairOf(2, 2, size));
      },
    },
    {
      name: 'Reshape',
      shape: [2, 4, ...size],
      make: () => new Reshape({ from: [4, ...size], to: [2, 2 * sizeOf(size)] }),
    },
    {
      name: 'Sequential',
      shape: [2, 3, ...size],
      make: () =>
        new Sequential([new ActNorm({ channels: 3 }), new Conv1x1({ channels: 3 }), coupling()]),
    },
    {
      name: 'Sequential with a shared layer',
      shape: [2, 3, ...size],
      make: () => {
        const shared = coupling();
        return new Sequential([shared, new Conv1x1({ channels: 3 }), shared]);
      },
    },
    {
      name: 'Swapped',
      shape: [2, 3 * sizeOf(size)],
      make: () => {
        const inner = new BasicCoupling({ ...sizes(), channels: [1, 2] });
        return new Flattened(new Swapped(inner), pairOf(2, 1, size));
      },
    },
  ];
  if (ndims === 0) return [...rows, customRow];
  if (ndims === 2) rows.push(unflattenedRow(ndims));
  // Which of the axes is parted is all that other ranks would tell.
  return [...rows, reversedRow(ndims), ...(ndims === 1 ? [axisRow] : [])];
}

const customRow: Row = {
  name: 'CustomBijection',
  shape: [3, 2],
  context: [3, 1],
  make: () => new CustomBijection(stretching()),
};

const axisRow: Row = {
  name: 'AxisHalves',
  shape: [2, 2, 6],
  make: () => {
    const sizes = { hidden: 3, ndims: 1, random: random() };
    const block = new ResidualBlock({ ...sizes, inChannels: 2, outChannels: 2 });
    const inner = compose(
      new Swapped(new AdditiveCoupling(block)),
      new BasicCoupling({ ...sizes, channels: [2, 2] }),
    );
    return new AxisHalves({ inner, axis: 2 });
  },
};

/** Whatever has axes will do. */
function unflattenedRow(ndims: number): Row {
  const shapes = pairOf(1, 2, odd(ndims));
  const numbers = 3 * sizeOf(odd(ndims));
  return {
    name: 'Unflattened',
    shape: [2, numbers],
    make: () => {
      const map = new AffineLayer({ channels: numbers });
      return new Flattened(new Unflattened(map, shapes), shapes);
    },
  };
}

function reversedRow(ndims: number): Row {
  const channels = 2 ** ndims;
  return {
    name: 'compose with a reversed layer',
    shape: [2, 1, ...even(ndims)],
    make: () =>
      compose(
        new HaarSqueeze(),
        reverse(new ActNorm({ channels })),
        reverse(new GlowCoupling({ channels, hidden: 3, ndims, random: random() })),
        reverse(new HaarSqueeze()),
      ),
  };
}
