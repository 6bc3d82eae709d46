/** The programs of the README run, in order: a later one goes on from an earlier one's files. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { setBackend } from '@invnet/tensor';
import { expect, it, vi } from 'vitest';

/** Less of the same, in the time of a test. */
const shorter: readonly [string, string][] = [
  ['epochs: 30', 'epochs: 3'],
  ['epochs: 40', 'epochs: 4'],
  ['step === 300', 'step === 100'],
  ['steps: 600', 'steps: 150'],
  ['i < 600', 'i < 150'],
  ['i <= 300', 'i <= 20'],
  ['% 100', '% 50'],
];

it('programs of the README run', async () => {
  await setBackend('wasm');
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const programs = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, text]) => text!);
  expect(programs).toHaveLength(5);
  for (const [long] of shorter) expect(readme).toContain(long);
  const [start, folder] = [process.cwd(), await mkdtemp(join(tmpdir(), 'train-'))];
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const write = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    process.chdir(folder);
    for (const [i, program] of programs.entries()) {
      // Beside this file, so that it finds the packages.
      const file = fileURLToPath(new URL(`program-${i}.ts`, import.meta.url));
      const short = shorter.reduce((text, [from, to]) => text.replaceAll(from, to), program);
      await writeFile(file, short);
      try {
        await import(file);
      } finally {
        await rm(file);
      }
    }
    expect((await readdir('.')).sort()).toEqual(
      ['moons', 'run', 'sine'].map((name) => `${name}.safetensors`),
    );
    expect(write.mock.calls.flat().join('')).toMatch(/100% \| epoch 4, step \d+ \| loss/);
    expect(log.mock.calls.map(([first]) => first)).toEqual(
      expect.arrayContaining([1, 2, 3, 100, 150, 'epochs']),
    );
  } finally {
    process.chdir(start);
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  }
});
