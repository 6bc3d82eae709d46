/** Losses: their values against metrics and formulas, their gradients against central differences. */
import { memory, RandomStream, setBackend, type Tensor, tensor } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { halfSquaredError, type Loss, softmaxCrossEntropy, ssim, ssimLoss } from '../src/index.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

/** Compares the gradient along random directions with (f(x + hd) − f(x − hd))/2h. */
async function checkGradient(loss: (x: Tensor) => Loss, values: Float64Array, shape: number[]) {
  const random = new RandomStream(9);
  const { liveBytes } = memory();
  const at = (moved: Float64Array) => {
    using x = tensor(moved, shape);
    return loss(x);
  };
  const valueAt = (moved: Float64Array) => {
    const { loss, gradient } = at(moved);
    gradient.dispose();
    const value = loss.dataSync<'float64'>()[0]!;
    loss.dispose();
    return value;
  };
  const { loss: value, gradient } = at(values);
  expect(gradient.shape).toEqual(shape);
  expect(value.shape).toEqual([]);
  const g = await gradient.data<'float64'>();
  value.dispose();
  gradient.dispose();
  const h = 1e-5;
  for (let trial = 0; trial < 6; trial++) {
    const d = random.normalArray(values.length);
    const along = g.reduce((sum, v, i) => sum + v * d[i]!, 0);
    const moved = (step: number) => valueAt(values.map((v, i) => v + step * d[i]!));
    const difference = (moved(h) - moved(-h)) / (2 * h);
    expect(along).toBeCloseTo(difference, 8);
    expect(Math.abs(difference)).toBeGreaterThan(1e-4);
  }
  expect(memory().liveBytes).toBe(liveBytes);
}

describe('softmaxCrossEntropy', () => {
  const shape = [2, 3, 2, 2];
  const labels = [0, 2, 1, 255, 1, 1, 255, 0];
  const mask = [1, 1, 1, 0, 1, 1, 0, 1];
  const logits = new RandomStream(1).normalArray(24, 2);

  it('is the mean of −log p over labelled places', () => {
    let expected = 0;
    for (const [i, label] of labels.entries()) {
      if (mask[i] === 0) continue;
      const of = (k: number) => Math.exp(logits[Math.floor(i / 4) * 12 + k * 4 + (i % 4)]!);
      expected -= Math.log(of(label) / (of(0) + of(1) + of(2))) / 6;
    }
    const { loss, gradient } = softmaxCrossEntropy(tensor(logits, shape), labels, { mask });
    expect(loss.dataSync()[0]).toBeCloseTo(expected, 12);
    const g = gradient.dataSync();
    for (const place of [3, 12 + 2]) {
      expect([0, 4, 8].map((k) => g[place + k])).toEqual([0, 0, 0]);
    }
    gradient.dispose();
  });

  it('has the gradient of central differences', async () => {
    await checkGradient((x) => softmaxCrossEntropy(x, labels, { mask }), logits, shape);
    await checkGradient((x) => softmaxCrossEntropy(x, [2, 0]), logits.slice(0, 6), [2, 3]);
  });

  it.each(['reference', 'wasm'] as const)(
    'holds for logits of ±1e4 in float32 on %s',
    async (name) => {
      await setBackend(name);
      using x = tensor([1e4, -1e4, -1e4, 1e4, 0, -1e4], [3, 2]);
      const { loss, gradient } = softmaxCrossEntropy(x, [0, 0, 1]);
      expect([...(await loss.data())]).toEqual([Math.fround(3e4 / 3)]);
      const third = Math.fround(1 / 3);
      expect([...(await gradient.data())]).toEqual([0, 0, -third, third, third, -third]);
      loss.dispose();
      gradient.dispose();
      await setBackend('reference', { dtype: 'float64' });
    },
  );

  it('refuses labels that are no class, or too few', () => {
    using x = tensor(logits, shape);
    expect(() => softmaxCrossEntropy(x, labels)).toThrow(/labels\[3\] is 255; .* from 0 to 2/);
    expect(() => softmaxCrossEntropy(x, [0, 1])).toThrow(/labels has 2 numbers .* place, 8/);
    const none = labels.map(() => 0);
    expect(() => softmaxCrossEntropy(x, labels, { mask: none })).toThrow(/leaves no label/);
  });
});

describe('ssimLoss', () => {
  it.each([[[2, 1, 9]], [[1, 2, 8, 11]], [[1, 1, 8, 7, 9]]])(
    'is 1 − ssim, with the gradient of central differences, of images %j',
    async (shape) => {
      const random = new RandomStream(3);
      const size = shape.reduce((a, b) => a * b);
      const truth = random.uniformArray(size);
      const values = truth.map((v, i) => v + 0.1 * random.normalArray(size)[i]!);
      using y = tensor(truth, shape);
      const loss = (x: Tensor) => ssimLoss(x, y, { range: 0.8 });
      const sizes = shape.slice(2);
      const places = sizes.reduce((a, b) => a * b);
      const images = Array.from({ length: size / places }, (_, i) => i * places);
      const similarities = images.map((from) => {
        const [a, b] = [values, truth].map((v) => v.subarray(from, from + places));
        return ssim(a!, b!, { shape: sizes, range: 0.8 });
      });
      using x = tensor(values, shape);
      const { loss: value, gradient } = loss(x);
      const mean = similarities.reduce((a, b) => a + b) / similarities.length;
      expect(value.dataSync()[0]).toBeCloseTo(1 - mean, 12);
      value.dispose();
      gradient.dispose();
      await checkGradient(loss, values, shape);
    },
  );

  it('refuses images without room for a window', () => {
    using x = tensor(new Float64Array(48), [1, 1, 6, 8]);
    expect(() => ssimLoss(x, x, { range: 1 })).toThrow(/\[6, 8\] has no room for a window of 7/);
  });
});

describe('halfSquaredError', () => {
  it('has the gradient of central differences', async () => {
    const random = new RandomStream(5);
    using truth = random.normal([3, 2, 2]);
    await checkGradient((x) => halfSquaredError(x, truth), random.normalArray(12), [3, 2, 2]);
    using x = tensor([1, 2, 3, 4], [2, 2]);
    using zero = tensor([0, 0, 0, 0], [2, 2]);
    expect(halfSquaredError(x, zero).loss.dataSync()[0]).toBe(30 / 2 / 2);
  });
});
