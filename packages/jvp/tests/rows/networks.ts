/** Rows of HINT, hyperbolic networks and unrolled loops. */
import { AdditiveTransformer, AffineTransformer, Flattened, sigmoid } from '@invnet/layers';
import {
  ConditionalHint,
  HyperbolicNetwork,
  InvertibleUNet,
  LearnedPrior,
  LearnedSqueeze,
  MultiScaleConditionalHint,
  MultiScaleHint,
  type MultiScaleHintOptions,
  UnrolledLoop,
  type UnrolledLoopOptions,
} from '@invnet/networks';
import { sizeOf } from '@invnet/tensor';
import { firstChannel, scaling, squares } from '../operators.ts';
import { even, odd, pairOf, type Row, random, twice } from '../row.ts';

export function networkRows(ndims: number): Row[] {
  const rows = [...hintRows(ndims), ...loopRows(ndims)];
  return ndims === 0 ? rows : [...rows, hyperbolicRow(ndims), ...uNetRows(ndims)];
}

function hintRows(ndims: number): Row[] {
  const channels = ndims === 0 ? 4 : 1;
  const several = ndims === 1 ? twice(ndims) : even(ndims);
  const scales = ndims < 2 ? 2 : 1;
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const multiScale = (
    name: string,
    size: readonly number[],
    options: Partial<MultiScaleHintOptions>,
  ): Row => ({
    name,
    shape: [2, channels, ...size],
    make: () => new MultiScaleHint({ ...sizes(), channels, ...options }),
  });
  return [
    multiScale('MultiScaleHint', several, { scales, steps: 1 }),
    multiScale('MultiScaleHint, shared, without split scales', even(ndims), {
      scales: 1,
      steps: 2,
      permute: 'none',
      shared: true,
      splitScales: false,
    }),
    ...(ndims < 2
      ? [
          multiScale('MultiScaleHint with a learned prior', several, {
            scales,
            steps: 1,
            prior: new LearnedPrior(),
          }),
        ]
      : []),
    {
      name: 'ConditionalHint',
      shape: [2, 5 * sizeOf(odd(ndims))],
      make: () => {
        const options = { ...sizes(), channels: 2, conditionChannels: 3, steps: 2 };
        return new Flattened(new ConditionalHint(options), pairOf(2, 3, odd(ndims)));
      },
    },
    {
      name: 'MultiScaleConditionalHint',
      shape: [2, 2 * channels * sizeOf(several)],
      make: () => {
        const options = { ...sizes(), channels, scales, steps: 1 };
        const network = new MultiScaleConditionalHint(options);
        return new Flattened(network, pairOf(channels, channels, several));
      },
    },
  ];
}

function hyperbolicRow(ndims: number): Row {
  const size = even(ndims);
  return {
    name: 'HyperbolicNetwork',
    shape: [2, 2 * sizeOf(size)],
    make: () => {
      const stages = [{ hidden: 3 }, { resolution: 'halve' }, { resolution: 'double' }] as const;
      const sizes = { channels: 1, architecture: stages, ndims, stepSize: 0.5 };
      const network = new HyperbolicNetwork({ ...sizes, random: random() });
      return new Flattened(network, pairOf(1, 1, size));
    },
  };
}

function uNetRows(ndims: number): Row[] {
  const size = even(ndims);
  return [
    {
      name: 'LearnedSqueeze',
      shape: [2, 2, ...size],
      make: () => new LearnedSqueeze({ channels: 2, ndims }),
    },
    {
      name: 'InvertibleUNet',
      shape: [2, 3, ...size],
      make: () => {
        const sizes = { channels: 3, levels: 2, steps: 1, hidden: 2, ndims };
        // One rank has log-determinants that are not zero.
        const transformer = ndims === 1 ? new AffineTransformer() : new AdditiveTransformer();
        return new InvertibleUNet({ ...sizes, transformer, random: random() });
      },
    },
  ];
}

function loopRows(ndims: number): Row[] {
  const size = odd(ndims);
  type Options = Omit<UnrolledLoopOptions, 'memoryChannels' | 'iterations'>;
  const loop = (name: string, options: Options): Row => {
    const { channels = 1 } = options;
    const sizes = { channels, memoryChannels: 3, iterations: 2, hidden: 3, ndims };
    return {
      name: `UnrolledLoop${name}`,
      shape: [2, (channels + 3) * sizeOf(size)],
      context: [2, 1, ...size],
      make: () => {
        const network = new UnrolledLoop({ ...sizes, random: random(), ...options });
        return new Flattened(network, pairOf(channels, 3, size));
      },
    };
  };
  return [
    loop(', linear', { operator: scaling }),
    loop(', two channels, HINT', { operator: firstChannel, channels: 2, coupling: 'hint' }),
    loop(', link', { operator: scaling, link: sigmoid({ low: -1, high: 2 }) }),
    loop(', non-linear', { operator: squares, link: sigmoid() }),
    loop(' without ActNorm', { operator: scaling, actnorm: false }),
  ];
}
