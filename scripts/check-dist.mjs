/** Imports every built package in Node.js, so that what is published is what was tested. */
import { readdir, readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

for (const name of await readdir('packages')) {
  const manifest = JSON.parse(await readFile(`packages/${name}/package.json`, 'utf8'));
  if (manifest.private) continue;
  const entry = pathToFileURL(`packages/${name}/dist/index.js`);
  const exported = Object.keys(await import(entry.href));
  if (exported.length === 0) throw new Error(`${manifest.name}: the built package exports nothing`);
  console.log(`${manifest.name}: ${exported.length} exports`);
}
