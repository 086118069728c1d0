import { expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { inOwnProcess } from './in-own-process.ts';

const SEED = 1_000_000;
const CASES = 4_000;

it(`damage at random never makes verify, recovery and repair disagree (seed ${SEED}, ${CASES} cases)`, async () => {
  const damageAndRepair = inOwnProcess('damage-and-repair.js', 'damageAndRepair', { node: COMPUTING_NODE });
  expect(await damageAndRepair({ seed: SEED, cases: CASES })).toEqual({ cases: CASES, findings: [] });
});
