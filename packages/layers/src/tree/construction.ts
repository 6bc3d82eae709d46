/** What a network owns while it is being built: all of it is freed when that fails. */
import { keep, type Tensor } from '@invnet/tensor';

let owned: Set<Tensor> | undefined;
let largest = Number.POSITIVE_INFINITY;

/** The largest size that what is being built may have. */
export function largestSize(): number {
  return largest;
}

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
export function constructing<T>(make: () => T, limit = largest): T {
  const [outer, outerLimit] = [owned, largest];
  largest = limit;
  const mine = new Set<Tensor>();
  owned = mine;
  try {
    return make();
  } catch (error) {
    for (const t of mine) t.dispose();
    throw error;
  } finally {
    owned = outer;
    largest = outerLimit;
    if (outer) for (const t of mine) outer.add(t);
  }
}
