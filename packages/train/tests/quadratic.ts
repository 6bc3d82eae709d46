/** The smallest model to train: |w − target|² + |b|² over two parameters, gradients by hand. */
import { Module, Parameter } from '@invnet/layers';
import { add, affine, mul, sub, sumSquares, type Tensor, tensor, tidy } from '@invnet/tensor';

class Numbers extends Module {
  static readonly type: string = 'Numbers';
  readonly w = new Parameter('w', tensor([0.5, -1, 2]));
  readonly b = new Parameter(
    'b',
    tensor([
      [1, -2],
      [0.25, 4],
    ]),
  );

  get options() {
    return {};
  }
}

/** The parameters `layer.w` and `layer.b`; `label` is an option that changes nothing. */
export class QuadraticModel extends Module {
  static readonly type: string = 'QuadraticModel';
  readonly layer = new Numbers();
  readonly label: string;

  constructor({ label = 'first' }: { readonly label?: string } = {}) {
    super();
    this.label = label;
  }

  get options() {
    return { label: this.label };
  }
}

export interface Quadratic {
  readonly model: QuadraticModel;
  readonly parameters: readonly Parameter[];
  readonly loss: (target: readonly number[]) => Tensor;
}

export function quadratic(options: { readonly label?: string } = {}): Quadratic {
  const model = new QuadraticModel(options);
  const { w, b } = model.layer;
  const loss = (target: readonly number[]) =>
    tidy(() => {
      const difference = sub(w.data, tensor(target));
      // A cubic term, so that gradients and moments are not a plain line.
      w.accumulateGrad(add(affine(difference, 2), mul(difference, mul(difference, difference))));
      b.accumulateGrad(affine(b.data, 2));
      return add(sumSquares(difference), sumSquares(b.data));
    });
  return { model, parameters: model.parameters, loss };
}

/** What `train` takes of it. */
export function problemOf({ parameters, loss }: Quadratic): Omit<Quadratic, 'model'> {
  return { parameters, loss };
}

/** Targets that differ from step to step, without end. */
export function* targets(from = 0): Generator<number[]> {
  for (let i = from; ; i++) yield [Math.sin(i), Math.cos(3 * i), 0.1 * (i % 7)];
}

export function values(model: Pick<Quadratic, 'parameters'>): number[][] {
  return model.parameters.map((p) => [...p.data.dataSync()]);
}
