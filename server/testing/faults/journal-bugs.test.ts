import { describe, expect, it } from 'vitest';
import { edited } from '../plant.ts';
import { CRASH_BUGS, DAMAGE_BUGS } from './journal-bugs.ts';

describe('what is planted in the journal', () => {
  it.each([...CRASH_BUGS, ...DAMAGE_BUGS])('can be: $name', async ({ edits }) => {
    for (const { find, replace } of edits) expect(replace).not.toBe(find);
    await expect(edited(edits)).resolves.toBeDefined();
  });
});
