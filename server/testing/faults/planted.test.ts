import { describe, expect, it } from 'vitest';
import { edited } from '../plant.ts';
import { CRASH_BUGS, DAMAGE_BUGS } from './journal-bugs.ts';
import { SILENCES, UNFORCED_DISK } from './other-bugs.ts';

describe('what the fault tests plant', () => {
  it.each([...CRASH_BUGS, ...DAMAGE_BUGS, UNFORCED_DISK, ...SILENCES])('can be: $name', async ({ edits }) => {
    for (const { find, replace } of edits) expect(replace).not.toBe(find);
    await expect(edited(edits)).resolves.toBeDefined();
  });
});
