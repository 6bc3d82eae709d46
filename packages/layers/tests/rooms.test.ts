/** That the linter refuses import circles, and imports between rooms that point the wrong way. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const biome = createRequire(join(root, 'package.json')).resolve('@biomejs/biome/bin/biome');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rooms-'));
  cpSync(join(root, 'biome.json'), join(folder, 'biome.json'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the project's linter says of files of these contents. */
function lint(files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const args = [biome, 'lint', '--vcs-enabled=false', '.'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
  });
  return status === 0 ? 'nothing' : stdout + stderr;
}

describe('the linter', () => {
  it.each([
    ['values', "import { b } from './b.ts';\nexport const a = () => b;\n"],
    ['types', "import type { b } from './b.ts';\nexport type A = typeof b;\n"],
  ])('refuses a circle of %s', (_, a) => {
    const b = "export { a } from './a.ts';\nexport const b = 1;\n";
    const said = lint({
      'packages/tensor/src/a.ts': a.replace('type A', 'type a'),
      'packages/tensor/src/b.ts': b.replace('{ a }', a.includes('type') ? 'type { a }' : '{ a }'),
    });
    expect(said).toContain('noImportCycles');
  });

  it.each([
    ['tree', 'core'],
    ['core', 'models'],
    ['models', 'linear'],
    ['elementwise', 'squeezes'],
    ['linear', 'squeezes'],
    ['squeezes', 'transformers'],
    ['transformers', 'conditioners'],
    ['conditioners', 'combinators'],
    ['combinators', 'couplings'],
    ['couplings', 'autoregressive'],
    ['autoregressive', 'residual'],
    ['residual', 'couplings'],
    ['continuous', 'couplings'],
  ])('refuses an import from %s of %s', (from, to) => {
    const said = lint({
      [`packages/layers/src/${from}/a.ts`]: `export { b } from '../${to}/b.ts';\n`,
      [`packages/layers/src/${to}/b.ts`]: 'export const b = 1;\n',
    });
    expect(said).toContain('noRestrictedImports');
  });

  it('allows what points the right way', () => {
    const said = lint({
      'packages/layers/src/couplings/a.ts': "export { b } from '../linear/b.ts';\n",
      'packages/layers/src/linear/b.ts': "export { c as b } from '../core/c.ts';\n",
      'packages/layers/src/core/c.ts': 'export const c = 1;\n',
    });
    expect(said).toBe('nothing');
  });
});
