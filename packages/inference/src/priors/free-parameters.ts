/** Parameters on the real line, where flows live. Mathematics: docs/math/inference/priors.md */
import type { HostArray } from '@invnet/datasets';
import type { Bijection } from '@invnet/layers';
import { tensor, tidy } from '@invnet/tensor';

/** Parameters before a map onto the prior's support. */
export async function freeParameters(toSupport: Bijection, theta: HostArray): Promise<HostArray> {
  using free = tidy(() => toSupport.inverse(tensor(theta.data, theta.shape)).x);
  return { shape: theta.shape, data: Float64Array.from(await free.data()) };
}
