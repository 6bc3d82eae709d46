/** The programs of the README run. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';

it('programs of the README run', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const programs = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text!);
  expect(programs).toHaveLength(3);
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    for (const [i, program] of programs.entries()) {
      // Beside this file, so that it finds the packages.
      const file = fileURLToPath(new URL(`program-${i}.ts`, import.meta.url));
      // The whole training takes most of a minute.
      await writeFile(
        file,
        program.replace('count: 2000', 'count: 200').replace('epochs: 60', 'epochs: 20'),
      );
      try {
        await import(file);
      } finally {
        await rm(file);
      }
    }
    expect(log.mock.calls.flat().join(' ')).toMatch(/epoch 20: .* upper crescent, .* parameters/s);
  } finally {
    log.mockRestore();
  }
});
