import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BUGS } from './planted-bugs.ts';

const PROJECT = resolve(import.meta.dirname, '../../..');

describe('what is planted', () => {
  it.each(BUGS)('can be: $name', ({ edits }) => {
    for (const { file, find, replace } of edits) {
      expect(readFileSync(resolve(PROJECT, file), 'utf8').split(find), find).toHaveLength(2);
      expect(replace).not.toBe(find);
    }
  });
});
