import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEASE_ENDS } from '../../protocol/codes.ts';
import { known, leaseFields } from '../testing/lease-fields.ts';
import { ENDED_LEASES_MAX, ENDED_LEASES_MS, EndedLeases } from './ended-leases.ts';

describe('EndedLeases', () => {
  it('finds a lease by its token and gives all in the order of their ends', () => {
    const ended = new EndedLeases();
    for (const [token, atMs] of [
      [3, 10],
      [1, 20],
      [2, 20],
    ] as const) {
      end(ended, token, atMs);
    }
    expect(ended.get(1)?.endedAtMs).toBe(20);
    expect(ended.get(4)).toBeUndefined();
    expect(tokens(ended)).toEqual([3, 1, 2]);
    expect(ended.size).toBe(3);
  });

  it('forgets what has ended so long ago when another ends', () => {
    const ended = new EndedLeases();
    end(ended, 1, 0);
    end(ended, 2, 1);
    end(ended, 3, ENDED_LEASES_MS - 1);
    expect(tokens(ended)).toEqual([1, 2, 3]);
    end(ended, 4, ENDED_LEASES_MS);
    expect(tokens(ended)).toEqual([2, 3, 4]);
    expect(ended.get(1)).toBeUndefined();
    end(ended, 5, 10 * ENDED_LEASES_MS);
    expect(tokens(ended)).toEqual([5]);
  });

  it('keeps no more than its bound, the latest of them, however often it has come round', () => {
    const ended = new EndedLeases();
    const count = 2 * ENDED_LEASES_MAX + 3;
    for (let token = 1; token <= count; token += 1) end(ended, token, 5);
    expect(ended.size).toBe(ENDED_LEASES_MAX);
    expect(ended.get(count - ENDED_LEASES_MAX)).toBeUndefined();
    expect(ended.get(count - ENDED_LEASES_MAX + 1)?.token).toBe(count - ENDED_LEASES_MAX + 1);
    const kept = tokens(ended);
    expect(kept).toHaveLength(ENDED_LEASES_MAX);
    expect(kept.every((token, index) => token === count - ENDED_LEASES_MAX + 1 + index)).toBe(true);
  });

  it('says of each what was said of it and what was reported since, as a plain list would', () => {
    const ending = fc.record({
      lease: fc.record({
        resource: fc.maxSafeNat(),
        requests: fc.nat(),
        isBanned: fc.boolean(),
        holder: fc.constantFrom({ kind: 'process' } as const, { kind: 'session', session: 's' } as const),
        terms: fc.constantFrom(undefined, TERMS),
        revoking: fc.constantFrom(undefined, REVOKING),
        otherRequests: fc.constantFrom([], [1, 2]),
      }),
      how: fc.constantFrom(...LEASE_ENDS),
      // As a rule many are remembered.
      afterMs: fc.oneof({ weight: 50, arbitrary: fc.nat(10) }, fc.constant(ENDED_LEASES_MS / 2)),
      reported: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(ending, { maxLength: 600, size: 'max' }), (endings) => {
        const ended = new EndedLeases();
        let list: ReturnType<typeof known>[] = [];
        let nowMs = 0;
        for (const [index, { lease, how, afterMs, reported }] of endings.entries()) {
          nowMs += afterMs;
          // Each once, in another order than they rise in.
          const fields = leaseFields({ ...lease, token: 2 ** 40 + (index ^ 5) });
          ended.add(fields, how, nowMs);
          list.push({ ...fields, end: how, endedAtMs: nowMs });
          list = list.filter(({ endedAtMs }) => endedAtMs! > nowMs - ENDED_LEASES_MS);
          const one = list[reported % list.length]!;
          for (const said of [one, ended.get(one.token)!]) Object.assign(said, { requests: reported, settled: true });
        }
        expect(Array.from(ended, known)).toEqual(list);
        expect(list.map(({ token }) => known(ended.get(token)!))).toEqual(list);
        expect(ended.get(2 ** 40 + 600)).toBeUndefined();
      }),
    );
  });
});

const REVOKING = { reason: 'operator', atMs: 12.5, hasSubstitute: false } as const;
const TERMS = { where: undefined, strategy: 'random', sticky: undefined, key: 'k', isMany: true } as const;

function tokens(ended: EndedLeases): number[] {
  return Array.from(ended, ({ token }) => token);
}

function end(ended: EndedLeases, token: number, atMs: number): void {
  ended.add(leaseFields({ token }), 'released', atMs);
}
