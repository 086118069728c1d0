import { describe, expect, it } from 'vitest';
import { decodeHolder, encodeHolder, type Holder, isSameHolder } from './holder.ts';

/** Each of the names is that of another kind too. */
const HOLDERS: readonly Holder[] = [
  { kind: 'session', session: 'a' },
  { kind: 'session', session: 'b' },
  { kind: 'client', client: 'a' },
  { kind: 'client', client: 'b' },
  { kind: 'secret', secretHash: 'a' },
  { kind: 'secret', secretHash: 'b' },
  { kind: 'process' },
];

describe('a holder', () => {
  for (const [index, holder] of HOLDERS.entries()) {
    it(`is itself and nobody else: ${JSON.stringify(holder)}`, () => {
      for (const [other, one] of HOLDERS.entries()) expect(isSameHolder(holder, { ...one })).toBe(other === index);
    });

    it(`comes back from its record: ${JSON.stringify(holder)}`, () => {
      expect(decodeHolder(encodeHolder(holder))).toEqual(holder);
    });
  }

  it('is written as kind and name', () => {
    expect(encodeHolder({ kind: 'secret', secretHash: 'ab' })).toEqual(['secret', 'ab']);
    expect(encodeHolder({ kind: 'process' })).toEqual(['process']);
  });
});
