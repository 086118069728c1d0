import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.ts';

const SEEDS = { first: 1, count: 200, operations: 50_000 };
const PROGRESS_EVERY = 20;

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
});
