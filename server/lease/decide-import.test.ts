import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AddressRecord } from '../../protocol/frames.ts';
import { applyEvent } from './apply.ts';
import type { ImportPool } from './commands.ts';
import { decideImport } from './decide-import.ts';
import { createLeaseState, type LeaseState } from './state.ts';

const CONTEXT = { nowMs: 1_000, utcMs: 1_800_000_000_000, random: () => 0 };

/** Slice by slice; `seen` looks behind each but the last. */
function importPool(state: LeaseState, given: Omit<ImportPool, 'type'>, seen?: () => void) {
  let command: ImportPool = { type: 'ImportPool', ...given };
  for (;;) {
    const { events, answer, next } = decideImport(state, command, CONTEXT);
    for (const event of events) applyEvent(state, event);
    if (!next) return answer;
    command = next as ImportPool;
    seen?.();
  }
}

const record = (host: number, resource_ids: number[] = [7], rpw = 0): AddressRecord => {
  return { address: `a${host}:1`, country: 'US', rpw, resource_ids };
};

function poolOf(state: LeaseState): Map<string, AddressRecord> {
  const present = [...state.addresses.values()].filter(({ removed }) => !removed);
  return new Map(present.map((address) => [address.address, address.record]));
}

const pool = fc
  .uniqueArray(fc.tuple(fc.nat(30), fc.subarray([1, 2, 3]), fc.nat(2)), { selector: ([host]) => host, maxLength: 30 })
  .map((drawn) => drawn.map(([host, ids, rpw]) => record(host, ids, rpw)));

describe('an import', () => {
  it('brings the pool to what the records say, and counts what it took', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(pool, fc.boolean()), { maxLength: 5 }), (imports) => {
        const state = createLeaseState();
        const expected = new Map<string, AddressRecord>();
        for (const [records, replace] of imports) {
          const counts = { added: 0, updated: 0, removed: 0, unchanged: 0 };
          const named = new Set(records.map(({ address }) => address));
          for (const address of replace ? expected.keys() : []) {
            if (!named.has(address) && expected.delete(address)) counts.removed += 1;
          }
          for (const one of records) {
            const known = expected.get(one.address);
            if (!known) counts.added += 1;
            else if (JSON.stringify(known) === JSON.stringify(one)) counts.unchanged += 1;
            else counts.updated += 1;
            expected.set(one.address, one);
          }
          expect(importPool(state, { records, replace })).toEqual({ type: 'imported', counts });
          expect(poolOf(state)).toEqual(expected);
          expect(state.stages.size).toBe(0);
        }
      }),
    );
  });

  it('shows nothing before all of it is there, neither of what comes nor of what goes', () => {
    const state = createLeaseState();
    const hosts = Array.from({ length: 25_000 }, (_, host) => host);
    importPool(state, { records: hosts.map((host) => record(host)), replace: false }, () => {
      expect(state.addresses.size).toBe(0);
    });
    const before = poolOf(state);
    // Every second stays; those that go lie in more ids than one slice looks at.
    const records = hosts.filter((host) => host % 2 === 0).map((host) => record(host));
    let slices = 0;
    const answer = importPool(state, { records: [...records, record(-1)], replace: true }, () => {
      slices += 1;
      expect(state.addresses.size).toBe(before.size);
      expect(state.resources.get(7)!.pool.size).toBe(before.size);
    });
    expect(slices).toBeGreaterThan(10);
    expect(answer).toMatchObject({ counts: { added: 1, updated: 0, removed: 12_500, unchanged: 12_500 } });
    expect([...poolOf(state).keys()].sort()).toEqual([...records, record(-1)].map(({ address }) => address).sort());
  });

  it('changes nothing where it would change more than the bound', () => {
    const state = createLeaseState();
    const changesMax = 6;
    const take = (records: AddressRecord[], replace = false) => importPool(state, { records, replace, changesMax });
    expect(take([record(1, [1, 2]), record(2, [1, 2])])).toMatchObject({ type: 'imported' });
    const before = poolOf(state);
    const tooMany = { type: 'rejected', code: 'too_many' };
    expect(take([record(3, [1, 2]), record(4, [1, 2, 3])])).toMatchObject(tooMany);
    // Two that go, and one that comes.
    expect(take([record(3, [])], true)).toMatchObject(tooMany);
    // What it served before counts as well.
    expect(take([record(1, []), record(2, []), record(3, [])])).toMatchObject(tooMany);
    expect(poolOf(state)).toEqual(before);
    expect(state.stages.size).toBe(0);
    // What stays as it is costs nothing.
    expect(take([record(1, [1, 2]), record(2, [1, 2]), record(3, [1, 2, 3, 4, 5])])).toMatchObject({
      type: 'imported',
      counts: { added: 1, unchanged: 2 },
    });
  });
});
