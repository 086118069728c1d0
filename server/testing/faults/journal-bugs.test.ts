import { describe, expect, it } from 'vitest';
import { unplantable } from '../plant.ts';
import { CRASH_BUGS, DAMAGE_BUGS } from './journal-bugs.ts';

describe('what is planted in the journal', () => {
  it.each([...CRASH_BUGS, ...DAMAGE_BUGS])('can be: $name', (bug) => {
    expect(unplantable(bug)).toEqual([]);
  });
});
