import { describe, expect, it } from 'vitest';
import { unplantable } from '../plant.ts';
import { BUGS } from './planted-bugs.ts';

describe('what is planted', () => {
  it.each(BUGS)('can be: $name', (bug) => {
    expect(unplantable(bug)).toEqual([]);
  });
});
