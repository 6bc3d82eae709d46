/** What stands behind the last layer of a conditioner. */
import {
  concat,
  mul,
  relu,
  reluGrad,
  requireOneOf,
  sigmoid,
  sigmoidGrad,
  split,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { sumOfTerms } from '../core/idioms.ts';

/** Names of output activations. */
export type OutputActivationName = 'none' | 'relu' | 'galu';

/** y = f(z) with its derivatives in terms of z. Results are tensors of their own. */
export interface OutputActivation {
  /** Channels of z for one of y. */
  readonly channelFactor: number;
  apply(z: Tensor): Tensor;
  /** f′(z)ᵀ dy */
  grad(z: Tensor, dy: Tensor): Tensor;
  /** f′(z) dz */
  tangent(z: Tensor, dz: Tensor): Tensor;
}

const reluOutput: OutputActivation = {
  channelFactor: 1,
  apply: relu,
  grad: reluGrad,
  tangent: reluGrad,
};

/** Gated linear unit: a ⊙ σ(b) for z = (a, b) along the channels (Dauphin et al., 2017). */
const galuOutput: OutputActivation = {
  channelFactor: 2,
  apply: (z) =>
    tidy(() => {
      const [a, b] = halves(z);
      return mul(a, sigmoid(b));
    }),
  grad: (z, dy) =>
    tidy(() => {
      const [a, b] = halves(z);
      const gate = sigmoid(b);
      return concat([mul(dy, gate), sigmoidGrad(gate, mul(dy, a))], 1);
    }),
  tangent: (z, dz) =>
    tidy(() => {
      const [a, b] = halves(z);
      const [da, db] = halves(dz);
      const gate = sigmoid(b);
      return sumOfTerms(a, mul(da, gate), sigmoidGrad(gate, mul(db, a)));
    }),
};

const outputs: Readonly<Record<OutputActivationName, OutputActivation | undefined>> = {
  none: undefined,
  relu: reluOutput,
  galu: galuOutput,
};

/** The activation of a name; undefined for `none`. @throws ValueError for a name that is none of them. */
export function outputActivation(name: OutputActivationName): OutputActivation | undefined {
  requireOneOf('ResidualBlock', 'outputActivation', name, Object.keys(outputs));
  return outputs[name];
}

function halves(z: Tensor): [Tensor, Tensor] {
  const half = z.shape[1]! / 2;
  const [a, b] = split(z, 1, [half, half]);
  return [a!, b!];
}
