import { describe, expect, it } from 'vitest';
import { FeedBench, type Happening } from '../testing/feed-bench.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import type { EventFilter } from './event-filter.ts';

const granted = (lease: number, resource: number): Happening => ({
  event: 'LeaseGranted',
  fields: { lease, resource },
});
const ended = (lease: number): Happening => ({ event: 'LeaseEnded', fields: { lease } });
const queued = (waiter: number, resource: number): Happening => ({
  event: 'AcquireQueued',
  fields: { waiter, resource },
});
const waited = (waiter: number): Happening => ({ event: 'WaitEnded', fields: { waiter } });

/** The positions that a stream from `lastPosition` on tells, of which the last event must be one. */
async function positionsOf(bench: FeedBench, filter: EventFilter, lastPosition = 0): Promise<number[]> {
  const listener = bench.listen({ lastPosition, filter });
  await listener.until(({ positions }) => positions.at(-1) === bench.position);
  return listener.positions;
}

describe('a filtered stream of events', () => {
  it('tells those of the names, or of the domain, that were asked for, under their own positions', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen([granted(1, 7), ended(1), { event: 'ClockMarked', domain: 'coordinator' }, granted(2, 7), ended(2)]);
    expect(await positionsOf(bench, { events: ['LeaseEnded', 'Nothing'] })).toEqual([2, 5]);
    expect(await positionsOf(bench, { domain: 'bench' })).toEqual([1, 2, 4, 5]);
    expect(await positionsOf(bench, { domain: 'bench', events: ['LeaseEnded', 'ClockMarked'] })).toEqual([2, 5]);
  });

  it('tells of a resource what names it, and what becomes of its leases and waits', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen([granted(11, 7), granted(12, 8), queued(3, 8), queued(4, 7), { fields: { session: 's' } }]);
    bench.happen([ended(12), waited(3), waited(4), { fields: { leases: [12, 11] } }, { fields: { leases: [12] } }]);
    bench.happen([{ fields: { resource: 8, addressId: 1 } }, ended(11)]);
    expect(await positionsOf(bench, { resource: 7 })).toEqual([1, 4, 8, 9, 12]);
    expect(await positionsOf(bench, { resource: 7, events: ['LeaseEnded'] })).toEqual([12]);
  });

  it('asks about leases of before its beginning, and tells of those that nobody knows any more', async () => {
    const bench = new FeedBench(realScheduler);
    bench.resourceOf = (lease) =>
      new Map([
        [1, 7],
        [2, 8],
      ]).get(lease);
    bench.happen([granted(9, 8)]);
    bench.happen([
      ended(1),
      ended(2),
      ended(3),
      waited(1),
      granted(10, 8),
      ended(10),
      ended(9),
      granted(11, 7),
      ended(11),
    ]);
    expect(await positionsOf(bench, { resource: 7 }, 1)).toEqual([2, 4, 5, 8, 9, 10]);
  });

  it('knows nothing of what was granted where the files have a gap', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen([granted(1, 7)]);
    bench.happen([granted(2, 8)]);
    bench.happen([ended(2), granted(3, 7)]);
    bench.beforeRead = ({ position }) => {
      if (position === 1) bench.forgetBefore(3);
    };
    expect(await positionsOf(bench, { resource: 7 })).toEqual([1, 3, 4]);
  });

  it('remembers so many leases, and tells too much of those before them', async () => {
    const bench = new FeedBench(realScheduler);
    const leases = Array.from({ length: 10_500 }, (_, index) => index + 1);
    bench.happen(leases.map((lease) => granted(lease, 7)));
    bench.happen([ended(1), ended(10_500)]);
    expect((await positionsOf(bench, { resource: 7 })).slice(-2)).toEqual([10_501, 10_502]);
  });

  it('says how far it has come, after a thousand events that it kept back and with each heartbeat', async () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    const bench = new FeedBench(scheduler);
    const listener = bench.listen({ filter: { events: ['Rare'] } });
    await listener.chunk();
    bench.happen(Array.from({ length: 1_500 }, () => ({})));
    const progress = listener.chunk();
    await scheduler.runTurns();
    expect(await progress).toBe('id: 1000\n\n');
    const beat = listener.chunk();
    await scheduler.advance(15_000);
    expect(await beat).toBe('id: 1500\n\n');
    const silent = listener.chunk();
    await scheduler.advance(15_000);
    expect(await silent).toBe(':\n\n');
    expect(listener.events).toHaveLength(1);
  });
});
