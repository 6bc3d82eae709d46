/**
 * The activation of residual flows (Chen et al., "Residual flows for invertible generative modeling", 2019).
 * Mathematics: docs/math/residual/lipschitz-block.md
 */
import {
  add,
  affine,
  full,
  mul,
  type Shape,
  sigmoid,
  softplus,
  square,
  sum,
  type Tensor,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Parameter } from '../tree/parameter.ts';
import { type EvaluatedLayer, LipschitzLayer } from './lipschitz-layer.ts';

/** The largest slope of x·σ(x) is 1.0998. */
const bound = 1.1;

/**
 * g(h) = h·σ(βh)/1.1 element by element, with a trained β = softplus(`beta`) > 0: slopes from −0.09 to 1, and
 * a second derivative that does not vanish where the first is 1, so that log-determinants keep a gradient.
 *
 * @example
 * const f = new LipSwish();
 */
export class LipSwish extends LipschitzLayer {
  static readonly type: string = 'LipSwish';
  readonly options = {};
  readonly lipschitz = 1;
  /** softplus⁻¹(β), one number; starts at 0.5. */
  readonly beta: Parameter;

  constructor(options: Readonly<Record<never, never>> = {}) {
    super();
    requireModuleOptions('LipSwish', options, []);
    this.beta = new Parameter('beta', full([1], 0.5));
  }

  evaluate(): EvaluatedLayer {
    const beta = softplus(this.beta.data);
    const betaSlope = affine(sigmoid(this.beta.data), 1 / bound);
    const gate = (h: Tensor) => sigmoid(mul(h, beta));
    /** f′ */
    const slope = (h: Tensor) => {
      const s = gate(h);
      return affine(add(s, mul(mul(h, beta), sigmoidSlope(s))), 1 / bound);
    };
    const timesSlope = (h: Tensor, v: Tensor) => mul(slope(h), v);
    /** σ′·(2 + βh(1 − 2σ)), of which f″ and ∂f′/∂β are multiples. */
    const bending = (h: Tensor) => {
      const s = gate(h);
      const turned = mul(mul(h, beta), affine(s, -2, 1));
      return mul(sigmoidSlope(s), affine(turned, 1, 2));
    };
    /** ∂f/∂beta */
    const byBeta = (h: Tensor) => mul(mul(square(h), sigmoidSlope(gate(h))), betaSlope);
    /** ∂f′/∂beta */
    const slopeByBeta = (h: Tensor) => mul(mul(h, bending(h)), betaSlope);
    const gather = (products: Tensor) => {
      if (!this.beta.frozen) this.beta.takeGrad(sum(products).reshape([1]));
    };
    return {
      apply: (h) => affine(mul(h, gate(h)), 1 / bound),
      slope,
      push: timesSlope,
      pull: timesSlope,
      bend: (h, v, u) => mul(mul(mul(bending(h), affine(beta, 1 / bound)), v), u),
      accumulate: (h, u) => gather(mul(byBeta(h), u)),
      accumulateBend: (h, v, u) => gather(mul(mul(slopeByBeta(h), v), u)),
      moved: (h, tangent) => {
        const d = tangent.parameters?.get(this.beta);
        return d && mul(byBeta(h), d);
      },
      movedPush: (h, v, tangent) => {
        const d = tangent.parameters?.get(this.beta);
        return d && mul(mul(slopeByBeta(h), v), d);
      },
    };
  }

  outputShape(h: Shape): Shape {
    return h;
  }
}

/** σ(1 − σ) */
function sigmoidSlope(s: Tensor): Tensor {
  return mul(s, affine(s, -1, 1));
}
