import { describe, expect, it } from 'vitest';
import { type BenchState, benchDomain } from '../testing/bench-domain.ts';
import { type CounterState, counterDomain } from '../testing/counter-domain.ts';
import { Replica, type SnapshotRecord } from './replica.ts';

describe('Replica', () => {
  it('hands each event to its domain', () => {
    const replica = new Replica([counterDomain, benchDomain]);
    replica.apply(['bench', 'Happened', 1, 'a']);
    replica.apply(['test-counter', 'CounterAdded', 1, 'pages', 3]);
    replica.apply(['bench', 'Happened', 1, 'b']);
    expect((replica.state('bench') as BenchState).happened).toEqual(['a', 'b']);
    expect((replica.state('test-counter') as CounterState).counters.get('pages')).toEqual({ value: 3, events: 1 });
  });

  it('comes back from its own encoding', () => {
    const replica = new Replica([counterDomain, benchDomain]);
    replica.apply(['bench', 'Happened', 1, 'a']);
    replica.apply(['test-counter', 'CounterAdded', 1, 'pages', 3]);
    const records = [...replica.encode()];
    const other = new Replica([counterDomain, benchDomain]);
    for (const record of JSON.parse(JSON.stringify(records)) as SnapshotRecord[]) other.restore(record);
    expect([...other.encode()]).toEqual(records);
  });

  it('refuses what was written by a program that knows more', () => {
    const replica = new Replica([counterDomain]);
    expect(() => replica.apply(['gateway', 'Opened', 1])).toThrow('unknown domain "gateway"');
    expect(() => replica.restore(['gateway', {}])).toThrow('unknown domain "gateway"');
    expect(() => replica.apply(['test-counter', 'CounterAdded', 2, 'pages', 3])).toThrow('unknown event');
    expect(() => replica.state('gateway')).toThrow('unknown domain');
  });

  it('takes each name once', () => {
    expect(() => new Replica([counterDomain, counterDomain])).toThrow('two domains');
  });
});
