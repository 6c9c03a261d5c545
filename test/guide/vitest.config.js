import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const lib = (path) => fileURLToPath(new URL(`../../lib/${path}`, import.meta.url));

/** Runs the guide's store as a project with Vitest does: the same spec that Jest runs. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  cacheDir: fileURLToPath(new URL('../../node_modules/.cache/vitest', import.meta.url)),
  resolve: {
    alias: [
      { find: 'nest-session/testing', replacement: lib('testing/index.ts') },
      { find: 'nest-session', replacement: lib('index.ts') },
    ],
  },
  test: { globals: true, include: ['sqlite-session.store.spec.ts'] },
});
