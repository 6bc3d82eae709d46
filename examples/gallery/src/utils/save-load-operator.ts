/** A network with functions in it: they are saved by their name, and made anew where it is loaded. */
import { mkdir } from 'node:fs/promises';
import { named } from '@invnet/layers';
import { networkCatalogue, UnrolledLoop } from '@invnet/networks';
import { conv, convInputGrad, full, RandomStream, type Tensor, zeros } from '@invnet/tensor';
import { loadModel, saveModel } from '@invnet/train';
import { report } from '../check.ts';

const random = new RandomStream(1);
const makeBlur = () => {
  const kernel = full([1, 1, 3, 3], 1 / 9);
  return {
    forward: (u: Tensor) => conv(u, kernel, { padding: 1 }),
    adjoint: (r: Tensor) => convInputGrad(r, kernel, r.shape, { padding: 1 }),
  };
};
const operator = named('blur 3×3', makeBlur());
const saved = new UnrolledLoop({ memoryChannels: 3, iterations: 2, operator, hidden: 8, random });

await mkdir('out/gallery', { recursive: true });
const path = 'out/gallery/loop.safetensors';
await saveModel(path, saved);
const loaded = await loadModel(path, {
  modules: networkCatalogue,
  named: { 'blur 3×3': makeBlur },
  as: UnrolledLoop,
});

const data = operator.forward(random.normal([2, 1, 8, 8]));
const start = [operator.adjoint(data), zeros([2, 3, 8, 8])] as const;
const [there, here] = [loaded.forward(start, data), saved.forward(start, data)];
await report('estimates of the loaded loop', there.y[0], here.y[0]);
