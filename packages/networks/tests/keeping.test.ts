/** Networks that are no bijections keep what the bijections in them can use. */
import { keeping, zeroGrad } from '@invnet/layers';
import { getBackend, memory, RandomStream, setBackend } from '@invnet/tensor';
import { expect, it, vi } from 'vitest';
import { RevNet } from '../src/index.ts';

it('a RevNet has the same gradients, whatever it keeps, and leaves nothing', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const random = new RandomStream(1);
  const net = new RevNet({ channels: 1, classes: 3, width: 4, blocks: [2, 1], random });
  const [x, dy] = [random.normal([3, 1, 5, 4]), random.normal([3, 3])];
  const convolutions = vi.spyOn(getBackend(), 'conv');
  const step = (keep: 'nothing' | 'inputs' | 'all') => {
    convolutions.mockClear();
    const before = memory().liveBytes;
    const { kept, dx } = keeping(keep, () => {
      const { y, saved } = net.forward(x);
      const kept = memory().liveBytes - before;
      const { dx } = net.backward(dy, saved);
      saved.dispose();
      y.dispose();
      return { kept, dx };
    });
    const gradients = [dx, ...net.parameters.map(({ grad }) => grad!)].map((t) => [
      ...t.dataSync(),
    ]);
    dx.dispose();
    zeroGrad(net.parameters);
    expect(memory().liveBytes).toBe(before);
    return { kept, gradients, convolutions: convolutions.mock.calls.length };
  };
  const [nothing, inputs, all] = [step('nothing'), step('inputs'), step('all')];
  for (const { gradients } of [inputs, all]) {
    gradients.forEach((values, i) => {
      values.forEach((v, j) => {
        expect(Math.abs(v - nothing.gradients[i]![j]!)).toBeLessThan(1e-11);
      });
    });
  }
  // Two in each of the six residual functions, and one before each resolution.
  expect([nothing, inputs, all].map((s) => s.convolutions)).toEqual([26, 14, 14]);
  expect(inputs.kept).toBeGreaterThan(2 * nothing.kept);
  expect(all.kept).toBeGreaterThan(inputs.kept);
});
