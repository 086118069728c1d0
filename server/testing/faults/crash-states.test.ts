import { expect, it } from 'vitest';
import { deltaName } from '../../journal/file-names.ts';
import { crashStates } from './crash-states.ts';
import { recordLives } from './journal-lives.ts';

const STATES = 1_500;

it('loses nothing acknowledged in the first crash states of a seed', async () => {
  const { cases, findings } = await crashStates({ seed: 7, cases: STATES });
  expect(findings).toEqual([]);
  expect(cases).toBeGreaterThanOrEqual(STATES);
});

it('makes the same lives of the same seed', async () => {
  const told = async () => {
    const { boundaries } = await recordLives(11);
    return boundaries.map(({ state, facts }) => [[...state.namesWith()], facts.acked.position]);
  };
  expect(await told()).toEqual(await told());
});

it('goes through snapshots, removals, clean stops and moments at which much is not on disk yet', async () => {
  const lives = await Promise.all(Array.from({ length: 8 }, (_, seed) => recordLives(seed)));
  const boundaries = lives.flatMap((it) => it.boundaries);
  const namesAt = boundaries.map(({ state }) => [...state.namesWith().keys()]);
  expect(namesAt.some((names) => names.filter((name) => name.endsWith('.snapshot')).length > 1)).toBe(true);
  expect(namesAt.some((names) => names.length > 2 && !names.includes(deltaName(1)))).toBe(true);
  expect(boundaries.some(({ facts }) => facts.acked.isStop)).toBe(true);
  expect(boundaries.some(({ state }) => state.changes.length > 1)).toBe(true);
});
