/** The weights of mixtures, and what follows from them. Mathematics: docs/math/flows/bases.md */
import {
  add,
  affine,
  div,
  exp,
  full,
  log,
  max,
  maximum,
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

/** log Σₖ exp ℓₖ along the last axis, which is kept with size 1; −∞ where all terms are. */
export function logSum(terms: Tensor): Tensor {
  const { largest, total } = scaled(terms);
  return add(largest, log(total));
}

/** exp(ℓₖ − largest) along the last axis, their sum, and what was subtracted: a number, also where all terms are −∞. */
function scaled(terms: Tensor) {
  const found = max(terms, { axes: [-1], keepDims: true });
  const largest = maximum(found, full([], -1e38, found));
  const each = exp(sub(terms, largest));
  return { largest, each, total: sum(each, { axes: [-1], keepDims: true }) };
}

/** From ℓ [N, K] and the gradient of log p [N]: the weighted responsibilities w rₖ, [N, K], and ā. */
export function mixtureBackward(terms: Tensor, logits: Tensor, dlogProb: Tensor) {
  const w = dlogProb.reshape([-1, 1]);
  const { each, total } = scaled(terms);
  // The total is at least 1, but for samples that no component has: none answers for those.
  const shares = mul(w, div(each, maximum(total, full([], 0.5, total))));
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
