/**
 * Activations of conditioners that bend without a kink, or nearly: ELU, GELU, SiLU.
 * Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  add,
  affine,
  exp,
  mul,
  reluGrad,
  relu as reluOp,
  requireBetween,
  requireOptions,
  sigmoidGrad,
  sigmoid as sigmoidOp,
  sub,
  type Tensor,
  tanhGrad,
  tanh as tanhOp,
  tidy,
} from '@invnet/tensor';
import { asData } from '../tree/named.ts';
import type { Activation, BuiltIn } from './activation.ts';

/**
 * x for x > 0, α(eˣ − 1) otherwise (Clevert et al., "Fast and accurate deep network learning by exponential
 * linear units", 2016).
 *
 * @throws ValueError unless alpha is finite and positive.
 * @example chain(new Conv({ inChannels: 2, outChannels: 8 }), elu())
 */
export function elu(options: { alpha?: number } = {}): Activation {
  requireOptions('elu', options, ['alpha']);
  const { alpha = 1 } = options;
  requireBetween('elu', 'alpha', alpha, 0);
  return asData<BuiltIn<Activation>>({
    name: 'elu',
    options: { alpha },
    range: [-alpha, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => add(reluOp(x), affine(expBelowZero(x), alpha, -alpha))),
    grad: (_, dy, x) =>
      tidy(() => {
        const above = reluGrad(x, dy);
        return add(above, affine(mul(sub(dy, above), expBelowZero(x)), alpha));
      }),
  });
}

/**
 * x·½(1 + tanh(√(2/π)(x + 0.044715 x³))), the form by tanh that the paper gives (Hendrycks and Gimpel,
 * "Gaussian error linear units", 2016); PyTorch's `GELU(approximate='tanh')`.
 */
export function gelu(): Activation {
  const [outer, inner] = [Math.sqrt(2 / Math.PI), 0.044715];
  const gate = (x: Tensor) => {
    const argument = affine(mul(x, affine(mul(x, x), inner, 1)), outer);
    return tanhOp(argument);
  };
  return asData<BuiltIn<Activation>>({
    name: 'gelu',
    options: {},
    range: [-0.171, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => affine(mul(x, affine(gate(x), 1, 1)), 0.5)),
    grad: (_, dy, x) =>
      tidy(() => {
        const t = gate(x);
        const slope = affine(mul(x, x), 3 * inner * outer, outer);
        const through = mul(x, tanhGrad(t, mul(dy, slope)));
        return affine(add(mul(dy, affine(t, 1, 1)), through), 0.5);
      }),
  });
}

/** x·σ(x) (Elfwing et al., "Sigmoid-weighted linear units", 2018), also called swish. */
export function silu(): Activation {
  return asData<BuiltIn<Activation>>({
    name: 'silu',
    options: {},
    range: [-0.2785, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => mul(x, sigmoidOp(x))),
    grad: (_, dy, x) =>
      tidy(() => {
        const gate = sigmoidOp(x);
        return add(mul(dy, gate), sigmoidGrad(gate, mul(dy, x)));
      }),
  });
}

/** exp(min(x, 0)), which does not overflow where x is large. */
function expBelowZero(x: Tensor): Tensor {
  return exp(affine(reluOp(affine(x, -1)), -1));
}
