import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseFields } from '../testing/lease-fields.ts';
import { LeaseList } from './lease-list.ts';
import { LeaseRows } from './lease-rows.ts';

const tokensOf = (list: LeaseList) => Array.from(list, ({ token }) => token);

describe('LeaseList', () => {
  it('does what a Set does, order included, beside other lists', () => {
    const step = fc.record({ nth: fc.nat({ max: 59 }), isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600, size: 'max' }), (steps) => {
        const rows = new LeaseRows();
        const leases = Array.from({ length: 60 }, (_, token) => rows.add(leaseFields({ token })));
        // Two lists share the rows, each for every other lease.
        const lists = [new LeaseList(rows), new LeaseList(rows)] as const;
        const expected = [new Set<number>(), new Set<number>()] as const;
        for (const { nth, isAdded } of steps) {
          const [list, tokens] = [lists[nth % 2]!, expected[nth % 2]!];
          if (isAdded && !tokens.has(nth)) {
            list.add(leases[nth]!);
            tokens.add(nth);
          } else if (!isAdded && tokens.delete(nth)) list.delete(leases[nth]!);
        }
        expect(lists.map(tokensOf)).toEqual(expected.map((tokens) => [...tokens]));
      }),
    );
  });

  it('gives up no lease that is in no list', () => {
    const rows = new LeaseRows();
    const list = new LeaseList(rows);
    const lease = rows.add(leaseFields({ token: 7 }));
    expect(() => list.delete(lease)).toThrow("lease 7 isn't one of its session");
    list.add(lease);
    list.delete(lease);
    expect(() => list.delete(lease)).toThrow('of its session');
  });
});
