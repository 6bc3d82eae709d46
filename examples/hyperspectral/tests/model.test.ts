/** The network's gradient, written by hand around an invertible network, and what it keeps. */
import { memory, RandomStream, setBackend, tensor } from '@invnet/tensor';
import { beforeAll, describe, expect, test } from 'vitest';
import { Segmenter } from '../src/model.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

describe.each([false, true])('a network, volume: %s', (volume) => {
  const sizes = { bands: 4, classes: 3, channels: 2, hidden: 4, depth: 11, volume };
  const random = new RandomStream(3);
  const labels = Uint8Array.from({ length: 32 }, (_, i) => i % 3);
  const mask = Uint8Array.from({ length: 32 }, (_, i) => i % 2);

  test('has the gradient of central differences, and leaves nothing behind', () => {
    const model = new Segmenter({ ...sizes, random });
    using image = random.normal([1, 4, 4, 8]);
    const before = memory().liveBytes;
    const loss = () => {
      using value = model.lossAndGradients(image, labels, mask);
      return value.dataSync<'float64'>()[0]!;
    };
    loss();
    const gradients = model.parameters.map((p) => p.detachGrad()!);
    for (const [i, p] of model.parameters.entries()) {
      const values = p.data.dataSync<'float64'>();
      const direction = random.normalArray(values.length, 1 / Math.sqrt(values.length));
      const g = gradients[i]!.dataSync<'float64'>();
      const along = g.reduce((sum, v, k) => sum + v * direction[k]!, 0);
      const moved = (step: number) => {
        using other = tensor(
          values.map((v, k) => v + step * direction[k]!),
          p.shape,
        );
        p.data.swap(other);
        const value = loss();
        p.data.swap(other);
        return value;
      };
      expect(along, p.name).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 7);
    }
    for (const g of gradients) g.dispose();
    for (const p of model.parameters) p.zeroGrad();
    expect(memory().liveBytes).toBe(before);
    using logits = model.logits(image);
    expect(logits.shape).toEqual([1, 3, 4, 8]);
    model.dispose();
  });
});
