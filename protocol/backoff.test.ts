import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

const bounds = { minMs: 200, maxMs: 10_000 };
const ceilings = (attempts: readonly number[]) => attempts.map((attempt) => backoffMs(attempt, bounds, () => 1));

test('doubles its ceiling with each attempt up to the bound', () => {
  expect(ceilings([0, 1, 2, 3, 4, 5, 6, 7])).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
});

test('stays at the bound however many attempts have failed', () => {
  expect(ceilings([100, 5_000, Number.MAX_SAFE_INTEGER])).toEqual([10_000, 10_000, 10_000]);
  expect(backoffMs(5_000, { minMs: 0, maxMs: 10_000 }, () => 0.5)).toBe(0);
});

test('spreads attempts over the whole interval', () => {
  expect(backoffMs(2, bounds, () => 0)).toBe(0);
  expect(backoffMs(2, bounds, () => 0.25)).toBe(200);
  expect(backoffMs(2, bounds, () => 0.5)).toBe(400);
});
