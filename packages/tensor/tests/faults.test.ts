/** Where memory ends in the midst of an operation, on every backend: nothing is left of it. */
import { describe, expect, it } from 'vitest';
import { createGpuBackend } from '../src/gpu/index.ts';
import {
  accumulate,
  adamUpdate,
  assign,
  collectTensors,
  concat,
  conv,
  convFilterGrad,
  convInputGrad,
  exp,
  fusedChannelAffine,
  fusedCoupling,
  fusedReflections,
  getBackend,
  leapfrog,
  matmul,
  max,
  mean,
  memory,
  mul,
  OutOfMemoryError,
  ones,
  permute,
  ReferenceBackend,
  setBackend,
  split,
  sum,
  sumPerChannel,
  type Tensor,
  tensor,
  WasmBackend,
} from '../src/index.ts';
import { FaultyBackend } from './faults.ts';

/** What the operations take: images, kernels, vectors. */
function operands() {
  const [x, w, rt] = [ones([2, 2, 8, 10]), ones([3, 2, 3, 3]), ones([2, 2, 8, 10])];
  const grid = ones([1, 8, 10]);
  return { x, w, rt, grid, y: ones([2, 3, 8, 10]), m: ones([40, 30]), v: ones([2]), n: ones([2]) };
}

const operations: Record<string, (t: ReturnType<typeof operands>) => unknown> = {
  tensor: () => tensor([1, 2, 3]),
  exp: ({ m }) => exp(m),
  mul: ({ x }) => mul(x, x),
  permute: ({ x }) => permute(x, [3, 0, 2, 1]),
  split: ({ x }) => split(x, 3, [3, 3, 4]),
  'concat of three': ({ x }) => concat([x, x, x], 1),
  sum: ({ m }) => sum(m),
  'sum over rows': ({ m }) => sum(m, { axes: [0] }),
  max: ({ m }) => max(m),
  mean: ({ m }) => mean(m),
  sumPerChannel: ({ x }) => sumPerChannel(x),
  matmul: ({ m }) => matmul(m, m, { transposeB: true }),
  conv: ({ x, w }) => conv(x, w, { padding: 1, activation: 'relu' }),
  convInputGrad: ({ x, w, y }) => convInputGrad(y, w, x.shape, { padding: 1, relu: x }),
  convFilterGrad: ({ x, w, y }) => convFilterGrad(x, y, w.shape, { padding: 1 }),
  accumulate: ({ x, rt }) => accumulate(x, rt, 2),
  assign: ({ x, rt }) => assign(x, rt),
  adamUpdate: ({ x, rt, v, n }) =>
    adamUpdate(
      [
        { target: v, m: n, v: v, grad: n, step: 1 },
        { target: x, m: rt, v: x, grad: rt, step: 1 },
      ],
      { learningRate: 0.1, beta1: 0.9, beta2: 0.9, epsilon: 1e-8, gradientScale: 1 },
    ),
  leapfrog: ({ x, rt, grid }) => {
    // gpu has none, and says so before it makes anything.
    if (getBackend().name === 'gpu') return;
    leapfrog({
      ...{ gain: grid, decay: grid, fields: [2, 2], border: 0, spacing: [1, 1], steps: 3 },
      state: { previous: x, current: rt },
    });
  },
  'fusedCoupling, apply': ({ x, rt }) => coupling(rt)?.apply(x),
  'fusedCoupling, backward': ({ x, rt, v }) => coupling(rt)?.backward(x, x, v),
  'fusedChannelAffine, apply': ({ x, v }) => fusedChannelAffine(v, v, 'forward')?.apply(x),
  'fusedChannelAffine, backward': ({ x, v }) =>
    fusedChannelAffine(v, v, 'inverse')?.backward(x, x, undefined),
  'fusedReflections, matrix': ({ v }) => fusedReflections([v, v, v])?.matrix(),
  'fusedReflections, backward': ({ v }) => {
    const g = ones([2, 2]);
    try {
      return fusedReflections([v, v, v])?.backward(g);
    } finally {
      g.dispose();
    }
  },
};

const coupling = (rt: Tensor) => fusedCoupling(rt, { low: 0.5, high: 1 }, 'forward', 1);

describe.each([
  { name: 'reference', make: () => new ReferenceBackend() },
  { name: 'wasm', make: () => new WasmBackend() },
  { name: 'wasm on two threads', make: () => WasmBackend.create({ threads: 2 }) },
  { name: 'gpu', make: () => createGpuBackend() },
])('on $name', ({ make }) => {
  it('every operation leaves nothing when memory ends in it', async () => {
    const faulty = new FaultyBackend(await make());
    await setBackend(faulty.backend);
    const given = operands();
    const before = memory();
    let failures = 0;
    for (const [name, operation] of Object.entries(operations)) {
      for (let k = 1; ; k++) {
        const { result, error, count } = await faulty.attempt(
          'allocation',
          () => operation(given),
          k,
        );
        if (!error) {
          expect(count, name).toBe(k - 1);
          const made = new Set<Tensor>();
          collectTensors(result, made);
          for (const t of made) t.dispose();
          break;
        }
        expect(error, name).toBeInstanceOf(OutOfMemoryError);
        failures += 1;
        const { tensors, liveBytes } = memory();
        expect({ k, tensors, liveBytes }, name).toEqual({
          k,
          tensors: before.tensors,
          liveBytes: before.liveBytes,
        });
      }
    }
    expect(failures).toBeGreaterThan(15);
  });
});
