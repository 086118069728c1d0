import { expect, it } from 'vitest';
import type { EventRecord } from '../coordinator/domain.ts';
import { LeaseBench } from '../testing/lease-bench.ts';
import { describeEvent, recordDescriber } from './described.ts';
import { decodeEvent, encodeEvent } from './event-records.ts';
import { leaseDomain } from './lease-domain.ts';
import { OVERRULED_RECORDS_MAX, OverruledRecords, recordDigest } from './overruled-records.ts';

const record = (address: string, rpw = 0) => ({ address, country: 'US', rpw, resource_ids: [1] });

it('keeps as many as its bound, those that were overruled last', () => {
  const overruled = new OverruledRecords();
  for (let index = 0; index < OVERRULED_RECORDS_MAX; index += 1) overruled.set(`a${index}`, 'digest');
  overruled.set('a0', recordDigest(record('a0')));
  overruled.set('b', 'digest');
  expect(overruled.size).toBe(OVERRULED_RECORDS_MAX);
  expect(overruled.get('a1')).toBeUndefined();
  expect([overruled.has(record('a0')), overruled.has(record('a0', 1)), overruled.has(record('c'))]).toEqual([
    true,
    false,
    false,
  ]);
});

it('brings what people have overruled back from a snapshot and from the journal, in its order', () => {
  const bench = new LeaseBench(3);
  for (const addressId of [3, 1]) bench.run({ type: 'RemoveAddress', addressId });
  const { driver } = bench;
  const written = driver.snapshot();
  expect(driver.replayed()).toEqual(written);
  driver.reload();
  expect(driver.snapshot()).toEqual(written);
  expect(Array.from(driver.state.overruled, ([address]) => address)).toEqual(['p3', 'p1']);
  const records = [{ ...record('p1'), resource_ids: [1, 2] }];
  const again = { type: 'ImportPool' as const, records, replace: false };
  expect(bench.run({ ...again, source: 'file' })).toMatchObject({ counts: { added: 0, unchanged: 1 } });
  expect(bench.run(again)).toMatchObject({ counts: { added: 1, unchanged: 0 } });
});

it('lets an import mark what it changes only while there is room, and what people did stays marked', () => {
  const bench = new LeaseBench(3);
  const { overruled } = bench.driver.state;
  bench.run({ type: 'RemoveAddress', addressId: 1 });
  for (let index = 2; index < OVERRULED_RECORDS_MAX; index += 1) overruled.set(`a${index}`, 'digest');
  const records = ['p1', 'p2', 'p3'].map((address) => record(address, 5));
  bench.run({ type: 'ImportPool', records, replace: false });
  expect(['p1', 'p2', 'p3'].map((address) => overruled.get(address) !== undefined)).toEqual([true, true, false]);
  expect(overruled.isFull).toBe(true);
  bench.run({ type: 'RemoveAddress', addressId: 3 });
  expect(overruled.get('p3')).toBe(recordDigest(record('p3', 5)));
  expect(overruled.size).toBe(OVERRULED_RECORDS_MAX);
});

it('reads a journal in which marks stood beside the changes of the pool', () => {
  const state = leaseDomain.create();
  const was = { ...record('p1'), country: 'DE' };
  const written: EventRecord[] = [
    ['lease', 'PoolStaged', 1, 1, [['add', 1, record('p1')]]],
    ['lease', 'PoolCommitted', 1, 1],
    ['lease', 'PoolStaged', 1, 2, [['update', 1, was, false]]],
    ['lease', 'PoolCommitted', 1, 2],
    ['lease', 'RecordOverruled', 1, 'p1', recordDigest(record('p1'))],
    ['lease', 'PoolStaged', 1, 3, [['remove', 1]]],
    ['lease', 'PoolCommitted', 1, 3],
  ];
  for (const event of written) leaseDomain.apply(state, decodeEvent(event));
  expect([...state.overruled]).toEqual([['p1', recordDigest(record('p1'))]]);
  for (const event of [
    ['lease', 'PoolStaged', 1, 4, [['add', 2, was]]],
    ['lease', 'PoolCommitted', 1, 4],
  ] as EventRecord[]) {
    leaseDomain.apply(state, decodeEvent(event));
  }
  expect(state.overruled.size).toBe(0);
});

it('shows neither credentials nor what they could be tried by', () => {
  const shown = { address: 'http://***@h:1', digest: '***' };
  const event = { type: 'RecordOverruled', address: 'http://u:secret@h:1', digest: 'd' } as const;
  expect(describeEvent(encodeEvent(event))).toEqual(shown);
  expect(recordDescriber()(['overruled', 1, event.address, event.digest])[0]!.fields).toEqual(shown);
});
