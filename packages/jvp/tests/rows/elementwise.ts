/** Rows of element-wise maps. */
import {
  atanClamp,
  Elementwise,
  exp,
  expClamp,
  type InvertibleActivation,
  Logit,
  leakyRelu,
  sigmoid,
  sigmoid2,
  softplus,
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
    ...(ndims === 0 ? [elementwise(softsignClamp())] : []),
    { name: 'Logit', shape, make: () => new Logit({ lambda: 0.01 }), draw: inUnitInterval },
  ];
}
