/**
 * Other libraries, installed by the bench itself on first use: they are measured against, and no
 * part of the workspace.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Where peers live: a folder that git ignores. */
const folder = fileURLToPath(new URL('../../.peers', import.meta.url));

/**
 * Installs with npm what is not there of the given packages at these exact versions, and returns a
 * `require` that finds them.
 *
 * @throws Error `not installed: …` when npm cannot, as without a network.
 */
export async function loadPeers(
  versions: Readonly<Record<string, string>>,
): Promise<(name: string) => unknown> {
  await mkdir(folder, { recursive: true });
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) await writeFile(manifest, '{ "private": true }\n');
  const specs: string[] = [];
  for (const [name, version] of Object.entries(versions)) {
    if ((await installedVersion(name)) !== version) specs.push(`${name}@${version}`);
  }
  if (specs.length > 0) {
    process.stderr.write(`bench: installing ${specs.join(', ')} …\n`);
    const flags = ['--prefix', folder, '--save-exact', '--no-audit', '--no-fund'];
    try {
      await promisify(execFile)('npm', ['install', ...flags, '--ignore-scripts', ...specs]);
    } catch (error) {
      throw new Error(`not installed: ${npmReason(error)}`, { cause: error });
    }
  }
  return createRequire(manifest);
}

async function installedVersion(name: string): Promise<unknown> {
  try {
    const manifest = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8');
    const { version }: { version?: unknown } = JSON.parse(manifest);
    return version;
  } catch {
    return undefined;
  }
}

/** What npm said of its failure, in one line. */
function npmReason(error: unknown): string {
  const { stderr, message }: { stderr?: unknown; message?: unknown } = Object(error);
  const said = String(stderr ?? '')
    .split('\n')
    .flatMap((line) => /^npm (?:error|ERR!) (?!code|errno|syscall)(.*)$/.exec(line)?.[1] ?? []);
  return said[0] ?? String(message ?? error).split('\n')[0]!;
}
