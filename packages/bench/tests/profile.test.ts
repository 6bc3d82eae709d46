import { getBackend, matmul, setBackend, sum, tensor, WasmBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import type { GlowNetwork } from '../src/networks.ts';
import { makeTrainingProblem, ownTraining } from '../src/peers/own-network.ts';
import { describeProfile, profiled, profileTraining } from '../src/profile.ts';

test('notes each operation with what it computes and moves, and changes no result', async () => {
  const backend = new WasmBackend();
  const { backend: clock, rows } = profiled(backend);
  await setBackend(clock);
  expect(getBackend().info()).toEqual(backend.info());
  using a = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  using b = tensor([1, 1, 1], [3, 1]);
  using product = matmul(a, b);
  using total = sum(product);
  expect([...total.dataSync()]).toEqual([21]);
  const row = [...rows.values()].find(({ operation }) => operation === 'product');
  expect(row).toMatchObject({
    shape: '1 of 2 × 3 × 1',
    calls: 1,
    flops: 12,
    bytes: 4 * (6 + 3 + 2),
  });
  expect([...rows.values()].map((r) => r.operation)).toContain('sum');
});

test('counts the flops of a step: those of convolutions, evaluated twice, and of both gradients', async () => {
  const network: GlowNetwork = {
    kind: 'glow',
    ...{ batch: 2, channels: 1, side: 8, hidden: 8, scales: 1, steps: 1, ndims: 2 },
  };
  await setBackend(new WasmBackend());
  const problem = await makeTrainingProblem(network);
  const profile = await profileTraining(getBackend(), problem, 1);
  // 4 channels on 16 positions: a conditioner 2 → 8 → 8 → 4 in four passes, and a mixing 4 → 4 forwards, for
  // the input, for its gradient and for that of the matrix.
  const conditioner = 9 * 2 * 8 + 8 * 8 + 9 * 8 * 4;
  expect(profile.flops).toBe(2 * 2 * 16 * 4 * (conditioner + 4 * 4));
  expect(describeProfile(profile)).toMatch(/^between operations/m);
});

test('a step leaves parameters almost as they were, and result the gradients of one', async () => {
  const network: GlowNetwork = {
    kind: 'glow',
    ...{ batch: 2, channels: 1, side: 4, hidden: 4, scales: 1, steps: 1, ndims: 2 },
  };
  const backend = new WasmBackend();
  await setBackend(backend);
  const [step] = await ownTraining(backend, await makeTrainingProblem(network));
  const before = await step!.result!();
  await step!.run();
  const after = await step!.result!();
  expect(before).toHaveLength(1 + 11);
  expect(after[0]![0]).toBeCloseTo(before[0]![0]!, 4);
  expect(Math.max(...Array.from(before[1]!, Math.abs))).toBeGreaterThan(0);
});
