import { describe, expect, it } from 'vitest';
import { edited } from '../plant.ts';
import { CRASH_BUGS, DAMAGE_BUGS, FOUND_AT } from './journal-bugs.ts';
import { SILENCES, UNFORCED_DISK } from './other-bugs.ts';

describe('what the fault tests plant', () => {
  it.each([...CRASH_BUGS, ...DAMAGE_BUGS, UNFORCED_DISK, ...SILENCES])('can be: $name', async ({ edits }) => {
    for (const { find, replace } of edits) expect(replace).not.toBe(find);
    await expect(edited(edits)).resolves.toBeDefined();
  });

  it('is what the hints speak of', () => {
    const names = new Set([...CRASH_BUGS, ...DAMAGE_BUGS].map(({ name }) => name));
    for (const name of FOUND_AT.keys()) expect(names).toContain(name);
  });
});
