import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.ts';

describe('the simulation, 200 seeds of 50,000 operations', () => {
  it('finds nothing', { timeout: 1_800_000 }, async () => {
    const run = await runSeeds({ first: 1, count: 200, operations: 50_000 });
    expect(run.findings).toEqual([]);
    expect(run.seeds).toHaveLength(200);
  });
});
