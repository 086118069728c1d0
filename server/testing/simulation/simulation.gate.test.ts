import { describe, expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { isSkipped } from '../is-skipped.ts';
import { runSeeds } from './seeds.ts';

const SEEDS = { first: 1, count: 200, operations: 50_000 };
const PROGRESS_EVERY = 20;
const ONE_NODE = COMPUTING_NODE === process.execPath ? 'there is only this one' : undefined;

describe('the simulation, 200 seeds of 50,000 operations', () => {
  it('finds nothing', { timeout: 1_800_000 }, async () => {
    const run = await runSeeds({
      ...SEEDS,
      onSeed: (_line, done) => {
        if (done % PROGRESS_EVERY === 0) process.stdout.write(`simulation: ${done} of ${SEEDS.count} seeds\n`);
      },
    });
    expect(run.findings).toEqual([]);
    expect(run.seeds).toHaveLength(SEEDS.count);
  });

  it.skipIf(isSkipped('the same traces on both Nodes', ONE_NODE))('leaves the same traces on both Nodes', async () => {
    const few = { first: 1, count: 4, operations: 5_000 };
    const here = await runSeeds({ ...few, node: process.execPath });
    expect((await runSeeds(few)).seeds).toEqual(here.seeds);
  });
});
