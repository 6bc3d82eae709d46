/** What a network owns while it is being built: all of it is freed when that fails. */
import { keep, type Tensor } from '@invnet/tensor';

let owned: Set<Tensor> | undefined;

/** Takes a tensor out of all scopes, for a parameter or a buffer. */
export function own(t: Tensor): Tensor {
  owned?.add(t);
  return keep(t);
}

/** Frees a tensor if it was taken over while what is being built was; others may be someone's. */
export function disown(t: Tensor): void {
  if (owned?.delete(t)) t.dispose();
}

/** Runs `make`, which builds modules; when it throws, the tensors that they took over are freed. */
export function constructing<T>(make: () => T): T {
  const outer = owned;
  const mine = new Set<Tensor>();
  owned = mine;
  try {
    return make();
  } catch (error) {
    for (const t of mine) t.dispose();
    throw error;
  } finally {
    owned = outer;
    if (outer) for (const t of mine) outer.add(t);
  }
}
