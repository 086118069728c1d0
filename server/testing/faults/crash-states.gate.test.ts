import { expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { inOwnProcess } from './in-own-process.ts';

const STATES = 100_000;
const SEEDS = [1, 2];
const TIMEOUT_MS = 300_000;

it(`loses nothing acknowledged in ${STATES.toLocaleString('en')} crash states`, { timeout: TIMEOUT_MS }, async () => {
  const crashStates = inOwnProcess('crash-states.js', 'crashStates', { node: COMPUTING_NODE });
  const runs = await Promise.all(SEEDS.map((seed) => crashStates({ seed, cases: STATES / SEEDS.length })));
  expect(runs.flatMap(({ findings }) => findings)).toEqual([]);
  expect(runs.reduce((sum, { cases }) => sum + cases, 0)).toBeGreaterThanOrEqual(STATES);
});
