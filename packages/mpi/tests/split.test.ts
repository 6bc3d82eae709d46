import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { alone, mpirun } from './mpirun.ts';

/** Open MPI's ranks leave their core to others while they wait, and are bound to none, so that threads have room. */
const environment = {
  OMPI_MCA_mpi_yield_when_idle: '1',
  OMPI_MCA_hwloc_base_binding_policy: 'none',
};

/** What rank 0 of a program prints. */
async function printed(ranks: number, program: string, ...args: string[]) {
  const run = ranks === 1 ? alone(program, args) : mpirun({ ranks, program, args, environment });
  const { code, stdout, stderr } = await run;
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

describe.each([2, 3])('volumes split among %i ranks', (ranks) => {
  it('go through networks as in one process', async () => {
    const report: Record<string, Record<string, number>> = await printed(ranks, 'split');
    const differences = Object.entries(report).flatMap(([name, quantities]) =>
      Object.entries(quantities).map(([quantity, d]) => ({ name, quantity, d })),
    );
    expect(differences.length).toBeGreaterThan(200);
    expect(differences.filter(({ d }) => !(d < 1e-5))).toEqual([]);
  });

  it('train from the first step on, are sampled, and say on all ranks what they refuse', async () => {
    const report = await printed(ranks, 'split-training');
    const { steps, parameters, sample, initialized } = report;
    expect(Math.max(steps, parameters, sample, initialized)).toBeLessThan(1e-5);
    expect(report.bytesLeft).toBe(0);
    const expected = {
      options: /CommunicatorError: .*'axis' is 2 in rank 0 and 3 in rank 1/,
      twice: /BackendError: .*already/,
      padding: /ShapeError: .*padding of at least 1/,
      axes: /ShapeError: .*4 × 4 × 4 rows/,
      wavelets: /ShapeError/,
      stride: /ShapeError: .*`multiple`/,
      numbers: /ValueError: .*rank 0 gave 3 numbers/,
      network: /ValueError: .*ShuffleSqueeze, at network\.squeeze/,
    };
    expect(Object.keys(report.refusals)).toEqual(Object.keys(expected));
    for (const [name, pattern] of Object.entries(expected)) {
      expect(report.refusals[name]).toHaveLength(ranks);
      for (const said of report.refusals[name]) expect(said).toMatch(pattern);
    }
  });
});

it('slabs take their share of memory, and send what the formula says', async () => {
  const [whole] = await printed(1, 'split-memory', '64');
  const slabs = await printed(2, 'split-memory', '64');
  // Channels and positions of a row at both scales, of which each has two steps.
  const channels = [
    { all: 8, row: 32 ** 2 },
    { all: 32, row: 16 ** 2 },
  ];
  const bytes = channels.map(({ all, row }) => 2 * (2.5 * all + 4 * 32) * row * 4);
  for (const { peak, sent } of slabs) {
    expect(peak / whole.peak).toBeLessThan(0.56);
    expect(sent).toBe(bytes[0]! + bytes[1]!);
  }
});

it('the program of the README has one loss, alone and on each of two ranks', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  const program = programs.find((code) => code.includes('splitBackend'))!;
  const name = `readme-split-${process.pid}`;
  const file = new URL(`./programs/${name}.ts`, import.meta.url);
  await writeFile(file, program);
  try {
    const one = await alone(name);
    const two = await mpirun({ ranks: 2, program: name, environment });
    const losses = [one, two].map(({ stdout }) =>
      stdout
        .trim()
        .split('\n')
        .map((line) => Number(line.split(' ')[1])),
    );
    expect(losses.map((list) => list.length)).toEqual([1, 2]);
    for (const loss of losses[1]!) expect(loss / losses[0]![0]!).toBeCloseTo(1, 5);
  } finally {
    await rm(file);
  }
});
