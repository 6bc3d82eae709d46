/** The table of all bijections: adding a layer or a network adds a row. */
import {
  ActNorm,
  type Bijection,
  Conv1x1,
  expClamp,
  GlowCoupling,
  HaarSqueeze,
  Logit,
  ShuffleSqueeze,
  sigmoid,
} from '@invnet/layers';
import { compose, FirstHalf, Glow, reverse, Sequential } from '@invnet/networks';
import { add, RandomStream, type Shape, type Tensor } from '@invnet/tensor';

/** A bijection and the data to check it on. */
export interface Row {
  readonly name: string;
  readonly shape: Shape;
  readonly make: () => Bijection;
  /** Input of the given shape. Default: standard normal. */
  readonly draw?: (random: RandomStream, shape: Shape) => Tensor;
}

/** Odd and non-square where a layer allows it; index: number of spatial axes. */
const spatial: Record<number, readonly number[]> = { 1: [5], 2: [3, 5], 3: [2, 3, 3] };
/** For what halves each axis once. */
const even: Record<number, readonly number[]> = { 1: [6], 2: [4, 6], 3: [2, 4, 2] };
/** For two scales. */
const twice: Record<number, readonly number[]> = { 1: [8], 2: [4, 8], 3: [4, 4, 4] };

const random = () => new RandomStream(3);
const inUnitInterval = (stream: RandomStream, shape: Shape) => stream.uniform(shape, 0.02, 0.98);

function rowsIn(ndims: number): Row[] {
  const odd = spatial[ndims]!;
  const halved = even[ndims]!;
  const channels = 2 ** ndims;
  const glow = (options: object) =>
    new Glow({ channels: 1, hidden: 3, scales: 2, steps: 1, ndims, random: random(), ...options });
  const coupling = (options: object = {}) =>
    new GlowCoupling({ channels: 3, hidden: 4, ndims, random: random(), ...options });
  const layers: Row[] = [
    { name: 'ActNorm', shape: [3, 2, ...odd], make: () => new ActNorm({ channels: 2 }) },
    {
      name: 'Logit',
      shape: [2, 2, ...odd],
      make: () => new Logit({ lambda: 0.01 }),
      draw: inUnitInterval,
    },
    {
      name: 'Conv1x1',
      shape: [2, 4, ...odd],
      make: () => new Conv1x1({ channels: 4, random: random() }),
    },
    {
      name: 'Conv1x1, frozen',
      shape: [2, 3, ...odd],
      make: () => new Conv1x1({ channels: 3, frozen: true, random: random() }),
    },
    { name: 'GlowCoupling', shape: [2, 3, ...odd], make: () => coupling() },
    {
      name: 'GlowCoupling, expClamp',
      shape: [2, 3, ...odd],
      make: () => coupling({ scaleFunction: expClamp({ clamp: 1 }) }),
    },
    {
      name: 'GlowCoupling, sigmoid from 0.2 to 3',
      shape: [2, 3, ...odd],
      make: () => coupling({ scaleFunction: sigmoid({ low: 0.2, high: 3 }) }),
    },
    ...(['column', 'patch', 'checkerboard'] as const).map((pattern) => ({
      name: `ShuffleSqueeze, ${pattern}`,
      shape: [2, 2, ...halved],
      make: () => new ShuffleSqueeze({ pattern }),
    })),
    { name: 'HaarSqueeze', shape: [2, 2, ...halved], make: () => new HaarSqueeze() },
  ];
  const networks: Row[] = [
    {
      name: 'FirstHalf',
      shape: [2, 3, ...odd],
      make: () => new FirstHalf(new Conv1x1({ channels: 2, random: random() })),
    },
    {
      name: 'Sequential',
      shape: [2, 3, ...odd],
      make: () =>
        new Sequential([new ActNorm({ channels: 3 }), new Conv1x1({ channels: 3 }), coupling()]),
    },
    {
      name: 'Sequential with a shared layer',
      shape: [2, 3, ...odd],
      make: () => {
        const shared = coupling();
        return new Sequential([shared, new Conv1x1({ channels: 3 }), shared]);
      },
    },
    {
      name: 'compose with a reversed layer',
      shape: [2, 1, ...halved],
      make: () =>
        compose(
          new HaarSqueeze(),
          reverse(new ActNorm({ channels })),
          reverse(new GlowCoupling({ channels, hidden: 3, ndims, random: random() })),
          reverse(new HaarSqueeze()),
        ),
    },
    { name: 'Glow', shape: [2, 1, ...twice[ndims]!], make: () => glow({}) },
    {
      name: 'Glow without split scales, Haar, expClamp',
      shape: [2, 1, ...(ndims === 3 ? halved : twice[ndims]!)],
      make: () =>
        glow({
          splitScales: false,
          squeeze: new HaarSqueeze(),
          scaleFunction: expClamp(),
          scales: ndims === 3 ? 1 : 2,
        }),
    },
    {
      name: 'Glow of one scale, patches, two steps',
      shape: [2, 2, ...halved],
      make: () =>
        glow({
          channels: 2,
          scales: 1,
          steps: 2,
          squeeze: new ShuffleSqueeze({ pattern: 'patch' }),
          frozenConv1x1: true,
        }),
    },
  ];
  return [...layers, ...networks].map((row) => ({ ...row, name: `${row.name}, ${ndims}D` }));
}

/** Every layer and network in 1D, 2D and 3D. */
export const rows: readonly Row[] = [1, 2, 3].flatMap(rowsIn);

/** The row's input, on the current backend. */
export function inputOf(row: Row, seed = 1): Tensor {
  const stream = new RandomStream(seed);
  return row.draw ? row.draw(stream, row.shape) : stream.normal(row.shape);
}

/** Moves every parameter off its start, so that no check profits from zeros and ones. */
export function scatterParameters(f: Bijection): void {
  const stream = new RandomStream(17);
  for (const p of f.parameters) {
    using delta = stream.normal(p.shape, 0.2);
    using moved = add(p.data, delta);
    p.assign(moved);
  }
}
