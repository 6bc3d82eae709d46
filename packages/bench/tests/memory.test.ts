import { setBackend } from '@invnet/tensor';
import { beforeAll, describe, expect, test } from 'vitest';
import { describeMemory, measureMemory, storedActivations } from '../src/memory.ts';

describe.each(['wasm', 'reference'] as const)('a training step of Glow on %s', (backend) => {
  beforeAll(() => setBackend(backend));

  test('peaks at 64 steps per scale no higher than 1.1 times the peak at 4, and leaks nothing', async () => {
    const config = { batch: 2, channels: 1, side: 16, hidden: 8, scales: 2 };
    const { results } = await measureMemory({ config, depths: [4, 64] });
    const [shallow, deep] = results;
    expect(deep!.peak).toBeGreaterThan(0);
    expect(deep!.peak).toBeLessThanOrEqual(1.1 * shallow!.peak);
    for (const r of results) expect(r.liveAfter).toBe(r.liveBefore);
  });
});

test('live bytes before a step are the batch, and four numbers per parameter at most', async () => {
  await setBackend('reference');
  const config = { batch: 2, channels: 1, side: 8, hidden: 4, scales: 1 };
  const { results } = await measureMemory({ config, depths: [1, 2] });
  const perStep = results[1]!.liveBefore - results[0]!.liveBefore;
  // ActNorm 4 + 4, three reflections of 4, conditioner 2 → 4 → 4 → 4 with kernels 3, 1, 3.
  const parameters = 8 + 12 + (2 * 4 * 9 + 4) + (4 * 4 + 4) + (4 * 4 * 9 + 4);
  expect(perStep).toBe(parameters * 4 * 4);
});

test('stored activations grow in proportion to depth', () => {
  const config = { batch: 1, channels: 1, side: 4, hidden: 8, scales: 1 };
  // 4 positions of 4 channels: 4·(4.5·4 + 16) numbers.
  expect(storedActivations(config, 1)).toBe(4 * 34 * 4);
  expect(storedActivations(config, 64)).toBe(64 * 4 * 34 * 4);
});

test('the table has one line per depth', async () => {
  await setBackend('reference');
  const config = { batch: 1, channels: 1, side: 4, hidden: 4, scales: 1 };
  const lines = describeMemory(await measureMemory({ config, depths: [1, 2] })).split('\n');
  expect(lines.at(-2)).toMatch(/^1 /);
  expect(lines.at(-1)).toMatch(/^2 /);
});
