import { expect, test } from 'vitest';
import { type Contestant, hold } from '../src/contest.ts';
import type { Operation } from '../src/peers/peer.ts';

const contestant = (library: string, operation: Omit<Operation, 'name'>): Contestant => ({
  library,
  backend: 'here',
  load: async () => [{ name: 'sum', ...operation }],
});

test('takes the times of another clock, and compares results with those of the first', async () => {
  const run = async () => {};
  const { results, notes } = await hold(
    [
      contestant('first', { run, time: async () => 7, result: async () => [[1, 2]] }),
      contestant('same', { run, time: async () => 9, result: async () => [[1, 2]] }),
      contestant('other', { run, result: async () => [[1, 3]] }),
      contestant('apart', { run, time: async () => 5 }),
    ],
    { repeats: 2, warmUp: 0 },
  );
  expect(results.map((r) => [r.library, r.milliseconds, r.difference])).toEqual([
    ['first', 7, 0],
    ['same', 9, 0],
    ['apart', 5, null],
  ]);
  expect(notes).toMatchObject([{ library: 'other', op: 'sum' }]);
});

test('lets all have three turns before its patience ends', async () => {
  const slow = contestant('slow', { run: async () => {}, time: async () => 1000 });
  const { results } = await hold([slow], { repeats: 5, patience: 1500, warmUp: 0 });
  expect(results).toMatchObject([{ milliseconds: 1000, repeats: 3 }]);
});
