import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Files that keep every core busy by themselves, by processes of their own or in the test runner; the rest mostly waits. */
const BUSY = [
  'server/testing/simulation/*.gate.test.ts',
  'server/testing/faults/{fuzz-frames,crash-states,corruption}*.gate.test.ts',
  'server/**/*bugs.gate.test.ts',
  'server/lease/lease-model.gate.test.ts',
];
const ALL = '{protocol,server,examples}/**/*.gate.test.ts';

/**
 * The large sizes: simulations and fault tests. CI runs them after the plain tests.
 *
 * Two projects side by side: of the busy ones one file at a time, each with all cores, and beside it, likewise one at a
 * time, those that wait for processes, disks and deadlines. So cores are idle only while nothing is left to compute, and
 * no test's deadlines are at the mercy of more than one that computes.
 */
export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    testTimeout: 600_000,
    hookTimeout: 60_000,
    maxConcurrency: availableParallelism(),
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'busy', include: BUSY, fileParallelism: false } },
      {
        extends: true,
        test: { name: 'waiting', include: [ALL], exclude: [...BUSY, '**/node_modules/**'], fileParallelism: false },
      },
    ],
  },
});
