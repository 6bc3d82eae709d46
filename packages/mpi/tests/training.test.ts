import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { alone, type Ended, mpirun } from './mpirun.ts';
import type { Asked } from './programs/train.ts';

let folder: string;
let single: Line[];
let undisturbed: Line | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'invnet-mpi-'));
  single = told(await alone('train')).steps;
  undisturbed = told(await shared(2, {})).ends[0];
});
afterAll(() => rm(folder, { recursive: true }));

interface Line {
  readonly step?: number;
  readonly loss?: number;
  readonly gradientNorm?: number;
  readonly rank?: number;
  readonly last?: number;
  readonly bits?: string;
  readonly grows?: boolean;
  readonly error?: string;
}

/** What a run printed: rank 0's steps, and how each training ended on each rank. */
function told({ stdout }: Ended) {
  const lines = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Line => JSON.parse(line));
  return {
    steps: lines.filter(({ step }) => step !== undefined),
    ends: lines.filter(({ rank }) => rank !== undefined),
  };
}

const shared = (ranks: number, ...list: Asked[]) =>
  mpirun({ ranks, program: 'train', args: [JSON.stringify(list)] });

describe('train with a communicator', () => {
  // Twice: on one thread each, and on two where that does not make too many.
  it.each([
    [2, 2],
    [3, 1],
  ])(
    'does on %i ranks what one process with all samples does, to the same bits',
    async (ranks, threads) => {
      const { steps, ends } = told(await shared(ranks, {}, { threads }));
      expect(single).toHaveLength(5);
      single.forEach(({ loss, gradientNorm }, i) => {
        expect(Math.abs(steps[i]!.loss! / loss! - 1)).toBeLessThan(1e-6);
        expect(Math.abs(steps[i]!.gradientNorm! / gradientNorm! - 1)).toBeLessThan(1e-4);
      });
      expect(steps.slice(5)).toEqual(steps.slice(0, 5));
      expect(ends).toHaveLength(2 * ranks);
      expect(new Set(ends.map(({ bits }) => bits)).size).toBe(1);
      expect(ends.filter(({ grows }) => grows)).toEqual([]);
    },
  );

  it('compares the ranks, and ends on all of them at once', async () => {
    const cases: [NonNullable<Asked['there']>, string][] = [
      [{ seed: 4 }, "'network.1.v1' is"],
      [
        { hidden: 7 },
        "'network.network.layers.2.conditioner.hidden' is 6 in rank 0 and 7 in rank 1",
      ],
      [{ beta1: 0.5 }, "'optimizer.beta1' is 0.9 in rank 0 and 0.5 in rank 1"],
      [{ samples: 5 }, "'shapes.0.0' is 6 in rank 0 and 5 in rank 1"],
      [{ steps: 3 }, 'the batches of rank 1 ended after step 3'],
      [{ nan: 2 }, "the batch's tensor of shape [6, 3, 6, 5] of rank 1 holds NaN"],
    ];
    const list = cases.map(([there]) => ({ rank: 1, there }));
    const run = await shared(2, ...list, { rank: 1, there: { aborts: 2 } });
    const { ends } = told(run);
    expect(run.code).toBe(0);
    for (const rank of [0, 1]) {
      const own = ends.filter((end) => end.rank === rank);
      cases.forEach(([, message], i) => {
        expect(own[i]!.error).toContain(message);
      });
      expect(own.at(-1)!.last).toBe(2);
    }
  });

  it.each([
    [{ throws: 2 }, 'rank 1 of 2: Error: a mistake of this rank'],
    [{ exits: 2 }, 'rank 1 of 2: ended with exit code 0'],
    [{ kills: 2 }, ''],
  ])('ends all ranks when one dies, and resumes: %o', async (there, message) => {
    const checkpoint = join(folder, `${Object.keys(there)[0]}.safetensors`);
    const disturbed = await shared(2, { checkpoint, rank: 1, there });
    expect(disturbed.stderr).toContain(message);
    expect(disturbed.code).not.toBe(0);
    const resumed = told(await shared(2, { checkpoint }));
    expect(resumed.steps.length).toBeLessThan(5);
    expect(resumed.ends[0]!.last).toBe(5);
    expect(resumed.ends[0]!.bits).toBe(undisturbed!.bits);
  });

  it('runs the program of the README alone and as two ranks, to the same ten digits in float64', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const program = readme.match(/```ts\n([\s\S]*?)```/)?.[1];
    // Beside the others, where the packages are found.
    const name = `readme-${process.pid}`;
    const file = new URL(`./programs/${name}.ts`, import.meta.url);
    const cwd = process.cwd();
    const double =
      "import { setBackend } from '@invnet/tensor';\nawait setBackend('reference', { dtype: 'float64' });\n";
    await writeFile(file, double + program!.replace('toFixed(4)', 'toFixed(10)'));
    try {
      process.chdir(folder);
      const one = await alone(name);
      const two = await mpirun({ ranks: 2, program: name });
      expect([one.code, two.code]).toEqual([0, 0]);
      expect(one.stdout.match(/^step \d+, 1 rank/gm)).toHaveLength(4);
      expect(two.stdout.replaceAll('2 rank', '1 rank')).toBe(one.stdout);
    } finally {
      process.chdir(cwd);
      await rm(file);
    }
  });
});
