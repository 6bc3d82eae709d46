/** Every program runs, and its inverses are inverses. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../src', import.meta.url));
const folders = ['layers', 'networks', 'flows', 'jacobian', 'utils'];
const programs = (
  await Promise.all(
    folders.map(async (f) => (await readdir(join(root, f))).map((file) => `${f}/${file}`)),
  )
).flat();

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gallery-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

describe('the gallery', () => {
  test.each(programs)('%s', async (program) => {
    const { code, stdout, stderr } = await run(join(root, program));
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    expect(stdout).not.toMatch(/NaN|undefined/);
    for (const [, difference] of stdout.matchAll(/largest difference (\S+)/g)) {
      expect(Number(difference)).toBeLessThan(1e-4);
    }
    const nats = [...stdout.matchAll(/step \d+: (-?[\d.]+) nats/g)].map((m) => Number(m[1]));
    if (nats.length > 1) expect(nats.at(-1)!).toBeLessThan(nats[0]!);
    for (const [, found, bound] of stdout.matchAll(/held-out (\S+) nats, expected below (\S+)/g)) {
      expect(Number(found)).toBeLessThan(Number(bound));
    }
    for (const [, found, bound] of stdout.matchAll(/(\S+) of the samples, expected above (\S+)/g)) {
      expect(Number(found)).toBeGreaterThan(Number(bound));
    }
    for (const [, error, bound] of stdout.matchAll(/off by (\S+), expected below (\S+);/g)) {
      expect(Number(error)).toBeLessThan(Number(bound));
    }
    for (const [, path] of stdout.matchAll(/written: (\S+)/g)) {
      expect(await readFile(join(cwd, path!), 'utf8')).toMatch(/^<svg[\s\S]*<\/svg>\n$/);
    }
  });
});

test('the command lists the programs, and names an unknown one', async () => {
  const main = join(root, 'main.ts');
  const listed = await run(main);
  for (const program of programs) expect(listed.stdout).toContain(program.replace('.ts', ''));
  expect(listed.code).toBe(0);
  const unknown = await run(main, 'networks/none');
  expect(unknown.stderr).toContain("unknown example 'networks/none'");
  expect(unknown.code).toBe(1);
});

function run(
  path: string,
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path, ...args], { cwd });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
