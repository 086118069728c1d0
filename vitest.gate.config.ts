import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Parts of the names of the files that take longest, the longest first. */
const LONGEST = ['simulation/simulation', 'power-cuts', 'system-call', 'server/crash', 'planted-bugs', 'crash-states'];

/** What takes long begins first, so that nothing long is left for one core at the end. */
class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((part) => moduleId.includes(part));
      return place < 0 ? LONGEST.length : place;
    };
    return Promise.resolve([...files].sort((one, other) => rank(one) - rank(other)));
  }
}

/**
 * The large sizes: simulations and fault tests. CI runs them after the plain tests.
 *
 * Three files at a time on two cores: the simulation, which computes on both of them to the end; what waits for processes,
 * disks and deadlines beside it; and what else computes. More would only stretch the deadlines of those that wait.
 */
export default defineConfig({
  test: {
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples}/**/*.gate.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    maxConcurrency: 2,
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
