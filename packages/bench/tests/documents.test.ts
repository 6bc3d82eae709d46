import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeStart, writeTable } from '../src/documents.ts';
import { compareRuns, describeMachine, type Figure, loadRun, saveRun } from '../src/figures.ts';

const folder = await mkdtemp(join(tmpdir(), 'invnet-bench-test-'));
const file = (name: string) => join(folder, name);
const figure = (name: string, value: number, spread = 0): Figure => {
  return { name, unit: 'ms', value, low: value - spread, high: value + spread };
};

describe('a table in a document', () => {
  test('takes the place of the one before, and of nothing else', async () => {
    const path = file('a.md');
    await writeFile(path, 'above\n<!-- bench:ops -->\nold\n<!-- /bench:ops -->\nbelow\n');
    await writeTable('ops', 'new', path);
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(
      /^above\n<!-- bench:ops -->\n```text\n[^\n]+\n\nnew\n```\n<!-- \/bench:ops -->\nbelow\n$/,
    );
    await writeTable('ops', 'new', path);
    expect(await readFile(path, 'utf8')).toBe(text);
    await expect(writeTable('glow', 'x', path)).rejects.toThrow(/no block <!-- bench:glow -->/);
  });

  test('tells what start has measured, or how to measure it', async () => {
    await expect(describeStart(file('none.json'))).rejects.toThrow(/run `npx -y pnpm@12 start`/);
  });
});

describe('a stored run', () => {
  test('is compared figure by figure', async () => {
    const path = file('run.json');
    const figures = [figure('a', 10, 1), figure('b', 10, 1), figure('c', 10, 5), figure('d', 1)];
    await saveRun(path, { suite: 'ops', figures });
    const stored = await loadRun(path, 'ops');
    expect(stored.machine).toEqual(describeMachine());
    const text = compareRuns(stored, [
      figure('a', 13),
      figure('b', 8),
      figure('c', 13),
      figure('e', 1),
    ]);
    expect(text).toMatch(/^a .*1\.30 +SLOWER$/m);
    expect(text).toMatch(/^b .*0\.80 +faster$/m);
    // Within the spread of the earlier run.
    expect(text).toMatch(/^c .*1\.30$/m);
    expect(text).toMatch(/^d .*gone$/m);
    expect(text).toMatch(/^e .*new$/m);
  });

  test('of another suite, or none at all, is refused', async () => {
    await expect(loadRun(file('nothing.json'), 'ops')).rejects.toThrow(/cannot read a run/);
    await saveRun(file('glow.json'), { suite: 'glow', figures: [] });
    await expect(loadRun(file('glow.json'), 'ops')).rejects.toThrow(/no stored run of ops/);
  });
});
