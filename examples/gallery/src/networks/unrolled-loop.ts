/** An unrolled loop (i-RIM) learns to deblur: forward and adjoint of the blur are all it knows. */
import { initialize, zeroGrad } from '@invnet/layers';
import { UnrolledLoop } from '@invnet/networks';
import {
  affine,
  conv,
  convInputGrad,
  full,
  RandomStream,
  sub,
  sumSquares,
  type Tensor,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { Adam } from '@invnet/train';

const random = new RandomStream(1);
const kernel = full([1, 1, 3, 3], 1 / 9);
const operator = {
  forward: (u: Tensor) => conv(u, kernel, { padding: 1 }),
  adjoint: (r: Tensor) => convInputGrad(r, kernel, r.shape, { padding: 1 }),
};
const loop = new UnrolledLoop({ memoryChannels: 3, iterations: 4, operator, hidden: 16, random });
const adam = new Adam();
for (let step = 1; step <= 40; step++) {
  const x = random.normal([8, 1, 16, 16]);
  const data = operator.forward(x);
  const start = [operator.adjoint(data), zeros([8, 3, 16, 16])] as const;
  // By the first batch; nothing happens afterwards.
  await initialize(loop, start, { context: data });
  const { y, logdet } = loop.forward(start, data);
  const error = sub(y[0], x);
  if (step % 39 === 1) {
    const [loss] = await sumSquares(error).data();
    console.log(`step ${step}: mean squared error ${(loss! / x.size).toFixed(4)}`);
  }
  zeroGrad(loop.parameters);
  const dy = [affine(error, 2 / x.size), zerosLike(y[1])] as const;
  const back = loop.backward(y, dy, { context: data });
  adam.step(loop.parameters, { learningRate: 1e-3 });
  for (const t of [x, data, ...start, ...y, logdet, error, ...dy]) t.dispose();
  for (const t of [...back.x, ...back.dx, back.dcontext]) t?.dispose();
}
