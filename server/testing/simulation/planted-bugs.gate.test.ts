/**
 * The simulation against builds that are deliberately broken, each in one way. What is not found here would not be found
 * there.
 */
import { describe, expect, it } from 'vitest';
import { withPlanted } from '../plant.ts';
import { BUGS, FOUND_BY } from './planted-bugs.ts';
import { runSeeds } from './seeds.ts';

const SEEDS = { first: 1, count: 60, operations: 5_000 };
const TIMEOUT_MS = 300_000;

describe.concurrent('the simulation', () => {
  it('finds nothing in the sources as they are, by the seeds that find what is planted', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const count = Math.max(1, ...FOUND_BY.values());
    expect((await runSeeds({ ...SEEDS, count })).findings).toEqual([]);
  });

  it.each(BUGS)('finds: $name', { timeout: TIMEOUT_MS }, async ({ name, edits }) => {
    const findings = await withPlanted(edits, async (build) => {
      const hinted = await runSeeds({ ...SEEDS, first: FOUND_BY.get(name) ?? 1, count: 1, build });
      return hinted.findings.length > 0 ? hinted.findings : (await runSeeds({ ...SEEDS, build })).findings;
    });
    expect(findings.join('\n')).toMatch(/^seed \d+: found at /);
  });
});
