/** The programs of the README run as they stand, in Node.js alone. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect, it } from 'vitest';

const text = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
const programs = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(([, program]) => program!);

it.each(programs.map((program, i) => [i, program] as const))('program %i', (i, program) => {
  const path = join(import.meta.dirname, `readme-${i}.ts`);
  try {
    writeFileSync(path, program);
    const said = execFileSync(process.execPath, [path], { encoding: 'utf8', stdio: 'pipe' });
    if (i === 0)
      expect(said).toMatch(/^0 2\.\d+\n10 1\.\d+\nFloat32Array\(8\).*conditioner\.kernel0/s);
  } finally {
    rmSync(path);
  }
});
