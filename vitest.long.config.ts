import { defineConfig } from 'vitest/config';

/** What takes too long for the plain tests and is none of the gate's simulations and fault tests. CI runs it, too. */
export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples}/**/*.long.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    maxConcurrency: 2,
    maxWorkers: 2,
  },
});
