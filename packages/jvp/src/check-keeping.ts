/** Whether a backward that takes what its forward kept gives what one gives that recomputes it. */
import { type Bijection, type KeepLevel, keeping, zeroGrad } from '@invnet/layers';
import { memory, type RandomStream, type Tensor } from '@invnet/tensor';
import { distance, type Numbers } from './check-results.ts';
import { Made } from './check-scope.ts';
import type { DirectedMap } from './directed.ts';

/** The largest error of a gradient with something kept, and how many bytes and tensors were left behind. */
export async function compareKeeping(
  f: Bijection,
  map: DirectedMap,
  u: Tensor,
  context: Tensor | undefined,
  random: RandomStream,
): Promise<{ readonly error: number; readonly left: number }> {
  using made = new Made();
  const { v, logdet } = made.own(map.apply(u, context));
  const [dv, dlogdet] = made.own([random.normal(v.shape), random.normal(logdet.shape)] as const);
  const gradientsWith = async (keep: KeepLevel): Promise<Numbers[]> => {
    using results = new Made();
    zeroGrad(f.parameters);
    const { du, dcontext } = keeping(keep, () => {
      const { v } = results.own(map.apply(u, context));
      return results.own(map.back(v, dv, { dlogdet, context }));
    });
    const gradients = [du, dcontext, ...f.parameters.map((p) => p.grad)];
    const numbers = await Promise.all(gradients.map(async (t) => (t ? t.data() : [])));
    zeroGrad(f.parameters);
    return numbers;
  };
  const expected = await gradientsWith('nothing');
  const before = memory();
  let error = 0;
  for (const keep of ['inputs', 'all'] as const) {
    const found = await gradientsWith(keep);
    found.forEach((g, i) => {
      error = Math.max(error, distance(g, expected[i]!));
    });
  }
  const after = memory();
  const left =
    Math.abs(after.liveBytes - before.liveBytes) + Math.abs(after.tensors - before.tensors);
  return { error, left };
}
