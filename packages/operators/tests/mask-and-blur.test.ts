/** Masks and blurs: their formulas, adjoints, and what is refused. */
import { memory, RandomStream, ShapeError, setBackend, tensor, zeros } from '@invnet/tensor';
import { beforeEach, expect, it } from 'vitest';
import { Blur, Mask } from '../src/index.ts';
import { adjointError } from './dot.ts';
import { itAgreesWith } from './python.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

it('a mask keeps what is seen, in all channels or in each', async () => {
  const u = tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 2, 2]);
  const all = new Mask({ shape: [2, 2, 2], mask: tensor([1, 0, 0, 1], [1, 2, 2]) });
  const each = new Mask({ shape: [2, 2, 2], mask: tensor([1, 0, 0, 1, 0, 1, 1, 0.5], [2, 2, 2]) });
  expect([...all.forward(u).dataSync()]).toEqual([1, 0, 0, 4, 5, 0, 0, 8]);
  expect([...each.forward(u).dataSync()]).toEqual([1, 0, 0, 4, 0, 6, 7, 4]);
  for (const mask of [all, each]) expect(await adjointError(mask)).toBeLessThan(1e-11);
});

it('a blur is the convolution with its kernel, with zeros beyond the edges', async () => {
  const [height, width] = [5, 4];
  const kernel = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const random = new RandomStream(1);
  const blur = new Blur({ shape: [2, height, width], kernel: tensor(kernel, [3, 3]) });
  const u = random.normal([3, 2, height, width]);
  const values = u.dataSync();
  const expected = Array.from(values, (_, k) => {
    const [i, j] = [Math.floor(k / width) % height, k % width];
    let total = 0;
    for (let a = -1; a <= 1; a++) {
      for (let b = -1; b <= 1; b++) {
        const inside = i - a >= 0 && i - a < height && j - b >= 0 && j - b < width;
        if (inside) total += kernel[3 * (a + 1) + b + 1]! * values[k - a * width - b]!;
      }
    }
    return total;
  });
  blur
    .forward(u)
    .dataSync()
    .forEach((v, k) => {
      expect(v).toBeCloseTo(expected[k]!, 12);
    });
  expect(await adjointError(blur)).toBeLessThan(1e-11);
  for (const [shape, size] of [
    [[3, 6], [5]],
    [
      [1, 3, 4, 5],
      [3, 1, 5],
    ],
    // Wider than the image.
    [
      [1, 2, 2],
      [5, 5],
    ],
  ] as const) {
    const other = new Blur({ shape, kernel: random.normal(size) });
    expect(await adjointError(other)).toBeLessThan(1e-11);
  }
});

it('both hold a copy, which is freed with them', async () => {
  await setBackend('wasm');
  const before = memory().liveBytes;
  const weights = tensor([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3]);
  const kernel = weights.reshape([3, 3]);
  const operators = [
    new Mask({ shape: [1, 3, 3], mask: weights }),
    new Blur({ shape: [1, 3, 3], kernel }),
  ];
  for (const t of [weights, kernel]) t.dispose();
  const u = zeros([2, 1, 3, 3]);
  for (const operator of operators) {
    for (const t of [operator.forward(u), operator.adjoint(u), operator]) t.dispose();
  }
  u.dispose();
  expect(memory().liveBytes).toBe(before);
});

it('masks and kernels that do not fit are refused', () => {
  const mask = (shape: number[]) => () => new Mask({ shape: [2, 4, 4], mask: zeros(shape) });
  expect(mask([4, 4])).toThrow(/expected the same, or \[1, 4, 4\]/);
  expect(mask([3, 4, 4])).toThrow(ShapeError);
  expect(mask([1, 4, 5])).toThrow(ShapeError);
  expect(() => mask([1, 4, 4])().forward(zeros([1, 2, 4, 5]))).toThrow(
    /Mask: forward got \[1, 2, 4, 5\]; expected \[N, 2, 4, 4\]/,
  );
  const blur = (size: number[]) => () => new Blur({ shape: [2, 4, 4], kernel: zeros(size) });
  expect(blur([4, 3])).toThrow(/expected odd sizes/);
  expect(blur([3])).toThrow(ShapeError);
  expect(() => new Blur({ shape: [2], kernel: zeros([]) })).toThrow(ShapeError);
});

itAgreesWith(['numpy', 'scipy'], 'convolution of scipy', (run) => {
  const random = new RandomStream(2);
  const [u, kernel] = [random.normal([1, 1, 9, 7]), random.normal([3, 5])];
  const program = `
import numpy as np
from scipy.signal import convolve2d
u, k = np.array(given['u']).reshape(9, 7), np.array(given['kernel']).reshape(3, 5)
json.dump(convolve2d(u, k, mode='same').ravel().tolist(), sys.stdout)
`;
  const given = { u: [...u.dataSync()], kernel: [...kernel.dataSync()] };
  const expected = run(program, given) as number[];
  new Blur({ shape: [1, 9, 7], kernel })
    .forward(u)
    .dataSync()
    .forEach((v, k) => {
      expect(v).toBeCloseTo(expected[k]!, 12);
    });
});
