import { expect, test } from 'vitest';
import { chooseNetworks, describeGlow, describeProfiles, measureGlow } from '../src/glow.ts';
import type { GlowNetwork, HintNetwork, LoopNetwork } from '../src/networks.ts';
import { ownBackends } from '../src/own-backends.ts';

const sizes = { batch: 2, side: 8, hidden: 8 };
const volume: GlowNetwork = {
  kind: 'glow',
  ...{ ...sizes, channels: 1, scales: 2, steps: 2, ndims: 3 },
};
const hint: HintNetwork = { kind: 'hint', ...sizes, channels: 4, steps: 2 };
const loop: LoopNetwork = { kind: 'loop', ...sizes, memoryChannels: 3, iterations: 2 };

test('times a step of each network on all of our backends and threads, with the same bits', async () => {
  const chosen = { volume, hint, loop };
  const report = await measureGlow({ chosen, threads: 2, repeats: 2, peers: false });
  expect(report.networks.map(({ name }) => name)).toEqual(Object.keys(chosen));
  for (const { results, notes, equal, peaks, profile } of report.networks) {
    // Wide vectors are not everywhere.
    const missing = notes.filter(({ library }) => library === 'invnet').length / 2;
    expect(results).toHaveLength(2 * (ownBackends.length - missing));
    expect(results.map((r) => r.backend)).toContain('wasm, 2 threads');
    for (const r of results) expect(r.milliseconds).toBeGreaterThan(0);
    if (process.platform === 'linux') {
      for (const r of results) expect(r.peakBytes).toBeGreaterThan(2 ** 20);
    }
    expect(equal).toBe(true);
    expect(peaks[128]).toBeGreaterThan(0);
    expect(profile?.flops).toBeGreaterThan(0);
  }
  const text = describeGlow(report);
  expect(text).toContain('equal bit for bit');
  expect(text).toMatch(/^volume {2}/m);
  expect(describeProfiles(report)).toMatch(/^volume: One thread/);
  expect(describeProfiles(report)).toMatch(/^filter gradient 3×3×3 +8 /m);
});

test('knows networks by their names', () => {
  expect(Object.keys(chooseNetworks('wide,mnist'))).toEqual(['wide', 'mnist']);
  expect(Object.keys(chooseNetworks(undefined))).toHaveLength(6);
  expect(() => chooseNetworks('mnist,huge')).toThrow(
    /unknown network 'huge'; expected some of mnist/,
  );
});
