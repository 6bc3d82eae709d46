import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const bench = (...args: string[]) =>
  spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });

describe('bench', () => {
  test('prints a table, and one JSON line last', () => {
    const { status, stdout, stderr } = bench('memory', '--json');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    const report = JSON.parse(lines.at(-1)!);
    expect(report.results.map((r: { steps: number }) => r.steps)).toEqual([4, 8, 16, 32, 64]);
    expect(lines.at(-2)).toMatch(/^64 /);
  });

  test('measures no GPU where software stands in for one, and says so', () => {
    const { status, stdout } = bench('gpu', '--json');
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
    if (report.skipped !== undefined) {
      expect(stdout).toContain('No GPU was measured');
      expect(report.results).toEqual([]);
    }
    expect(status).toBe(0);
  });

  test.each([
    [[], 'no suite given'],
    [
      ['speed'],
      "unknown suite 'speed'; expected one of bundle, glow, gpu, keep, memory, mpi, ops, parity, scaling, sbi, splines, table, waves, start",
    ],
    [['memory', '--fast'], "Unknown option '--fast'"],
    [['memory', 'ops'], "unexpected 'ops'"],
    [['ops', '--backend', 'abacus'], "--backend is 'abacus'; expected one of 'wasm', 'reference'"],
    [['glow', '--sweep'], '--sweep is of ops only'],
    [['glow', '--network', 'mnist,huge'], "unknown network 'huge'; expected some of mnist, images"],
    [['ops', '--compare', 'nothing.json'], "cannot read a run from 'nothing.json'"],
    [['ops', '--threads', 'many'], 'threads is NaN; expected a whole number of at least 1'],
  ])('refuses %j', (args, message) => {
    const { status, stdout, stderr } = bench(...args);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });
});
