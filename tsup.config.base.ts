import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

/** What the package that is built exports, from its sources: './csv' as `csv`, and '.' as `index`. */
const { exports }: { exports: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync('package.json', 'utf8'),
);
const entry = Object.fromEntries(
  Object.entries(exports).map(([path, source]) => [
    path === '.' ? 'index' : path.slice(2),
    source.slice(2),
  ]),
);

/** ESM with types, one entry for each export; each package's own configuration re-exports this. */
export default defineConfig({
  entry,
  format: ['esm'],
  target: 'es2023',
  dts: true,
  sourcemap: true,
  clean: true,
  treeshake: true,
});
