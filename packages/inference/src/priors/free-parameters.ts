/** Parameters on the real line, where flows live. Mathematics: docs/math/inference/priors.md */
import type { HostArray } from '@invnet/datasets';
import { tensor, tidy } from '@invnet/tensor';
import type { Prior } from './prior.ts';
import { clampInto } from './support.ts';

/** Parameters before a map onto the prior's support; those on a bound that it never reaches are moved next to it. */
export async function freeParameters(
  prior: Prior,
  { shape, data }: HostArray,
  toSupport = prior.toSupport(),
): Promise<HostArray> {
  const inside = Float64Array.from(data);
  clampInto(prior.support, inside);
  using free = tidy(() => toSupport.inverse(tensor(inside, shape)).x);
  return { shape, data: Float64Array.from(await free.data()) };
}
