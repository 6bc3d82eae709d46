import { defineConfig } from 'vite';

// With these, a page may share memory between threads.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  root: import.meta.dirname,
  // The built page can lie anywhere.
  base: './',
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
