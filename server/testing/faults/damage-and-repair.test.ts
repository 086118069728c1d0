import { expect, it } from 'vitest';
import { damageAndRepair } from './damage-and-repair.ts';

const SEED = 1;
const CASES = 250;

it(`damage at random never makes verify, recovery and repair disagree (seed ${SEED}, ${CASES} cases)`, async () => {
  expect(await damageAndRepair({ seed: SEED, cases: CASES })).toEqual({ cases: CASES, findings: [] });
});
