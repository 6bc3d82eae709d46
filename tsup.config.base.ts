import { defineConfig } from 'tsup';

/** ESM with types, one entry a package; each package's own configuration re-exports this. */
export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'es2023',
  dts: true,
  sourcemap: true,
  clean: true,
  treeshake: true,
});
