/** The weights of mixtures, and what follows from them. Mathematics: docs/math/flows/bases.md */
import {
  add,
  affine,
  exp,
  log,
  max,
  mul,
  type RandomStream,
  sign,
  sub,
  sum,
  type Tensor,
  tensor,
} from '@invnet/tensor';

/** log πₖ of logarithms of weights that need not add up to 1, along the last axis. */
export function logWeights(logits: Tensor): Tensor {
  return sub(logits, logSum(logits));
}

/** log Σₖ exp ℓₖ along the last axis, which is kept with size 1. */
export function logSum(terms: Tensor): Tensor {
  const largest = max(terms, { axes: [-1], keepDims: true });
  return add(largest, log(sum(exp(sub(terms, largest)), { axes: [-1], keepDims: true })));
}

/** From ℓ [N, K] and the gradient of log p [N]: the weighted responsibilities w rₖ, [N, K], and ā. */
export function mixtureBackward(terms: Tensor, logits: Tensor, dlogProb: Tensor) {
  const w = dlogProb.reshape([-1, 1]);
  const shares = mul(w, exp(sub(terms, logSum(terms))));
  const expected = mul(exp(logWeights(logits)), sum(dlogProb));
  return { shares, dlogits: sub(sum(shares, { axes: [0] }), expected) };
}

/** One component for each of N samples, as 1 in its column of [N, K] and 0 elsewhere. */
export function drawComponents(logits: Tensor, samples: number, random: RandomStream): Tensor {
  const [components] = logits.shape;
  const u = random.uniformArray(samples * components!);
  // Gumbel's noise. Uniform numbers are multiples of 2⁻²⁴; moved by half of that, none is 0.
  const noise = tensor(
    u.map((x) => -Math.log(-Math.log(x + 2 ** -25))),
    [samples, components!],
    logits,
  );
  const scores = add(noise, logits);
  return affine(sign(sub(scores, max(scores, { axes: [1], keepDims: true }))), 1, 1);
}
