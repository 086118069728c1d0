import { expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { inOwnProcess } from './in-own-process.ts';

const TIMEOUT_MS = 300_000;
/** About as many as there are bits; far fewer, and the sweep has swept nothing. */
const CASES_MIN = 50_000;

it('takes no damage for data: every bit, length and place of small files', { timeout: TIMEOUT_MS }, async () => {
  const sweep = inOwnProcess('corruption-sweep.js', 'corruptionSweep', { node: COMPUTING_NODE });
  const { cases, findings } = await sweep({ seed: 1, cases: Number.MAX_SAFE_INTEGER });
  expect(findings).toEqual([]);
  expect(cases).toBeGreaterThan(CASES_MIN);
});
