/**
 * The simulation against builds that are deliberately broken, each in one way. What is not found here would not be found
 * there.
 */
import { describe, expect, it } from 'vitest';
import { planter } from '../plant.ts';
import { BUGS, FIRST, FOUND_BY } from './planted-bugs.ts';
import { runSeeds } from './seeds.ts';

/** Where a bug is looked for that its hint doesn't show: nearly all of them show soon. */
const LOOKS = [100, 300, 5_000].map((operations) => ({ first: 1, count: 60, operations }));
const TIMEOUT_MS = 300_000;

const plant = planter(BUGS);

describe.concurrent('the simulation', () => {
  it('finds nothing in the sources as they are, by the seeds that find what is planted', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const hints = [FIRST, ...FOUND_BY.values()];
    for (const operations of new Set(hints.map((hint) => hint.operations))) {
      const seeds = hints.filter((hint) => hint.operations === operations).map(({ seed }) => seed);
      const first = Math.min(...seeds);
      const run = await runSeeds({ first, count: Math.max(...seeds) - first + 1, operations });
      expect(run.findings).toEqual([]);
    }
  });

  it.each(BUGS)('finds: $name', { timeout: TIMEOUT_MS }, async (planted) => {
    const findings = await plant(planted, async (build) => {
      const { seed, operations } = FOUND_BY.get(planted.name) ?? FIRST;
      const hinted = await runSeeds({
        first: seed,
        count: 1,
        operations,
        build,
        isShort: operations <= FIRST.operations,
      });
      if (hinted.findings.length > 0) return hinted.findings;
      for (const look of LOOKS) {
        const { findings: found } = await runSeeds({ ...look, build });
        if (found.length === 0) continue;
        process.stdout.write(`'${planted.name}' is found elsewhere than FOUND_BY says: ${found.join(', ')}\n`);
        return found;
      }
      return [];
    });
    expect(findings.join('\n')).toMatch(/^seed \d+: found at /);
  });
});
