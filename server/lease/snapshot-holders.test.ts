import { describe, expect, it } from 'vitest';
import { dumpData, type Fields, verifyData } from '../replay.ts';
import { temporaryFolder } from '../testing/journal-run.ts';
import { LeaseBench } from '../testing/lease-bench.ts';
import { START_UTC_MS } from '../testing/lease-driver.ts';
import { known } from '../testing/lease-fields.ts';
import { LeaseJournal } from '../testing/lease-journal.ts';
import { recordDescriber } from './described.ts';
import type { Holder, HolderRecord } from './holder.ts';
import { leaseRecordsOf } from './lease-columns.ts';
import { leaseDomain } from './lease-domain.ts';
import { decodeNumbers, encodeNumbers } from './number-column.ts';
import { encodeState } from './snapshot.ts';
import type { RecordOf, StateRecord } from './snapshot-format.ts';
import type { LeaseState } from './state.ts';

type LeasesRecord = RecordOf<'leases'>;

/** What a small batch has room for. */
const PART = 50;
const OWNER = { kind: 'ip', ip: '127.0.0.1' } as const;
/** In three records, with two leases on each. */
const ADDRESSES = 600;
/** Who has one lease on an address whose others are of `a`. */
const OTHERS: readonly (readonly [addressId: number, holder: Holder])[] = [
  [1, { kind: 'session', session: 'b' }],
  [2, { kind: 'secret', secretHash: 'x' }],
  [3, { kind: 'secret', secretHash: 'x', owner: OWNER }],
  [598, { kind: 'session', session: 'c' }],
  [599, { kind: 'session', session: 'b' }],
  [600, { kind: 'client', client: 'b' }],
];

/** Three records of leases; nobody but `a` has any in the second. */
function filled(): LeaseBench {
  const bench = new LeaseBench(ADDRESSES);
  for (const [index, [addressId, holder]] of OTHERS.entries()) {
    const [address, resource] = [`p${addressId}`, 3 + index];
    const records = [{ address, country: 'US', rpw: 0, resource_ids: [1, 2, resource] }];
    bench.run({ type: 'ImportPool', records, replace: false });
    bench.run({ type: 'AcquireLease', holder, resource, ttlMs: 60_000, request: 1 });
  }
  for (let request = 0; request < ADDRESSES / 100; request += 1) {
    for (const resource of [1, 2]) bench.granted('a', request, { count: 100, resource });
  }
  return bench;
}

function leasesOf(records: Iterable<StateRecord>): LeasesRecord[] {
  return Array.from(records).filter((record) => record[0] === 'leases');
}

function restored(records: Iterable<unknown>): LeaseState {
  const state = leaseDomain.create();
  for (const record of records) leaseDomain.restore(state, record);
  return state;
}

function* changed(state: LeaseState, change: (record: LeasesRecord, index: number) => unknown): Generator<unknown> {
  let index = 0;
  for (const record of encodeState(state)) {
    if (record[0] !== 'leases') yield record;
    else {
      yield change(record, index);
      index += 1;
    }
  }
}

/** The same as it was written before holders were numbered across records. */
function asVersion1(): (record: LeasesRecord) => LeasesRecord {
  const all: HolderRecord[] = [];
  return (record) => {
    all.push(...record[4]);
    const numbers = Array.from(decodeNumbers(record[8]));
    const own = [...new Set(numbers)];
    const holders = own.map((number) => all[number]!);
    const heldBy = encodeNumbers(numbers.map((number) => own.indexOf(number)));
    return record.with(1, 1).with(4, holders).with(8, heldBy) as unknown as LeasesRecord;
  };
}

describe('the holders in a snapshot', () => {
  it('are named once, by the first record that has a lease of theirs', () => {
    const records = leasesOf(encodeState(filled().driver.state));
    expect(records.map((record) => record[4])).toEqual([
      [
        ['session', 'b'],
        ['session', 'a'],
        ['secret', 'x'],
        ['owned', 'x', 'ip', '127.0.0.1'],
      ],
      [],
      [
        ['session', 'c'],
        ['client', 'b'],
      ],
    ]);
    expect(new Set(decodeNumbers(records[2]![8]))).toEqual(new Set([1, 4, 0, 5]));
  });

  it('are found again where an earlier record has named them', () => {
    const { state } = filled().driver;
    const again = restored(encodeState(state));
    expect(Array.from(again.leases.values(), known)).toEqual(Array.from(state.leases.values(), known));
    const counts = ({ sessions }: LeaseState) => Array.from(sessions.values(), ({ leaseCount }) => leaseCount);
    expect(counts(again)).toEqual(counts(state));
    expect(again.restored).toBeUndefined();
    expect([...encodeState(again)]).toEqual([...encodeState(state)]);
  });

  it('that are secrets are named again in a later record', () => {
    const bench = new LeaseBench(ADDRESSES);
    const secret = { kind: 'secret', secretHash: 'x', owner: OWNER } as const;
    for (let left = ADDRESSES; left > 0; left -= 100) {
      for (const resource of [1, 2]) {
        bench.run({ type: 'AcquireLease', holder: secret, resource, ttlMs: 60_000, request: 1, count: 100 });
      }
    }
    const records = leasesOf(encodeState(bench.driver.state));
    expect(records.map((record) => record[4])).toEqual(records.map(() => [['owned', 'x', 'ip', '127.0.0.1']]));
    expect(records.map((record) => decodeNumbers(record[8])[0])).toEqual([0, 1, 2]);
    const again = restored(encodeState(bench.driver.state));
    expect(Array.from(again.leases.values(), known)).toEqual(Array.from(bench.driver.state.leases.values(), known));
  });

  it.each([
    ['by a record behind those that name them all', 2, 8, 6],
    ['by a record before the one that names them', 1, 8, 4],
  ] as const)('that are named %s are none', (_, nth, field, number) => {
    const records = changed(filled().driver.state, (record, index) => {
      if (index !== nth) return record;
      const numbers = Array.from(decodeNumbers(record[field]));
      return record.with(field, encodeNumbers(numbers.with(-1, number)));
    });
    expect(() => restored(records)).toThrow('a lease has no holder');
  });

  it('are lacking where the record that names them is', () => {
    const records = changed(filled().driver.state, (record, index) => (index === 0 ? record.with(4, []) : record));
    expect(() => restored(records)).toThrow('a lease has no holder');
  });
});

describe('a record of leases of version 1', () => {
  it('has a list of its own', () => {
    const { state } = filled().driver;
    const older = [...changed(state, asVersion1())];
    const lists = leasesOf(older as StateRecord[]).map((record) => record[4].length);
    expect(lists).toEqual([4, 1, 4]);
    const again = restored(older);
    expect(Array.from(again.leases.values(), known)).toEqual(Array.from(state.leases.values(), known));
    expect([...encodeState(again)]).toEqual([...encodeState(state)]);
  });

  it('has no holder but those of its list', () => {
    const older = [...changed(filled().driver.state, asVersion1())] as StateRecord[];
    const cut = older.map((record) =>
      record[0] === 'leases' && record[4].length === 1
        ? record.with(8, encodeNumbers(Array.from(decodeNumbers(record[8]), () => 1)))
        : record,
    );
    expect(() => restored(cut)).toThrow('a lease has no holder');
  });

  it('is read as it was written', () => {
    const state = restored([...encodeState(new LeaseBench(2).driver.state), ...WRITTEN_BEFORE]);
    expect(Array.from(state.leases.values(), ({ token, addressId, holder }) => ({ token, addressId, holder }))).toEqual(
      [
        { token: 11, addressId: 2, holder: { kind: 'session', session: 'c' } },
        { token: 12, addressId: 1, holder: { kind: 'session', session: 'b' } },
        { token: 13, addressId: 1, holder: { kind: 'session', session: 'a' } },
      ],
    );
    const holders: HolderRecord[] = [];
    const read = WRITTEN_BEFORE.flatMap((record) => leaseRecordsOf(record, holders));
    expect(read.map(([token, , , holder]) => [token, holder])).toEqual([
      [12, ['session', 'b']],
      [13, ['session', 'a']],
      [11, ['session', 'c']],
    ]);
  });
});

/** Bytes of numbers, one each. */
const bytes = (...numbers: number[]) => [1, Uint8Array.from(numbers)] as const;

const WRITTEN_BEFORE: readonly LeasesRecord[] = [
  [
    'leases',
    1,
    3,
    bytes(1, 2),
    [
      ['session', 'b'],
      ['session', 'a'],
    ],
    bytes(1, 2),
    bytes(12, 13),
    bytes(1, 2),
    bytes(0, 1),
    bytes(7, 8),
    bytes(200, 200),
    bytes(250, 250),
    bytes(3, 3),
    bytes(0, 0),
    bytes(0, 0),
    [],
    [],
    [],
  ],
  [
    'leases',
    1,
    3,
    bytes(2, 1),
    [['session', 'c']],
    bytes(0),
    bytes(11),
    bytes(1),
    bytes(0),
    bytes(9),
    bytes(200),
    bytes(250),
    bytes(3),
    bytes(0),
    bytes(0),
    [],
    [],
    [],
  ],
];

describe('a dump of a snapshot', () => {
  const shown = (state: LeaseState) =>
    new Map(Array.from(state.leases.values(), ({ token, holder }) => [token, holder.kind === 'secret' ? 'x' : holder]));

  it.each([
    ['2', (record: LeasesRecord) => record],
    ['1', asVersion1()],
  ])('names the holder of every lease, from records of version %s', (_, written) => {
    const { state } = filled().driver;
    const describeRecord = recordDescriber();
    const leases = [...changed(state, written)].flatMap(describeRecord).filter(({ kind }) => kind === 'lease');
    const holders = leases.map(({ fields }) => [fields['lease'], withoutSecret(fields['holder'] as Holder)] as const);
    expect(new Map(holders)).toEqual(shown(state));
  });

  it('goes by the records of that snapshot alone', async () => {
    const dir = await temporaryFolder();
    const run = await LeaseJournal.start(dir, START_UTC_MS);
    const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 1e9 };
    await run.execute({ type: 'Configure', defaultPolicy, policies: new Map() });
    for (const session of ['a', 'b']) {
      await run.execute({ type: 'OpenSession', session, secretHash: '', resumeWindowMs: 0, sessionsMax: 9 });
    }
    for (let first = 1; first <= ADDRESSES; first += PART) {
      const records = Array.from({ length: PART }, (_, index) => {
        return { address: `p${first + index}`, country: 'US', rpw: 0, resource_ids: [1, 2] };
      });
      await run.execute({ type: 'ImportPool', records, replace: false });
      for (const [resource, session] of ['a', first % 4 === 1 ? 'a' : 'b'].entries()) {
        const holder = { kind: 'session', session } as const;
        const acquire = { type: 'AcquireLease', holder, ttlMs: 60_000, request: first, count: PART } as const;
        await run.execute({ ...acquire, resource: 1 + resource });
      }
    }
    await run.snapshot();
    expect(leasesOf(encodeState(run.driver.state)).map((record) => record[4].length)).toEqual([2, 0, 0]);
    expect((await verifyData(dir)).faults).toEqual([]);
    for (let times = 0; times < 2; times += 1) {
      const holders = new Map<unknown, unknown>();
      for await (const item of dumpData(dir, { fromPosition: undefined, toPosition: undefined, withSnapshot: true })) {
        if (item.type !== 'line' || item.line['record'] !== 'lease') continue;
        const { lease, holder } = item.line['fields'] as Fields;
        holders.set(lease, holder);
      }
      expect(holders).toEqual(shown(run.driver.state));
    }
    await run.stop();
  });

  function withoutSecret(holder: Holder): Holder | 'x' {
    return holder.kind === 'secret' ? 'x' : holder;
  }
});
