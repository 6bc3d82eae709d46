/** Rows of HINT, hyperbolic networks and unrolled loops. */
import { type Activation, Flattened, sigmoid } from '@invnet/layers';
import {
  ConditionalHint,
  HyperbolicNetwork,
  type LinearForwardOperator,
  MultiScaleConditionalHint,
  MultiScaleHint,
  type NonlinearForwardOperator,
  UnrolledLoop,
} from '@invnet/networks';
import {
  affine,
  concat,
  mul,
  type Shape,
  slice,
  square,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { even, odd, type Row, random, twice } from '../row.ts';

export function networkRows(ndims: number): Row[] {
  const sizes = { hidden: 3, ndims };
  const [small, large] = [even(ndims), twice(ndims)];
  const positions = (size: Shape) => size.reduce((a, b) => a * b, 1);
  const pair = (a: number, b: number, size: Shape) =>
    [
      [a, ...size],
      [b, ...size],
    ] as const;
  const channels = ndims === 0 ? 4 : 1;
  const rows: Row[] = [
    {
      name: 'MultiScaleHint',
      shape: [2, channels, ...(ndims === 1 ? large : small)],
      make: () =>
        new MultiScaleHint({
          ...sizes,
          channels,
          scales: ndims < 2 ? 2 : 1,
          steps: 1,
          random: random(),
        }),
    },
    {
      name: 'MultiScaleHint, shared, without split scales',
      shape: [2, channels, ...small],
      make: () =>
        new MultiScaleHint({
          ...sizes,
          channels,
          scales: 1,
          steps: 2,
          permute: 'none',
          shared: true,
          splitScales: false,
          random: random(),
        }),
    },
    {
      name: 'ConditionalHint',
      shape: [2, 5 * positions(odd(ndims))],
      make: () =>
        new Flattened(
          new ConditionalHint({
            ...sizes,
            channels: 2,
            conditionChannels: 3,
            steps: 2,
            random: random(),
          }),
          pair(2, 3, odd(ndims)),
        ),
    },
    {
      name: 'MultiScaleConditionalHint',
      shape: [2, 2 * channels * positions(ndims === 1 ? large : small)],
      make: () =>
        new Flattened(
          new MultiScaleConditionalHint({
            ...sizes,
            channels,
            scales: ndims < 2 ? 2 : 1,
            steps: 1,
            random: random(),
          }),
          pair(channels, channels, ndims === 1 ? large : small),
        ),
    },
    ...loopRows(ndims),
  ];
  if (ndims === 0) return rows;
  const hyperbolic: Row = {
    name: 'HyperbolicNetwork',
    shape: [2, 2 * positions(small)],
    make: () => {
      const stages = [{ hidden: 3 }, { resolution: 'halve' }, { resolution: 'double' }] as const;
      const network = new HyperbolicNetwork({
        channels: 1,
        architecture: stages,
        ndims,
        stepSize: 0.5,
        random: random(),
      });
      return new Flattened(network, pair(1, 1, small));
    },
  };
  return [...rows, hyperbolic];
}

function loopRows(ndims: number): Row[] {
  const size = odd(ndims);
  const positions = size.reduce((a, b) => a * b, 1);
  const loop = (options: {
    name: string;
    operator: LinearForwardOperator | NonlinearForwardOperator;
    channels?: number;
    coupling?: 'additive' | 'hint';
    link?: Activation;
  }): Row => {
    const { name, channels = 1, ...rest } = options;
    return {
      name: `UnrolledLoop, ${name}`,
      shape: [2, (channels + 3) * positions],
      context: [2, 1, ...size],
      make: () =>
        new Flattened(
          new UnrolledLoop({
            channels,
            memoryChannels: 3,
            iterations: 2,
            hidden: 3,
            ndims,
            random: random(),
            ...rest,
          }),
          [
            [channels, ...size],
            [3, ...size],
          ],
        ),
    };
  };
  return [
    loop({ name: 'linear', operator: scaling }),
    loop({ name: 'two channels, HINT', operator: firstChannel, channels: 2, coupling: 'hint' }),
    loop({ name: 'link', operator: scaling, link: sigmoid({ low: -1, high: 2 }) }),
    loop({ name: 'non-linear', operator: squares, link: sigmoid() }),
  ];
}

/** A = 0.7 I */
const scaling: LinearForwardOperator = {
  forward: (u) => affine(u, 0.7),
  adjoint: (r) => affine(r, 0.7),
};

/** Takes the first of two channels. */
const firstChannel: LinearForwardOperator = {
  forward: (u) => slice(u, 1, 0, 1),
  adjoint: (r) => tidy(() => concat([r, zeros(r.shape, r)], 1)),
};

/** F(u) = u² */
const squares: NonlinearForwardOperator = {
  forward: square,
  jvp: (u, du) => twiceProduct(u, du),
  vjp: (u, r) => twiceProduct(u, r),
  hvp: (_, r, du) => twiceProduct(r, du),
};

function twiceProduct(a: Tensor, b: Tensor): Tensor {
  return tidy(() => affine(mul(a, b), 2));
}
