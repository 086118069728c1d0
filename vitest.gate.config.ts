import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Parts of the files' names in the order in which they begin: the longest first, and what waits for processes, disks and
 * deadlines in turn with what computes, so that as little as possible of the latter stretches the deadlines of the former.
 */
const ORDER = [
  'simulation/simulation',
  'server/crash',
  'fuzz-frames',
  'power-cuts',
  'crash-states',
  'system-call',
  'planted-bugs',
  'failure-table',
  'corruption-sweep',
  'damage-and-repair',
  'faults/time',
  'journal-bugs',
  'fuzz-sockets',
];

/** Installed by `pregate`, where that can be. */
const NODE_24 = resolve(
  import.meta.dirname,
  `server/testing/node-24/node_modules/node-${process.platform}-${process.arch}/bin/node`,
);
const hasNode24 = existsSync(NODE_24);
process.stdout.write(`What is only computed runs on Node ${hasNode24 ? '24' : process.version}.\n`);

class InOrder extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = ORDER.findIndex((part) => moduleId.includes(part));
      return place < 0 ? ORDER.length : place;
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
    env: hasNode24 ? { COMPUTING_NODE: NODE_24 } : {},
    globalSetup: 'server/testing/build.ts',
    include: ['{protocol,server,examples}/**/*.gate.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    maxConcurrency: 2,
    maxWorkers: 3,
    sequence: { sequencer: InOrder },
  },
});
