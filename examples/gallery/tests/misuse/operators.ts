/** Right calls of `@invnet/operators`. */
import * as operators from '@invnet/operators';
import { affine, RandomStream, type Tensor } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';

class Halving extends operators.ImagingOperator {
  readonly domain = [3];
  readonly range = [3];
  protected apply = (u: Tensor) => affine(u, 0.5);
  protected applyAdjoint = (r: Tensor) => affine(r, 0.5);
}

/** Calls of all exports of operators. */
export function imagingCalls(): Calls {
  const random = new RandomStream(7);
  const nan = { may: ['nan'] } as const;
  const coils = random.normal([2, 2, 4, 3]);
  const lines = [
    [0, 3],
    [1, 2],
  ];
  const fourier = new operators.PhaseEncodedFourier({ size: [4, 3], lines, coils });
  return {
    ImagingOperator: [
      on(new Halving(), 'forward', [random.normal([2, 3])], nan),
      on(new Halving(), 'adjoint', [random.normal([2, 3])], nan),
    ],
    PhaseEncodedFourier: [
      make(operators.PhaseEncodedFourier, [{ size: [4, 3], lines: [0, 3], coils }]),
      make(operators.PhaseEncodedFourier, [{ size: [4, 3], lines }]),
      on(fourier, 'forward', [random.normal([2, 2, 4, 3])], nan),
      on(fourier, 'adjoint', [random.normal([2, 4, 2, 3])], nan),
    ],
    cartesianLines: [
      call(operators.cartesianLines, [{ size: 16, acceleration: 4, center: 0.1, random }]),
    ],
  };
}
