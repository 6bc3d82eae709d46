/** Rows of element-wise maps. */
import {
  atanClamp,
  Box,
  CircularShift,
  Elementwise,
  exp,
  expClamp,
  type InvertibleActivation,
  LearnedSlopes,
  Logit,
  leakyRelu,
  Ordered,
  StickBreaking,
  shiftedSigmoid,
  sigmoid,
  sigmoid2,
  softplus,
  softplusScale,
  softsignClamp,
  tanh,
} from '@invnet/layers';
import type { RandomStream, Shape } from '@invnet/tensor';
import { odd, type Row } from '../row.ts';

const inUnitInterval = (stream: RandomStream, shape: Shape) => stream.uniform(shape, 0.02, 0.98);

export function elementwiseRows(ndims: number): Row[] {
  const shape = [2, 2, ...odd(ndims)];
  const elementwise = (f: InvertibleActivation): Row => ({
    name: `Elementwise, ${f.name}`,
    shape,
    make: () => new Elementwise(f),
  });
  return [
    elementwise(leakyRelu({ slope: 0.3 })),
    elementwise(sigmoid({ low: -1, high: 2 })),
    elementwise(sigmoid2()),
    elementwise(tanh()),
    elementwise(softplus({ low: 0.1 })),
    elementwise(exp({ low: 0.2 })),
    elementwise(expClamp({ rate: 0.8 })),
    elementwise(atanClamp({ rate: 1.5 })),
    // What ranks have no part in.
    ...(ndims === 0
      ? [
          elementwise(softsignClamp()),
          elementwise(shiftedSigmoid({ low: 0.5, high: 3, shift: -1 })),
          elementwise(softplusScale({ factor: 0.4, rate: 0.5 })),
        ]
      : []),
    { name: 'Logit', shape, make: () => new Logit({ lambda: 0.01 }), draw: inUnitInterval },
    ...constrainedRows(ndims),
  ];
}

const onCircle = (stream: RandomStream, shape: Shape) => stream.uniform(shape, -1.9, 1.9);

/** Rows of maps that do not care what a position is: on vectors, and in 2D. */
function constrainedRows(ndims: number): Row[] {
  if (ndims % 2 === 1) return [];
  const shape = [2, 3, ...odd(ndims)];
  return [
    {
      name: 'Box',
      shape,
      make: () => new Box({ low: [0, -1, -3], high: [0.5, 1, 4] }),
    },
    {
      name: 'CircularShift',
      shape,
      make: () => new CircularShift({ channels: 3, circular: [2, 0], bound: 2, shift: 1.5 }),
      draw: onCircle,
    },
    { name: 'LearnedSlopes', shape, make: () => new LearnedSlopes({ channels: 3 }) },
    {
      name: 'LearnedSlopes of two sides',
      shape,
      make: () => new LearnedSlopes({ channels: 3, above: 1.5, below: 0.4 }),
    },
    { name: 'Ordered', shape, make: () => new Ordered({ channels: 3 }) },
    { name: 'StickBreaking', shape, make: () => new StickBreaking({ channels: 3 }) },
  ];
}
