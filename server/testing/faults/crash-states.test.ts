import { expect, it } from 'vitest';
import { crashStates } from './crash-states.ts';
import { recordLives } from './journal-lives.ts';

const STATES = 1_500;

it('loses nothing acknowledged in the first crash states of a seed', async () => {
  const { cases, findings } = await crashStates({ seed: 7, cases: STATES });
  expect(findings).toEqual([]);
  expect(cases).toBeGreaterThanOrEqual(STATES);
});

it('makes the same lives of the same seed, with snapshots, a clean stop and what is not on disk yet', async () => {
  const [{ boundaries }, again] = await Promise.all([recordLives(11), recordLives(11)]);
  const told = (from: typeof boundaries) =>
    from.map(({ state, facts }) => [[...state.namesWith()], facts.acked.position]);
  expect(told(again.boundaries)).toEqual(told(boundaries));
  const names = new Set(boundaries.flatMap(({ state }) => [...state.namesWith().keys()]));
  expect([...names].filter((name) => name.endsWith('.snapshot')).length).toBeGreaterThan(1);
  expect(boundaries.some(({ facts }) => facts.acked.isStop)).toBe(true);
  expect(boundaries.some(({ state }) => state.changes.length > 0)).toBe(true);
});
