import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_METRICS } from '../metrics/metrics.ts';
import { EventClient } from '../testing/event-client.ts';
import { FeedBench } from '../testing/feed-bench.ts';
import { realScheduler } from '../testing/real-scheduler.ts';
import { openAdmin } from './admin-server.ts';
import { EVENT_STREAMS_MAX } from './event-feed.ts';
import { eventRoutes } from './event-routes.ts';

const IDLE_TIMEOUT_MS = 500;
/** One event of some 10 KB. */
const LONG = { fields: { text: 'x'.repeat(10_000) } };
/** Together more than the kernel keeps for a socket that nobody reads. */
const LONGS = 4_000;

async function serve(idleTimeoutMs = 60_000) {
  const bench = new FeedBench(realScheduler);
  const log = { debug: () => {}, info: () => {}, error: () => {} };
  const { port, close } = await openAdmin({
    host: '127.0.0.1',
    port: 0,
    early: eventRoutes(bench.feed),
    clock: { nowMs: () => 0, utcMs: () => 0 },
    tls: undefined,
    connections: { connectionsMax: 1_000, connectionsPerIpMax: 1_000, peerOf: (ip) => ip },
    metrics: NO_METRICS,
    idleTimeoutMs,
    log,
  });
  onTestFinished(close);
  return { bench, port };
}

/** One at a time, in turns of the loop, so that the sockets come to take them. */
async function happenLongs(bench: FeedBench): Promise<void> {
  for (let count = 0; count < LONGS; count += 1) {
    bench.happen([LONG], 10_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Resolves once the feed has so many streams; each of them is waited for by turns of the loop. */
async function untilStreams(bench: FeedBench, count: number): Promise<void> {
  await expect.poll(() => bench.feed.streamCount, { timeout: 20_000 }).toBe(count);
}

describe('events over real sockets', () => {
  it('tells a reader that pauses everything in the end, and another one everything meanwhile', async () => {
    const { bench, port } = await serve();
    const slow = await EventClient.open(port);
    const fast = await EventClient.open(port);
    await slow.until((events) => events.length === 1);
    slow.pause();
    let reads = 0;
    bench.beforeRead = () => {
      reads += 1;
    };
    await happenLongs(bench);
    await fast.until((events) => events.length === LONGS + 1);
    slow.resume();
    await slow.until((events) => events.length === LONGS + 1);
    // What its queue did not hold came from the files.
    expect(reads).toBeGreaterThan(0);
    for (const { events } of [slow, fast]) {
      expect(events.map(({ id }) => id)).toEqual(Array.from({ length: LONGS + 1 }, (_, index) => index));
    }
    await Promise.all([slow.close(), fast.close()]);
    await untilStreams(bench, 0);
    expect(bench.readersOpen).toBe(0);
  });

  it('cuts off who takes nothing, and goes on for who comes back where that one was', async () => {
    const { bench, port } = await serve(IDLE_TIMEOUT_MS);
    const stuck = await EventClient.open(port);
    await stuck.until((events) => events.length === 1);
    stuck.pause();
    await happenLongs(bench);
    await untilStreams(bench, 0);
    stuck.resume();
    await stuck.ended;
    const seen = stuck.lastId!;
    expect(seen).toBeLessThan(LONGS);
    const back = await EventClient.open(port, '/v1/events', { 'Last-Event-ID': String(seen) });
    await back.until((events) => events.at(-1)?.id === LONGS);
    expect(back.events[0]!.id).toBe(seen + 1);
    await back.close();
  });

  it('takes the position from the query too, the header first, and refuses what is none', async () => {
    const { bench, port } = await serve();
    bench.happen([{}, {}, {}]);
    const first = async (path: string, headers: Record<string, string> = {}) => {
      const client = await EventClient.open(port, path, headers);
      const [event] = await client.until((events) => events.length > 0);
      await client.close();
      return event!.id;
    };
    expect(await first('/v1/events?last_event_id=1')).toBe(2);
    expect(await first('/v1/events?last_event_id=0', { 'last-event-id': '2' })).toBe(3);
    for (const path of ['?last_event_id=x', '?last_event_id=-1', '?resource=0', '?since=3']) {
      const response = await fetch(`http://127.0.0.1:${port}/v1/events${path}`);
      expect([path, response.status]).toEqual([path, 422]);
    }
  });

  it('has so many streams at a time, none for HEAD, and gives the place of one that goes to the next', async () => {
    const { bench, port } = await serve();
    const url = `http://127.0.0.1:${port}/v1/events`;
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type'), bench.feed.streamCount]).toEqual([
      200,
      'text/event-stream',
      0,
    ]);
    const clients = await Promise.all(Array.from({ length: EVENT_STREAMS_MAX }, () => EventClient.open(port)));
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await refused.json()).toMatchObject({ code: 503, reason: 'too_many' });
    await clients[0]!.close();
    await untilStreams(bench, EVENT_STREAMS_MAX - 1);
    const next = await EventClient.open(port);
    bench.happen([{}]);
    await Promise.all([...clients.slice(1), next].map((client) => client.until((events) => events.length === 2)));
    await Promise.all([...clients.slice(1), next].map((client) => client.close()));
    await untilStreams(bench, 0);
  });

  it('keeps no place for a client that is gone before it was answered', async () => {
    const { bench, port } = await serve();
    for (let count = 0; count < 20; count += 1) {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write('GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
      socket.destroy();
    }
    // It is served behind them all.
    const client = await EventClient.open(port);
    await client.until((events) => events.length === 1);
    await untilStreams(bench, 1);
    await client.close();
  });

  it('ends in order when the feed closes', async () => {
    const { bench, port } = await serve();
    const client = await EventClient.open(port);
    await client.until((events) => events.length === 1);
    bench.happen([{}, {}]);
    await bench.feed.close();
    await client.ended;
    expect(client.events.map(({ id }) => id)).toEqual([0, 1, 2]);
    expect(client.text.endsWith('\n\n')).toBe(true);
  });
});
