/** Rows of composition and of Glow. */
import {
  ActNorm,
  ConditionalGlowCoupling,
  Conv1x1,
  defaultConditioner,
  expClamp,
  GlowCoupling,
  HaarSqueeze,
  ShuffleSqueeze,
} from '@invnet/layers';
import {
  ConditionalGlow,
  compose,
  FirstHalf,
  Glow,
  reverse,
  Sequential,
  SummarizedNetwork,
} from '@invnet/networks';
import { even, odd, type Row, random, twice } from '../row.ts';

export function glowRows(ndims: number): Row[] {
  const channels = 2 ** ndims;
  const coupling = () => new GlowCoupling({ channels: 3, hidden: 4, ndims, random: random() });
  const glow = (options: object) =>
    new Glow({ channels: 1, hidden: 3, scales: 2, steps: 1, ndims, random: random(), ...options });
  const networks: Row[] = [
    {
      name: 'FirstHalf',
      shape: [2, 3, ...odd(ndims)],
      make: () => new FirstHalf(new Conv1x1({ channels: 2, random: random() })),
    },
    {
      name: 'Sequential',
      shape: [2, 3, ...odd(ndims)],
      make: () =>
        new Sequential([new ActNorm({ channels: 3 }), new Conv1x1({ channels: 3 }), coupling()]),
    },
    {
      name: 'Sequential with a shared layer',
      shape: [2, 3, ...odd(ndims)],
      make: () => {
        const shared = coupling();
        return new Sequential([shared, new Conv1x1({ channels: 3 }), shared]);
      },
    },
    {
      name: 'compose with a reversed layer',
      shape: [2, 1, ...even(ndims)],
      make: () =>
        compose(
          new HaarSqueeze(),
          reverse(new ActNorm({ channels })),
          reverse(new GlowCoupling({ channels, hidden: 3, ndims, random: random() })),
          reverse(new HaarSqueeze()),
        ),
    },
    { name: 'Glow', shape: [2, 1, ...twice(ndims)], make: () => glow({}) },
    {
      name: 'Glow without split scales, Haar, expClamp',
      shape: [2, 1, ...(ndims === 3 ? even(ndims) : twice(ndims))],
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
      shape: [2, 2, ...even(ndims)],
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
  const conditional: Row[] = [
    {
      name: 'ConditionalGlow',
      shape: [2, ndims === 0 ? 3 : 1, ...(ndims === 1 ? twice(ndims) : even(ndims))],
      context: [2, 2, ...(ndims === 1 ? twice(ndims) : even(ndims))],
      make: () =>
        new ConditionalGlow({
          channels: ndims === 0 ? 3 : 1,
          contextChannels: 2,
          hidden: 3,
          scales: ndims < 2 ? 2 : 1,
          steps: 1,
          ndims,
          random: random(),
        }),
    },
    {
      name: 'SummarizedNetwork',
      shape: [2, 3, ...odd(ndims)],
      context: [2, 3, ...odd(ndims)],
      make: () =>
        new SummarizedNetwork({
          network: new ConditionalGlowCoupling({
            channels: 3,
            contextChannels: 2,
            hidden: 3,
            ndims,
            random: random(),
          }),
          summary: defaultConditioner({
            inChannels: 3,
            outChannels: 2,
            hidden: 3,
            ndims,
            random: random(),
          }),
        }),
    },
  ];
  const vectors: Row = {
    name: 'Glow on vectors',
    shape: [3, 5],
    make: () => glow({ channels: 5, steps: 2 }),
  };
  return [...(ndims === 0 ? [vectors] : networks), ...conditional];
}
