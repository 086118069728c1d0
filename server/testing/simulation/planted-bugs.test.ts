import { describe, expect, it } from 'vitest';
import { edited } from '../plant.ts';
import { BUGS, FOUND_BY } from './planted-bugs.ts';

describe('what is planted', () => {
  it.each(BUGS)('can be: $name', async ({ edits }) => {
    for (const { find, replace } of edits) expect(replace).not.toBe(find);
    await expect(edited(edits)).resolves.toBeDefined();
  });

  it('is what the hints speak of', () => {
    const names = new Set(BUGS.map(({ name }) => name));
    for (const name of FOUND_BY.keys()) expect(names).toContain(name);
  });
});
