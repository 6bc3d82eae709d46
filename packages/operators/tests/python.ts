/** Programs of Python, the oracles of tests, where `python3` has what they import. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/**
 * A test of what a program prints as JSON for JSON on its standard input. Where a module is missing the test says so
 * by its name; recorded numbers stand in for it in the tests beside it.
 */
export function itAgreesWith(
  modules: readonly string[],
  what: string,
  body: (run: (program: string, given: unknown) => unknown) => void | Promise<void>,
): void {
  const [names, imports] = [modules.join(', '), `import ${modules.join(', ')}`];
  const python = spawnSync('python3', ['-c', imports], { encoding: 'utf8' });
  if (python.status !== 0) {
    it(`python3 lacks one of ${names}: recorded numbers stand in for '${what}'`, () => {
      expect(`${python.error ?? ''}${python.stderr ?? ''}`).toMatch(/ModuleNotFoundError|ENOENT/);
    });
    return;
  }
  it(`${what} (${names})`, () =>
    body((program, given) => {
      const input = JSON.stringify(given);
      const source = `import json, sys\ngiven = json.load(sys.stdin)\n${program}`;
      const { stdout, stderr } = spawnSync('python3', ['-c', source], {
        input,
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      if (stdout === '') throw new Error(stderr);
      return JSON.parse(stdout);
    }));
}
