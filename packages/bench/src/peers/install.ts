/**
 * Other libraries, installed by the bench itself on first use: they are measured against, and no
 * part of the workspace.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Where peers live: a folder that git ignores. */
const folder = fileURLToPath(new URL('../../.peers', import.meta.url));

/**
 * Installs with npm what is not there yet of the given packages, at exact versions, and returns a
 * `require` that finds them.
 *
 * @throws Error when npm cannot install them, as without a network.
 */
export async function loadPeers(
  versions: Readonly<Record<string, string>>,
): Promise<(name: string) => unknown> {
  await mkdir(folder, { recursive: true });
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) await writeFile(manifest, '{ "private": true }\n');
  const missing = Object.entries(versions).filter(([name]) => {
    return !existsSync(join(folder, 'node_modules', name, 'package.json'));
  });
  if (missing.length > 0) {
    const specs = missing.map(([name, version]) => `${name}@${version}`);
    process.stderr.write(`bench: installing ${specs.join(', ')} …\n`);
    const flags = ['--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts'];
    await promisify(execFile)('npm', ['install', ...flags, ...specs]);
  }
  return createRequire(manifest);
}
