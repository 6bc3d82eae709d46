import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'glow-mnist-mpi-'));
afterAll(() => rmSync(folder, { recursive: true }));

// Of 60,000 images: 6 steps of 8.
const tiny = ['--hidden', '4', '--steps', '1', '--batch', '8', '--threads', '1'];
const epochs = (steps: number) => ['--epochs', String((8 * steps) / 60_000)];

// Containers run as root, on fewer cores than there are ranks.
const env = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
};

function run(command: readonly string[], ...flags: readonly string[]) {
  const [program, ...args] = [...command, process.execPath, main, ...flags];
  const { status, stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}

const two = ['mpirun', '-n', '2'];
const out = (name: string) => ['--out', join(folder, name)];
const losses = (name: string) =>
  readFileSync(join(folder, name, 'losses.csv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]));

test('two ranks train as one process does, save once, and resume', () => {
  expect(run([], ...tiny, ...epochs(6), ...out('one')).status).toBe(0);
  const half = run(two, '--mpi', ...tiny, ...epochs(3), ...out('two'));
  expect(half.stderr).toContain('2 ranks');
  expect(half.stdout.match(/bits\/dim over 10000/g)).toHaveLength(1);
  expect(half.status).toBe(0);
  expect(run(two, '--mpi', '--resume', ...epochs(6), ...out('two')).status).toBe(0);
  const [one, both] = [losses('one'), losses('two')];
  // Between the legs the learning rate stands elsewhere in its course.
  for (let i = 0; i < 3; i++) expect(both[i]! / one[i]!).toBeCloseTo(1, 6);
  expect(both).toHaveLength(6);
  const bits = (name: string) =>
    JSON.parse(readFileSync(join(folder, name, 'metrics.json'), 'utf8')).testBitsPerDim;
  expect(bits('two') / bits('one')).toBeCloseTo(1, 1);
}, 600_000);
