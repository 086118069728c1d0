import { describe, expect, it } from 'vitest';
import { FeedBench, type FeedListener } from '../testing/feed-bench.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { EVENT_STREAMS_MAX } from './event-feed.ts';

const one = [{}];
const many = (count: number) => Array.from({ length: count }, () => ({}));
const upTo = (position: number) => (listener: FeedListener) => listener.positions.at(-1) === position;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** More than a stream's queue takes. */
const FLOOD_BYTES = 600_000;

describe('the feed of events', () => {
  it('begins now, says where that is, and tells each event as it becomes durable', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen(many(4));
    const listener = bench.listen();
    await listener.chunk();
    expect(listener.events).toEqual([{ id: 4, event: 'hello', data: { position: 4, epoch: 3 } }]);
    bench.happen([{ event: 'First', fields: { a: 1 } }, {}]);
    bench.happen(one);
    await listener.until(upTo(7));
    expect(listener.positions).toEqual([5, 6, 7]);
    expect(listener.events[1]).toEqual({
      id: 5,
      event: 'First',
      data: { position: 5, domain: 'bench', event: 'First', fields: { a: 1 } },
    });
  });

  it('goes on behind the last event seen, be that within a batch', async () => {
    const bench = new FeedBench(realScheduler);
    for (let batch = 0; batch < 5; batch += 1) bench.happen(many(10));
    const listener = bench.listen({ lastPosition: 13 });
    await listener.until(upTo(50));
    bench.happen(one);
    await listener.until(upTo(51));
    expect(listener.positions).toEqual(range(14, 51));
    expect(listener.events.every(({ id, data }) => id === data['position'])).toBe(true);
    expect(bench.readersOpen).toBe(0);
  });

  it.each([1, 2, 3, 4, 5, 6])(
    'leaves nothing out and repeats nothing, whatever happens while it reads (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const bench = new FeedBench(realScheduler);
      const happenSome = () =>
        bench.happen(many(1 + Math.floor(random() * 200)), random() < 0.2 ? FLOOD_BYTES : Math.floor(random() * 5_000));
      for (let batch = 0; batch < 20; batch += 1) happenSome();
      const from = Math.floor(random() * bench.position);
      const listener = bench.listen({ lastPosition: from });
      let left = 60;
      bench.beforeRead = () => {
        if (random() < 0.3 && left-- > 0) happenSome();
      };
      while (left > 0 || !upTo(bench.position)(listener)) {
        if (left > 0 && random() < 0.5) {
          left -= 1;
          happenSome();
          if (random() < 0.5) continue;
        }
        if (listener.positions.at(-1) !== bench.position) await listener.chunk();
      }
      expect(listener.positions).toEqual(range(from + 1, bench.position));
      await listener.cancel();
      expect([bench.feed.streamCount, bench.readersOpen]).toEqual([0, 0]);
    },
  );

  it('keeps no more for a slow reader than its queue holds, and reads it the rest from the files', async () => {
    const bench = new FeedBench(realScheduler);
    const listener = bench.listen();
    await listener.chunk();
    let reads = 0;
    bench.beforeRead = () => {
      reads += 1;
    };
    for (let batch = 0; batch < 40; batch += 1) bench.happen(many(100), FLOOD_BYTES);
    await listener.until(upTo(4_000));
    expect(listener.positions).toEqual(range(1, 4_000));
    expect(reads).toBeGreaterThan(35);
  });

  it('says from where on it goes on where what follows is no longer kept, then or while it reads', async () => {
    const bench = new FeedBench(realScheduler);
    for (let batch = 0; batch < 10; batch += 1) bench.happen(many(10));
    bench.forgetBefore(31);
    bench.beforeRead = ({ position }) => {
      if (position === 41) bench.forgetBefore(71);
    };
    const listener = bench.listen({ lastPosition: 5 });
    await listener.until(upTo(100));
    expect(listener.events.filter(({ event }) => event === 'gap')).toEqual([
      { id: 30, event: 'gap', data: { asked: 6, from: 31 } },
      { id: 70, event: 'gap', data: { asked: 51, from: 71 } },
    ]);
    expect(listener.positions).toEqual([...range(31, 50), ...range(71, 100)]);
  });

  it('leaves no gap where what is no longer in the files still waits to be told', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen(many(10));
    const listener = bench.listen({ lastPosition: 0 });
    bench.happen(many(10));
    bench.forgetBefore(21);
    await listener.until(upTo(20));
    expect(listener.events[0]).toEqual({ id: 10, event: 'gap', data: { asked: 1, from: 11 } });
    expect(listener.positions).toEqual(range(11, 20));
  });

  it('says where it is to who has seen what is yet to come, as after an older copy was restored', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen(many(3));
    const listener = bench.listen({ lastPosition: 40 });
    await listener.chunk();
    bench.happen(one);
    await listener.until(upTo(4));
    expect(listener.events).toMatchObject([
      { id: 3, event: 'reset', data: { asked: 40, position: 3, epoch: 3 } },
      { id: 4, event: 'Happened' },
    ]);
  });

  it('lets in so many at a time, and frees the place, the files and the timer of who goes', async () => {
    const clock = new VirtualClock();
    const scheduler = new VirtualScheduler(clock);
    const bench = new FeedBench(scheduler);
    bench.happen(many(1_000));
    const listeners = Array.from({ length: EVENT_STREAMS_MAX }, () => bench.listen({ lastPosition: 0 }));
    expect(() => bench.listen()).toThrow('too many');
    const reads = listeners.map((listener) => listener.chunk());
    await scheduler.advance(5_000);
    await Promise.all(reads);
    expect(bench.readersOpen).toBe(EVENT_STREAMS_MAX);
    await listeners[0]!.cancel();
    bench.listen();
    await Promise.all(listeners.map((listener) => listener.cancel()));
    await scheduler.runTurns();
    expect([bench.feed.streamCount, bench.readersOpen]).toEqual([1, 0]);
    // The one that nobody began to read goes with the second heartbeat.
    await scheduler.advance(30_000);
    expect([bench.feed.streamCount, scheduler.timerCount]).toEqual([0, 0]);
  });

  it('says that it is alive where nothing happens', async () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    const bench = new FeedBench(scheduler);
    const listener = bench.listen();
    await listener.chunk();
    const beat = listener.chunk();
    await scheduler.advance(15_000);
    expect(await beat).toBe(':\n\n');
  });

  it('tells a stream nothing more once it is no longer allowed, be it behind or where nothing happens', async () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    const bench = new FeedBench(scheduler);
    const long = { fields: { text: 'x'.repeat(10_000) } };
    bench.happen(Array.from({ length: 100 }, () => long));
    let isAllowed = true;
    const told = bench.listen({ isAllowed: () => isAllowed });
    const behind = bench.listen({ isAllowed: () => isAllowed, lastPosition: 0 });
    const other = bench.listen();
    await told.chunk();
    const readings = [told, behind].map((listener) => listener.until(() => false));
    // One waits for its next slice, with a chunk begun.
    await expect.poll(() => behind.positions.length).toBeGreaterThan(60);
    const toldSoFar = [...behind.positions];
    isAllowed = false;
    bench.happen(one);
    await scheduler.advance(10);
    await Promise.all(readings);
    expect([told.positions, behind.positions]).toEqual([[], toldSoFar]);
    expect([bench.feed.streamCount, bench.readersOpen]).toEqual([1, 0]);
    const idle = bench.listen({ isAllowed: () => isAllowed });
    isAllowed = true;
    await idle.chunk();
    isAllowed = false;
    const ended = idle.until(() => false);
    await scheduler.advance(15_000);
    await ended;
    expect(bench.feed.streamCount).toBe(1);
    await other.cancel();
  });

  it('ends behind the last event at a stop, and does not wait for who takes nothing', async () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    const bench = new FeedBench(scheduler);
    const listener = bench.listen();
    const stuck = bench.listen();
    await listener.chunk();
    await stuck.chunk();
    bench.happen(many(3));
    let hasClosed = false;
    const closing = bench.feed.close().then(() => {
      hasClosed = true;
    });
    const ended = listener.until(() => false);
    await scheduler.runTurns();
    await ended;
    expect(listener.positions).toEqual([1, 2, 3]);
    expect(hasClosed).toBe(false);
    await scheduler.advance(1_000);
    await closing;
    expect(bench.feed.subscribe({ lastPosition: undefined, filter: {} })).toBeUndefined();
  });

  it('ends a stream that cannot go on, and says why in the log', async () => {
    const bench = new FeedBench(realScheduler);
    bench.happen(many(3));
    bench.beforeRead = () => {
      throw new Error('the disk failed');
    };
    const listener = bench.listen({ lastPosition: 0 });
    await listener.until(() => false);
    expect(listener.positions).toEqual([]);
    expect(bench.warnings).toHaveLength(1);
    expect([bench.feed.streamCount, bench.readersOpen]).toEqual([0, 0]);
  });

  it('describes an event once for all, and not at all where nobody wants it', async () => {
    const bench = new FeedBench(realScheduler);
    let described = 0;
    const counted = {
      event: 'Counted',
      get fields() {
        described += 1;
        return {};
      },
    };
    const picky = bench.listen({ filter: { events: ['Other'] } });
    bench.happen([counted, { event: 'Other' }]);
    await picky.until(upTo(2));
    expect([picky.positions, described]).toEqual([[2], 0]);
    const listeners = [bench.listen(), bench.listen()];
    for (const listener of listeners) await listener.chunk();
    bench.happen([counted]);
    for (const listener of listeners) await listener.until(upTo(3));
    expect(described).toBe(1);
  });
});
