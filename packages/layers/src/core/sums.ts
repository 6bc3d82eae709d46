/** Sums of what several layers return; what is summed is freed. */
import { add, type Tensor } from '@invnet/tensor';

/** total + term, freeing both. */
export function addOwned(total: Tensor | undefined, term: Tensor): Tensor {
  if (!total) return term;
  const result = add(total, term);
  total.dispose();
  term.dispose();
  return result;
}

/** The log-determinants of several `jvp`s, added up. */
export function sumOfLogdets(...parts: readonly { logdet: Tensor; dlogdet: Tensor }[]): {
  logdet: Tensor;
  dlogdet: Tensor;
} {
  return parts
    .map(({ logdet, dlogdet }) => ({ logdet, dlogdet }))
    .reduce((a, b) => ({
      logdet: addOwned(a.logdet, b.logdet),
      dlogdet: addOwned(a.dlogdet, b.dlogdet),
    }));
}

/** The context gradients of several `backward`s, added up; none where there is none. */
export function sumOfContexts(...parts: readonly { dcontext?: Tensor }[]): { dcontext?: Tensor } {
  let total: Tensor | undefined;
  for (const { dcontext } of parts) if (dcontext) total = addOwned(total, dcontext);
  return total ? { dcontext: total } : {};
}
