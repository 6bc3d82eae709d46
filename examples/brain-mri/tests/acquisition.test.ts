/** Simulated scans: phase, lines, noise. */
import { PhaseEncodedFourier } from '@invnet/operators';
import { memory, RandomStream, setBackend, sub } from '@invnet/tensor';
import { beforeAll, expect, test } from 'vitest';
import { acquire, withPhase } from '../src/index.ts';

beforeAll(async () => {
  await setBackend('wasm');
});

test('a phase leaves magnitudes as they are and is smooth', async () => {
  using magnitudes = new RandomStream(1).uniform([2, 16, 16], 0.5, 1);
  using images = await withPhase(magnitudes, new RandomStream(2));
  expect(images.shape).toEqual([2, 2, 16, 16]);
  const [m, x] = [await magnitudes.data(), await images.data()];
  for (let n = 0; n < 2; n++) {
    let last = 0;
    for (let i = 0; i < 256; i++) {
      const [re, im] = [x[n * 512 + i]!, x[n * 512 + 256 + i]!];
      expect(Math.hypot(re, im)).toBeCloseTo(m[n * 256 + i]!, 5);
      const phase = Math.atan2(im, re);
      const step = Math.abs(phase - last);
      if (i % 16 > 0) expect(Math.min(step, 2 * Math.PI - step)).toBeLessThan(0.9);
      last = phase;
    }
  }
});

test('a scan has lines of its own for each sample, and noise of the deviation asked for', async () => {
  const operator = new PhaseEncodedFourier({ size: [32, 24], lines: [0] });
  using images = new RandomStream(1).normal([3, 2, 32, 24]);
  const scan = (noise: number) =>
    acquire(images, { operator, acceleration: 4, center: 0.1, noise, random: new RandomStream(4) });
  using noisy = scan(0.02);
  const before = memory().liveBytes;
  using exact = scan(0);
  // The operator's matrices are as large as before.
  expect(memory().liveBytes - before).toBe(4 * exact.size);
  using again = operator.forward(images);
  expect(noisy.shape).toEqual([3, 2, 8, 24]);
  expect(await again.data()).toEqual(await exact.data());
  using difference = sub(noisy, exact);
  const values = await difference.data();
  const squares = values.reduce((sum, v) => sum + v * v, 0);
  expect(Math.sqrt(squares / values.length)).toBeCloseTo(0.02, 2);
  expect(operator.lines[0]).not.toEqual(operator.lines[1]);
});
