import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples}/**/*.test.ts'],
    exclude: ['**/*.gate.test.ts', '**/node_modules/**'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
