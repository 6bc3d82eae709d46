/** Activations of Lipschitz constant 1. Mathematics: docs/math/residual/lipschitz-block.md */
import {
  add,
  affine,
  exp,
  mul,
  neg,
  relu,
  reluGrad,
  requireOneOf,
  type Shape,
  square,
  type Tensor,
  tanh,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { type EvaluatedLayer, LipschitzLayer } from './lipschitz-layer.ts';

/** The names of these activations. */
export type LipschitzActivationName = 'elu' | 'tanh';

/** f, element by element, with its first and second derivative. */
export interface SmoothFunction {
  apply(x: Tensor): Tensor;
  slope(x: Tensor): Tensor;
  bend(x: Tensor): Tensor;
}

/** e^min(x, 0) */
const expBelow = (x: Tensor) => exp(neg(relu(neg(x))));

/** The functions by their names. */
export const lipschitzFunctions: Readonly<Record<LipschitzActivationName, SmoothFunction>> = {
  elu: {
    apply: (x) => add(relu(x), affine(expBelow(x), 1, -1)),
    slope: expBelow,
    bend: (x) => reluGrad(neg(x), expBelow(x)),
  },
  tanh: {
    apply: tanh,
    slope: (x) => affine(square(tanh(x)), -1, 1),
    bend: (x) => {
      const y = tanh(x);
      return affine(mul(y, affine(square(y), -1, 1)), -2);
    },
  },
};

/**
 * g(h) = f(h) element by element, for f of slopes from 0 to 1: the exponential linear unit, x for x > 0 and
 * eˣ − 1 below (Clevert et al., 2016), or the hyperbolic tangent.
 *
 * @example
 * const f = new LipschitzActivation({ activation: 'elu' });
 */
export class LipschitzActivation extends LipschitzLayer {
  static readonly type: string = 'LipschitzActivation';
  readonly options: { readonly activation: LipschitzActivationName };
  readonly lipschitz = 1;

  /** @throws ValueError for an activation of another name. */
  constructor(options: { readonly activation: LipschitzActivationName }) {
    super();
    requireModuleOptions('LipschitzActivation', options, ['activation']);
    const { activation } = options;
    requireOneOf('LipschitzActivation', 'activation', activation, ['elu', 'tanh']);
    this.options = { activation };
  }

  evaluate(): EvaluatedLayer {
    return elementwiseLayer(lipschitzFunctions[this.options.activation]);
  }

  outputShape(h: Shape): Shape {
    return h;
  }
}

/** A function without parameters as a layer that can be differentiated twice. */
export function elementwiseLayer({ apply, slope, bend }: SmoothFunction): EvaluatedLayer {
  const timesSlope = (h: Tensor, v: Tensor) => mul(slope(h), v);
  return {
    apply,
    slope,
    push: timesSlope,
    pull: timesSlope,
    bend: (h, v, u) => mul(mul(bend(h), v), u),
    accumulate: () => {},
    accumulateBend: () => {},
    moved: () => undefined,
    movedPush: () => undefined,
  };
}
