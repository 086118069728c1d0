import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseList } from './lease-list.ts';
import type { Lease } from './state.ts';

describe('LeaseList', () => {
  it('does what a Set does, order included', () => {
    const step = fc.record({ nth: fc.nat({ max: 59 }), isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600, size: 'max' }), (steps) => {
        const leases = Array.from({ length: 60 }, (_, token) => ({ token, listPlace: 0 }) as Lease);
        const list = new LeaseList();
        const expected = new Set<Lease>();
        for (const { nth, isAdded } of steps) {
          const lease = leases[nth]!;
          if (isAdded && !expected.has(lease)) {
            list.add(lease);
            expected.add(lease);
          } else if (!isAdded && expected.delete(lease)) list.delete(lease);
          expect(list.size).toBe(expected.size);
        }
        expect([...list]).toEqual([...expected]);
        for (const lease of leases) expect(list.has(lease)).toBe(expected.has(lease));
      }),
    );
  });
});
