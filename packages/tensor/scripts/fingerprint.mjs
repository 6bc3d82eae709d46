/**
 * Tells one version of the kernels' source from any other. WebAssembly and native code that have the same one
 * read the same descriptions and give the same bits.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

const assembly = new URL('../assembly/', import.meta.url);

/** A digest of all files of the kernels, as text. */
export async function fingerprint() {
  const hash = createHash('sha256');
  for (const name of (await readdir(assembly)).filter((name) => name.endsWith('.ts')).sort()) {
    hash.update(name).update(await readFile(new URL(name, assembly), 'utf8'));
  }
  return hash.digest('hex').slice(0, 16);
}
