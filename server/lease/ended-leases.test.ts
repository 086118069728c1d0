import { describe, expect, it } from 'vitest';
import { ENDED_LEASES_MAX, ENDED_LEASES_MS, EndedLeases } from './ended-leases.ts';
import type { EndedLease } from './state.ts';

describe('EndedLeases', () => {
  it('finds a lease by its token and gives all in the order of their ends', () => {
    const ended = new EndedLeases();
    for (const [token, atMs] of [
      [3, 10],
      [1, 20],
      [2, 20],
    ] as const) {
      ended.add(endedLease(token, atMs));
    }
    expect(ended.get(1)?.endedAtMs).toBe(20);
    expect(ended.get(4)).toBeUndefined();
    expect(tokens(ended)).toEqual([3, 1, 2]);
    expect(ended.size).toBe(3);
  });

  it('forgets what has ended so long ago when another ends', () => {
    const ended = new EndedLeases();
    ended.add(endedLease(1, 0));
    ended.add(endedLease(2, 1));
    ended.add(endedLease(3, ENDED_LEASES_MS - 1));
    expect(tokens(ended)).toEqual([1, 2, 3]);
    ended.add(endedLease(4, ENDED_LEASES_MS));
    expect(tokens(ended)).toEqual([2, 3, 4]);
    expect(ended.get(1)).toBeUndefined();
    ended.add(endedLease(5, 10 * ENDED_LEASES_MS));
    expect(tokens(ended)).toEqual([5]);
  });

  it('keeps no more than its bound, the latest of them, however often it has come round', () => {
    const ended = new EndedLeases();
    const count = 2 * ENDED_LEASES_MAX + 3;
    for (let token = 1; token <= count; token += 1) ended.add(endedLease(token, 5));
    expect(ended.size).toBe(ENDED_LEASES_MAX);
    expect(ended.get(count - ENDED_LEASES_MAX)).toBeUndefined();
    expect(ended.get(count - ENDED_LEASES_MAX + 1)?.token).toBe(count - ENDED_LEASES_MAX + 1);
    const kept = tokens(ended);
    expect(kept).toHaveLength(ENDED_LEASES_MAX);
    expect(kept.every((token, index) => token === count - ENDED_LEASES_MAX + 1 + index)).toBe(true);
  });
});

function tokens(ended: EndedLeases): number[] {
  return Array.from(ended, ({ token }) => token);
}

function endedLease(token: number, endedAtMs: number): EndedLease {
  return {
    token,
    resource: 7,
    addressId: 1,
    holder: { kind: 'process' },
    request: 0,
    ttlMs: 1_000,
    clamped: false,
    deadlineMs: 0,
    otherRequests: [],
    terms: undefined,
    revoking: undefined,
    isBanned: false,
    grantedDay: 0,
    requests: 1,
    settled: false,
    end: 'released',
    endedAtMs,
  };
}
