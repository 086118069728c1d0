import { defineConfig } from 'vitest/config';

/** The large sizes: simulations and fault tests. CI runs them after the plain tests. */
export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples}/**/*.gate.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
  },
});
