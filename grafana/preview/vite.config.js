import { defineConfig } from 'vite';

export default defineConfig({
  define: { global: 'globalThis', 'process.env': {} },
  esbuild: { jsx: 'automatic' },
  build: { chunkSizeWarningLimit: 20000, reportCompressedSize: false },
});
