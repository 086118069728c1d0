import { expect, it } from 'vitest';
import { Streak } from './thresholds.ts';

const thresholds = { up: 2, down: 3 };

it('takes a member out after so many bad results in a row, and back in after so many good ones', () => {
  const streak = new Streak();
  let isIn = true;
  const states = Array.from('bbgbbbbgbgg', (result) => {
    isIn = streak.take(result === 'g', isIn, thresholds);
    return isIn ? 'i' : 'o';
  });
  expect(states.join('')).toBe('iiiiioooooi');
});

it('begins anew after it has been told to forget', () => {
  const streak = new Streak();
  streak.take(false, true, thresholds);
  streak.take(false, true, thresholds);
  streak.forget();
  expect(streak.take(false, true, thresholds)).toBe(true);
});
