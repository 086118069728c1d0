import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples,loadtest}/**/*.test.ts'],
    exclude: ['**/*.gate.test.ts', '**/*.long.test.ts', '**/node_modules/**'],
    // Most of them wait for processes and disks: two files at a time even where there are only two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
