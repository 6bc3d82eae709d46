/** Right calls of what makes layers of functions with their inverse, and of halves along any axis. */
import * as api from '@invnet/layers';
import { affine, RandomStream, type Tensor } from '@invnet/tensor';
import { type Calls, make } from './call.ts';
import { methodsOf } from './layers.ts';

/** Calls of their exports. */
export function ownFunctionCalls(): Calls {
  const random = () => new RandomStream(3);
  const x = random().normal([2, 2, 4]);
  const parts: api.CustomBijectionParts = {
    forward: (x: Tensor) => affine(x, 2),
    inverse: (y: Tensor) => affine(y, 0.5),
    backward: (_: Tensor, dy: Tensor) => ({ dx: affine(dy, 2) }),
    backwardInverse: (_: Tensor, dx: Tensor) => ({ dy: affine(dx, 0.5) }),
    jvp: (_: Tensor, { x: dx }: api.Tangent) => ({ dy: dx && affine(dx, 2) }),
    jvpInverse: (_: Tensor, { x: dy }: api.Tangent) => ({ dx: dy && affine(dy, 0.5) }),
  };
  const sizes = { inChannels: 2, hidden: 2, outChannels: 2, ndims: 1, random: random() };
  const halves = { inner: new api.AdditiveCoupling(new api.ResidualBlock(sizes)), axis: 2 };
  return {
    AxisHalves: [make(api.AxisHalves, [halves]), ...methodsOf(new api.AxisHalves(halves), x)],
    CustomBijection: [
      make(api.CustomBijection, [parts]),
      ...methodsOf(new api.CustomBijection(parts), x),
    ],
    MissingPartError: [],
  };
}
