import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { alone, type Ended, mpirun } from './mpirun.ts';

interface Line {
  readonly rank: number;
  readonly stopped: string;
  readonly bits: string;
  readonly left: number;
  readonly history: readonly { readonly trainingLoss: number; readonly validationLoss: number }[];
}

function told({ code, stdout, stderr }: Ended): Line[] {
  expect(code, stderr).toBe(0);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}

it('fit does on two ranks what it does alone, and goes on from where one of them was told to stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'invnet-mpi-fit-'));
  try {
    const [single] = told(await alone('fit'));
    const whole = told(await mpirun({ ranks: 2, program: 'fit' }));
    const checkpoint = join(folder, 'fit.safetensors');
    const parts = told(await mpirun({ ranks: 2, program: 'fit', args: [checkpoint] }));
    const stopped = parts.filter((line) => line.stopped === 'aborted');
    const resumed = parts.filter((line) => line.stopped === 'epochs');
    expect([stopped.length, resumed.length]).toEqual([2, 2]);
    expect(new Set([...whole, ...resumed].map(({ bits }) => bits)).size).toBe(1);
    for (const { history, left } of [...whole, ...resumed]) {
      expect(left).toBe(0);
      expect(history).toEqual(whole[0]!.history);
    }
    single!.history.forEach((epoch, i) => {
      const shared = whole[0]!.history[i]!;
      for (const name of ['trainingLoss', 'validationLoss'] as const) {
        expect(Math.abs(shared[name] / epoch[name] - 1)).toBeLessThan(1e-5);
      }
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
