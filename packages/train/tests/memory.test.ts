/** Training asks the system for no memory once the optimizer's state is there. */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { backendInfo, memory, RandomStream, setBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { Adam } from '../src/index.ts';

test.each([1, 2])(
  'on wasm with %i threads, memory stays as it is after a step with all state',
  async (threads) => {
    await setBackend('wasm', { threads });
    const random = new RandomStream(1);
    const flow = new Flow({ network: new Glow({ channels: 1, hidden: 32, steps: 4, random }) });
    const optimizer = new Adam();
    using x = random.uniform([8, 1, 28, 28]);
    const sizes: unknown[] = [];
    const live: number[] = [];
    for (let step = 0; step < 7; step++) {
      using loss = negativeLogLikelihood(flow, x);
      optimizer.step(flow.parameters, { learningRate: 1e-3 });
      for (const p of flow.parameters) p.zeroGrad();
      await loss.data();
      sizes.push(backendInfo().details.memoryBytes);
      live.push(memory().liveBytes);
    }
    // Moments are made at the end of the first step: the second is the first with all there is.
    expect(new Set(sizes.slice(1)).size).toBe(1);
    expect(new Set(live).size).toBe(1);
  },
);
