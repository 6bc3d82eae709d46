/** The programs of the README run. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { setBackend } from '@invnet/tensor';
import { expect, it, vi } from 'vitest';
import { importNormflows } from '../src/index.ts';

it('programs of the README run', async () => {
  await setBackend('wasm');
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const programs = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text!);
  expect(programs).toHaveLength(2);
  const [start, folder] = [process.cwd(), await mkdtemp(join(tmpdir(), 'weights-'))];
  await mkdir(join(folder, 'tests'));
  const recorded = fileURLToPath(new URL('recorded', import.meta.url));
  await cp(recorded, join(folder, 'tests/recorded'), { recursive: true });
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  // Beside this file, so that it finds the packages.
  const modules = programs.map((_, i) =>
    fileURLToPath(new URL(`program-${i}.ts`, import.meta.url)),
  );
  try {
    process.chdir(folder);
    for (const [i, file] of modules.entries()) {
      await writeFile(file, programs[i]!);
      await import(file);
    }
    expect(log.mock.calls[0]?.[0]).toHaveLength(16);
    importNormflows(await readFile('back.safetensors')).dispose();
  } finally {
    process.chdir(start);
    log.mockRestore();
    for (const file of [...modules, folder]) await rm(file, { recursive: true, force: true });
  }
});
