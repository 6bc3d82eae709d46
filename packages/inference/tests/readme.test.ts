/** The programs of the README run. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';

it('programs of the README run', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const programs = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text!);
  expect(programs).toHaveLength(4);
  const [start, folder] = [process.cwd(), await mkdtemp(join(tmpdir(), 'inference-'))];
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    process.chdir(folder);
    for (const [i, program] of programs.entries()) {
      // Beside this file, so that it finds the packages.
      const file = fileURLToPath(new URL(`program-${i}.ts`, import.meta.url));
      // The whole trainings take most of a minute.
      await writeFile(
        file,
        program.replaceAll('count: 2000', 'count: 200').replace('epochs: 60', 'epochs: 20'),
      );
      try {
        await import(file);
      } finally {
        await rm(file);
      }
    }
    expect(log.mock.calls.flat().join(' ')).toMatch(/epoch 20: .* upper crescent, .* parameters/s);
    const files = ['theta.npy', 'two-moons.html', 'two-moons.json', 'x.npy'];
    expect((await readdir(folder)).sort()).toEqual(files);
  } finally {
    log.mockRestore();
    process.chdir(start);
    await rm(folder, { recursive: true, force: true });
  }
});
