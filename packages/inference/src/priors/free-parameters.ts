/** Parameters on the real line, where flows live. Mathematics: docs/math/inference/priors.md */
import type { HostArray } from '@invnet/datasets';
import { tensor, tidy } from '@invnet/tensor';
import type { Prior } from './prior.ts';

/** Parameters before the map onto the prior's support. */
export async function freeParameters(prior: Prior, theta: HostArray): Promise<HostArray> {
  using free = tidy(() => prior.toSupport().inverse(tensor(theta.data, theta.shape)).x);
  return { shape: theta.shape, data: Float64Array.from(await free.data()) };
}
