import { setBackend } from '@invnet/tensor';
import { describe, expect, test } from 'vitest';
import { measureNetworks } from '../src/network-memory.ts';

describe('a pass through every network', () => {
  test('peaks at depth 64 no higher than 1.1 times the peak at 4, and leaves nothing', async () => {
    await setBackend('wasm');
    const results = await measureNetworks();
    expect(results).toHaveLength(11);
    for (const { network, ratio, left } of results) {
      expect(ratio, network).toBeLessThanOrEqual(1.1);
      expect(left, network).toBe(0);
    }
  });
});
