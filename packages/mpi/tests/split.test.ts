import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('split-program.ts', import.meta.url));

test.each([2, 3])('on %i ranks networks are those of one process', async (ranks) => {
  const { stdout } = await promisify(execFile)('mpirun', [
    ...['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-n', String(ranks)],
    ...[process.execPath, program],
  ]);
  const report: Record<string, Record<string, number>> = JSON.parse(stdout);
  for (const [name, quantities] of Object.entries(report)) {
    for (const [quantity, difference] of Object.entries(quantities)) {
      expect(difference, `${quantity} of ${name}`).toBeLessThan(1e-5);
    }
  }
});
