/** The programs of the README run as they stand. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '..');
const programs = [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/```ts\n(.*?)```/gs)];

const run = (program: string) =>
  execFileSync(process.execPath, ['--input-type=module-typescript', '-'], {
    cwd: folder,
    encoding: 'utf8',
    input: program,
  });

test('the programs of the README run, and print what they say', () => {
  const [training, coupling] = programs.map(([, program = '']) => run(program));
  const losses = training!.trim().split('\n').map(Number);
  expect(losses).toHaveLength(20);
  expect(losses[0]).toBeCloseTo(5.258, 2);
  expect(losses.at(-1)).toBeLessThan(3.2);
  expect(coupling).toContain("[ 'conditioner.w', 'conditioner.v' ]");
});
