import { describe, expect, it } from 'vitest';
import { COUNT_KEYS_MAX, COUNT_KEYS_MS, COUNT_KEYS_PER_HOLDER_MAX, COUNTERS_MAX } from '../../protocol/limits.ts';
import { NewerDataError } from '../coordinator/domain.ts';
import { CounterDriver } from '../testing/counter-driver.ts';
import { counterDomain } from './counter-domain.ts';
import { describeEvent, describeRecord } from './described.ts';
import { countersAfter } from './state.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const counted = (counter: string, value: number) => ({ type: 'counted', counter, value });

describe('a counter', () => {
  it('begins at 0 and is what was added to it, either way', () => {
    const driver = new CounterDriver();
    expect(driver.count('pages', 1)).toEqual(counted('pages', 1));
    expect(driver.count('pages', 41)).toEqual(counted('pages', 42));
    expect(driver.count('pages', -50)).toEqual(counted('pages', -8));
    expect(driver.count('others', 5)).toEqual(counted('others', 5));
    expect(driver.values).toEqual({ pages: -8, others: 5 });
  });

  it('is read by adding 0, which writes nothing and makes no counter', () => {
    const driver = new CounterDriver();
    driver.count('pages', 3);
    expect(driver.count('pages', 0)).toEqual(counted('pages', 3));
    expect(driver.count('others', 0)).toEqual(counted('others', 0));
    expect(driver.journal).toHaveLength(1);
    expect(driver.values).toEqual({ pages: 3 });
  });

  it.each([
    [MAX, 1],
    [-MAX, -1],
    [MAX, MAX],
    [1, MAX],
  ])('at %d takes no %d more, since that is no exact number', (first, by) => {
    const driver = new CounterDriver();
    driver.count('pages', first);
    const refused = { type: 'rejected', code: 'bad_field', path: 'by' };
    expect(driver.count('pages', by)).toMatchObject(refused);
    expect(driver.count('pages', by, 'k')).toMatchObject(refused);
    expect(driver.values).toEqual({ pages: first });
    expect(driver.journal).toHaveLength(1);
    // What was refused isn't remembered.
    driver.count('pages', -first);
    expect(driver.count('pages', by, 'k')).toEqual(counted('pages', by));
  });

  it('goes back to 0 from the end of its range', () => {
    const driver = new CounterDriver();
    driver.count('pages', MAX);
    expect(driver.count('pages', -MAX)).toEqual(counted('pages', 0));
  });

  it('is gone once deleted, and begins anew', () => {
    const driver = new CounterDriver();
    driver.count('pages', 3);
    expect(driver.execute({ type: 'DeleteCounter', counter: 'pages' })).toEqual({ type: 'deleted' });
    expect(driver.execute({ type: 'DeleteCounter', counter: 'pages' })).toEqual({ type: 'unknown' });
    expect(driver.count('pages', 2)).toEqual(counted('pages', 2));
  });

  it.each(['__proto__', 'constructor', 'häfen 🚢', ' '])('may be named %j', (name) => {
    const driver = new CounterDriver();
    driver.count(name, 2);
    driver.restart('snapshot');
    expect(driver.count(name, 1)).toEqual(counted(name, 3));
  });

  it(`is one of ${COUNTERS_MAX} at most`, () => {
    const driver = new CounterDriver();
    for (let index = 0; index < COUNTERS_MAX; index += 1) driver.count(`c${index}`, 1);
    expect(driver.count('one more', 1)).toMatchObject({ type: 'rejected', code: 'too_many', path: 'counter' });
    expect(driver.count('c0', 1)).toEqual(counted('c0', 2));
    driver.execute({ type: 'DeleteCounter', counter: 'c7' });
    expect(driver.count('one more', 1)).toEqual(counted('one more', 1));
  });

  it('is listed by name, page by page', () => {
    const driver = new CounterDriver();
    for (const name of ['b', 'a', 'Z', 'ä', 'c', 'aa']) driver.count(name, name.length);
    driver.execute({ type: 'DeleteCounter', counter: 'b' });
    const pagesOf = (limit: number) => {
      const pages = [];
      for (let after = ''; ; after = pages.at(-1)!.at(-1)!) {
        const page = countersAfter(driver.state, after, limit).map(({ counter }) => counter);
        if (page.length === 0) return pages;
        pages.push(page);
      }
    };
    expect(pagesOf(2)).toEqual([['Z', 'a'], ['aa', 'c'], ['ä']]);
    expect(countersAfter(driver.state, 'b', 1)).toEqual([{ counter: 'c', value: 1 }]);
    driver.restart('journal');
    expect(pagesOf(10)).toEqual([['Z', 'a', 'aa', 'c', 'ä']]);
  });
});

describe('a key', () => {
  it('gives the answer of the first time, and counts nothing', () => {
    const driver = new CounterDriver();
    driver.count('pages', 1);
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 3));
    driver.count('pages', 10);
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 3));
    expect(driver.values).toEqual({ pages: 13 });
  });

  it.each([
    ['pages', 3],
    ['others', 2],
  ])('of another request is no key for %s by %d', (counter, by) => {
    const driver = new CounterDriver();
    driver.count('pages', 2, 'k');
    expect(driver.count(counter, by, 'k')).toMatchObject({ type: 'rejected', code: 'key_reused', path: 'key' });
    expect(driver.values).toEqual({ pages: 2 });
  });

  it('is its holder’s own', () => {
    const driver = new CounterDriver();
    driver.count('pages', 2, 'k', 'session a');
    expect(driver.count('pages', 2, 'k', 'client a')).toEqual(counted('pages', 4));
  });

  it('answers although the counter is deleted, or the disk nearly full', () => {
    const driver = new CounterDriver();
    driver.count('pages', 2, 'k');
    driver.execute({ type: 'DeleteCounter', counter: 'pages' });
    driver.execute({ type: 'SetStorage', level: 'least' });
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 2));
  });

  it('of an addition of 0 is remembered like any other', () => {
    const driver = new CounterDriver();
    expect(driver.count('pages', 0, 'k')).toEqual(counted('pages', 0));
    driver.count('pages', 5);
    expect(driver.count('pages', 0, 'k')).toEqual(counted('pages', 0));
  });

  it.each(['snapshot', 'journal'] as const)('outlives a restart from the %s', (from) => {
    const driver = new CounterDriver();
    driver.count('pages', 2, 'k');
    driver.count('pages', 5);
    driver.restart(from);
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 2));
    expect(driver.values).toEqual({ pages: 7 });
  });

  it('is forgotten when its time is over: at once for who asks, and with others for the memory', () => {
    const driver = new CounterDriver();
    const startMs = driver.nowMs;
    driver.count('pages', 2, 'k');
    driver.nowMs = startMs + COUNT_KEYS_MS;
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 2));
    driver.count('pages', 3, 'l');
    driver.nowMs += 1;
    expect(driver.state.keys.size).toBe(2);
    expect(driver.count('pages', 2, 'k')).toEqual(counted('pages', 7));
    expect(driver.state.keys.size).toBe(2);
    driver.nowMs += COUNT_KEYS_MS;
    driver.nowMs = counterDomain.dueMs(driver.state)!;
    driver.runDue();
    expect(driver.state.keys.size).toBe(0);
    expect(counterDomain.dueMs(driver.state)).toBeUndefined();
    const kept = driver.snapshot();
    driver.restart('journal');
    expect(driver.snapshot()).toEqual(kept);
  });

  it('goes in slices where many are over', () => {
    const driver = new CounterDriver();
    for (let index = 0; index < 2_500; index += 1) {
      driver.count('pages', 1, 'k', `session ${index}`);
      driver.nowMs += 1;
    }
    driver.nowMs += 2 * COUNT_KEYS_MS;
    const before = driver.journal.length;
    driver.runDue();
    expect(driver.state.keys.size).toBe(0);
    expect(driver.journal.length - before).toBe(3);
  });

  it(`is among the last ${COUNT_KEYS_PER_HOLDER_MAX} of its holder`, () => {
    const driver = new CounterDriver();
    driver.count('pages', 1, 'k', 'session b');
    for (let index = 0; index <= COUNT_KEYS_PER_HOLDER_MAX; index += 1) driver.count('pages', 1, `k${index}`);
    const { value } = driver.count('pages', 0) as { value: number };
    expect(driver.count('pages', 1, 'k1')).toEqual(counted('pages', 3));
    expect(driver.count('pages', 1, 'k', 'session b')).toEqual(counted('pages', 1));
    expect(driver.count('pages', 1, 'k0')).toEqual(counted('pages', value + 1));
  });

  it(`is among the last ${COUNT_KEYS_MAX} of all`, () => {
    const driver = new CounterDriver();
    for (let index = 0; index <= COUNT_KEYS_MAX; index += 1) driver.count('pages', 1, 'k', `session ${index}`);
    expect(driver.state.keys.size).toBe(COUNT_KEYS_MAX);
    expect(driver.count('pages', 1, 'k', 'session 1')).toEqual(counted('pages', 2));
    expect(driver.count('pages', 1, 'k', 'session 0')).toEqual(counted('pages', COUNT_KEYS_MAX + 2));
  });

  it('asks for the clock on disk while it is kept, so that no restart prolongs it for long', () => {
    const driver = new CounterDriver();
    driver.count('pages', 1);
    expect(counterDomain.clockMarkMs(driver.state)).toBeUndefined();
    driver.count('pages', 1, 'k');
    expect(counterDomain.clockMarkMs(driver.state)).toBeLessThanOrEqual(COUNT_KEYS_MS / 4);
  });
});

describe('on a disk that is nearly full', () => {
  it.each(['low', 'least'] as const)(
    'nothing is counted while there is %s room, and counters may be deleted',
    (level) => {
      const driver = new CounterDriver();
      driver.count('pages', 2, 'k');
      driver.count('others', 1);
      driver.execute({ type: 'SetStorage', level });
      expect(driver.count('pages', 1)).toMatchObject({ code: 'storage_full', retryAfterMs: 1_000 });
      expect(driver.count('pages', 1, 'l')).toMatchObject({ code: 'storage_full' });
      expect(driver.count('pages', 0)).toEqual(counted('pages', 2));
      expect(driver.execute({ type: 'DeleteCounter', counter: 'others' })).toEqual({ type: 'deleted' });
      driver.nowMs += 2 * COUNT_KEYS_MS;
      expect(counterDomain.dueMs(driver.state)).toBeUndefined();
      expect(driver.journal).toHaveLength(3);
      driver.execute({ type: 'SetStorage', level: 'ample' });
      expect(driver.count('pages', 1, 'l')).toEqual(counted('pages', 3));
      expect(driver.state.keys.size).toBe(1);
    },
  );

  it('is no matter of the journal', () => {
    const driver = new CounterDriver();
    driver.execute({ type: 'SetStorage', level: 'low' });
    expect(driver.journal).toEqual([]);
    expect(driver.snapshot()).toEqual([]);
  });
});

describe('the records of counters', () => {
  it.each([
    ['counters', 'CounterAdded', 2, 'pages', 1, 1],
    ['counters', 'CounterAdded', 1, 'pages', 1, 1, 'h', 'k', 1, 'more'],
    ['counters', 'CounterReset', 1, 'pages'],
    ['counters', 'toString', 1],
  ] as const)('of a newer version are refused by name: %j', (...record) => {
    expect(() => counterDomain.decodeEvent(record)).toThrow(NewerDataError);
  });

  it.each([[['counter', 2, 'pages', 1]], [['key', 2]], [['total', 1]], [['toString', 1]]])(
    'of a newer snapshot are refused by name: %j',
    (record) => {
      expect(() => counterDomain.restore(counterDomain.create(), record)).toThrow(NewerDataError);
      expect(() => describeRecord(record)).toThrow(NewerDataError);
    },
  );

  it('that don’t fit the state are damage', () => {
    const driver = new CounterDriver();
    driver.count('pages', 2);
    const apply = (event: Parameters<typeof counterDomain.apply>[1]) => () => counterDomain.apply(driver.state, event);
    expect(apply({ type: 'CounterAdded', counter: 'pages', by: 1, value: 4 })).toThrow('a counter at 2');
    expect(apply({ type: 'CounterDeleted', counter: 'others' })).toThrow('not there');
  });

  it('are described by the names of their fields', () => {
    const driver = new CounterDriver();
    const keyed = { counter: 'pages', by: 2, value: 2, holder: 'session a', key: 'k', at_ms: 1_001 };
    driver.count('pages', 2, 'k');
    const events = [
      { type: 'CounterAdded', counter: 'pages', by: 1, value: 3 },
      { type: 'CounterDeleted', counter: 'pages' },
      { type: 'KeysForgotten', upToMs: 7 },
    ] as const;
    expect(events.map((event) => describeEvent(counterDomain.encodeEvent(event)))).toEqual([
      { counter: 'pages', by: 1, value: 3 },
      { counter: 'pages' },
      { up_to_ms: 7 },
    ]);
    expect(driver.snapshot().flatMap(describeRecord)).toEqual([
      { kind: 'counter', version: 1, fields: { counter: 'pages', value: 2 } },
      { kind: 'key', version: 1, fields: keyed },
    ]);
  });
});
