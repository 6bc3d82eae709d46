/** The smallest model to train: |w − target|² + |b|² over two parameters, gradients by hand. */
import { Parameter } from '@invnet/layers';
import { add, affine, mul, sub, sumSquares, type Tensor, tensor, tidy } from '@invnet/tensor';

export interface Quadratic {
  readonly parameters: readonly [Parameter, Parameter];
  readonly loss: (target: readonly number[]) => Tensor;
}

export function quadratic(): Quadratic {
  const w = new Parameter('layer.w', tensor([0.5, -1, 2]));
  const b = new Parameter(
    'layer.b',
    tensor([
      [1, -2],
      [0.25, 4],
    ]),
  );
  const loss = (target: readonly number[]) =>
    tidy(() => {
      const difference = sub(w.data, tensor(target));
      // A cubic term, so that gradients and moments are not a plain line.
      w.accumulateGrad(add(affine(difference, 2), mul(difference, mul(difference, difference))));
      b.accumulateGrad(affine(b.data, 2));
      return add(sumSquares(difference), sumSquares(b.data));
    });
  return { parameters: [w, b], loss };
}

/** Targets that differ from step to step, without end. */
export function* targets(from = 0): Generator<number[]> {
  for (let i = from; ; i++) yield [Math.sin(i), Math.cos(3 * i), 0.1 * (i % 7)];
}

export function values(model: Quadratic): number[][] {
  return model.parameters.map((p) => [...p.data.dataSync()]);
}
