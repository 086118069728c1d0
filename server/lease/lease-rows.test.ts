import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { known, leaseFields } from '../testing/lease-fields.ts';
import type { LeaseFields } from './lease-fields.ts';
import { LeaseRows, type LiveLease } from './lease-rows.ts';

const REVOKING = { reason: 'operator', atMs: 12.5, hasSubstitute: false } as const;
const TERMS = { where: undefined, strategy: 'random', sticky: undefined, key: 'k', isMany: true } as const;

const fields = fc.record({
  resource: fc.maxSafeNat(),
  addressId: fc.maxSafeNat(),
  holder: fc.constantFrom({ kind: 'process' } as const, { kind: 'session', session: 's' } as const),
  request: fc.maxSafeNat(),
  otherRequests: fc.array(fc.nat(), { maxLength: 2 }),
  ttlMs: fc.nat(),
  clamped: fc.boolean(),
  deadlineMs: fc.double({ noNaN: true, min: 0 }),
  grantedDay: fc.nat(),
  terms: fc.constantFrom(undefined, TERMS),
  revoking: fc.constantFrom(undefined, REVOKING),
  isBanned: fc.boolean(),
  requests: fc.nat(),
  settled: fc.boolean(),
});

function expected(lease: LeaseFields): object {
  return { ...lease, end: undefined, endedAtMs: undefined };
}

describe('LeaseRows', () => {
  it('says of each lease what was said of it, whatever rows others have given up', () => {
    const step = fc.oneof({ weight: 2, arbitrary: fields }, { weight: 1, arbitrary: fc.nat({ max: 200 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const rows = new LeaseRows();
        const live: (readonly [LiveLease, LeaseFields])[] = [];
        for (const [token, taken] of steps.entries()) {
          if (typeof taken === 'object') {
            const lease = { ...taken, token: 2 ** 51 + token };
            live.push([rows.add(lease), lease]);
          } else if (live.length > 0) rows.delete(live.splice(taken % live.length, 1)[0]![0].row);
        }
        expect(new Set(live.map(([{ row }]) => row)).size).toBe(live.length);
        for (const [lease, said] of live) expect(known(lease)).toEqual(expected(said));
      }),
    );
  });

  it('changes what changes of a lease, and nothing else', () => {
    const rows = new LeaseRows();
    const [before, lease, behind] = [1, 2, 3].map((token) => rows.add(leaseFields({ token, terms: TERMS })));
    const changes = {
      otherRequests: [4, 5],
      ttlMs: 2 ** 31 - 1,
      clamped: true,
      deadlineMs: 2 ** 40 + 0.25,
      revoking: REVOKING,
      isBanned: true,
      requests: 2 ** 31 - 1,
      settled: true,
    };
    Object.assign(lease!, changes);
    expect(known(lease!)).toEqual(expected(leaseFields({ token: 2, terms: TERMS, ...changes })));
    for (const [other, token] of [[before, 1] as const, [behind, 3] as const]) {
      expect(known(other!)).toEqual(expected(leaseFields({ token, terms: TERMS })));
    }
    lease!.isBanned = false;
    expect([lease!.clamped, lease!.settled, lease!.isBanned]).toEqual([true, true, false]);
  });

  it('keeps nothing of a lease whose row was given up', () => {
    const rows = new LeaseRows();
    const holder = { kind: 'secret', secretHash: 'of nobody else' } as const;
    rows.delete(rows.add(leaseFields({ token: 1, holder, terms: TERMS, revoking: REVOKING, otherRequests: [2] })).row);
    expect(rows.holders).not.toContain(holder);
    expect([rows.terms.size, rows.revoking.size, rows.otherRequests.size]).toEqual([0, 0, 0]);
  });
});
