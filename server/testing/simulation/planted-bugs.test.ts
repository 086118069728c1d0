import { describe, expect, it } from 'vitest';
import { edited } from '../plant.ts';
import { BUGS } from './planted-bugs.ts';

describe('what is planted', () => {
  it.each(BUGS)('can be: $name', async ({ edits }) => {
    for (const { find, replace } of edits) expect(replace).not.toBe(find);
    await expect(edited(edits)).resolves.toBeDefined();
  });
});
