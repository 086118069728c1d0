/**
 * The simulation against builds that are deliberately broken, each in one way. What is not found here would not be found
 * there.
 */
import { describe, expect, it } from 'vitest';
import { withPlanted } from '../plant.ts';
import { BUGS } from './planted-bugs.ts';
import { runSeeds } from './seeds.ts';

const SEEDS = { first: 1, count: 60, operations: 5_000 };
const TIMEOUT_MS = 300_000;

describe('the simulation', () => {
  it('finds nothing in the sources as they are', { timeout: TIMEOUT_MS }, async () => {
    expect((await runSeeds(SEEDS)).findings).toEqual([]);
  });

  it.each(BUGS)('finds: $name', { timeout: TIMEOUT_MS }, async ({ edits }) => {
    const { findings } = await withPlanted(edits, (build) => runSeeds({ ...SEEDS, build }));
    expect(findings.join('\n')).toMatch(/^seed \d+: found at /);
  });
});
