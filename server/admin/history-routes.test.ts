import { describe, expect, it, onTestFinished } from 'vitest';
import { NO_METRICS } from '../metrics/metrics.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { openAdmin } from './admin-server.ts';
import { type HistoryOptions, historyRoutes, type PastQuestion } from './history-routes.ts';

/** A port where looking back takes until it is called off. */
async function serve() {
  const scheduler = new VirtualScheduler(new VirtualClock());
  const begun: PastQuestion[] = [];
  let calledOff = 0;
  const lookBack: HistoryOptions['lookBack'] = (question, signal) =>
    new Promise((_, reject) => {
      begun.push(question);
      signal.addEventListener('abort', () => {
        calledOff += 1;
        reject(new Error('terminated'));
      });
    });
  const history = historyRoutes({ lookBack, position: () => 41, utcMs: () => Date.UTC(2026, 0, 5), scheduler });
  const { port, close } = await openAdmin({
    host: '127.0.0.1',
    port: 0,
    early: history.operations,
    clock: { nowMs: () => 0, utcMs: () => 0 },
    tls: undefined,
    connections: { connectionsMax: 100, connectionsPerIpMax: 100, peerOf: (ip) => ip },
    metrics: NO_METRICS,
    log: { debug: () => {}, info: () => {}, error: () => {} },
  });
  onTestFinished(close);
  const url = `http://127.0.0.1:${port}/v1/history?at=-10m&resource=7`;
  return { history, scheduler, begun, url, calledOff: () => calledOff };
}

describe('looking back over a real socket', () => {
  it('is told how far it may look, and is called off where the client goes away', async () => {
    const { begun, url, calledOff } = await serve();
    const gone = new AbortController();
    const asking = fetch(url, { signal: gone.signal }).catch(() => undefined);
    await expect
      .poll(() => begun)
      .toEqual([
        {
          utcMs: Date.UTC(2026, 0, 4, 23, 50),
          filter: { resource: 7, address: undefined, after: undefined, limit: 1_000 },
          upToPosition: 41,
        },
      ]);
    gone.abort();
    await asking;
    await expect.poll(calledOff).toBe(1);
  });

  it('is called off after a minute, and answered 504', async () => {
    const { begun, scheduler, url, calledOff } = await serve();
    const asking = fetch(url);
    await expect.poll(() => begun.length).toBe(1);
    await scheduler.advance(60_000);
    const response = await asking;
    expect([response.status, calledOff()]).toEqual([504, 1]);
    expect(await response.json()).toMatchObject({ code: 504, reason: 'too_long' });
  });

  it('is called off when the coordinator stops, and answered 503', async () => {
    const { history, begun, url } = await serve();
    const asking = fetch(url);
    await expect.poll(() => begun.length).toBe(1);
    history.close();
    const response = await asking;
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10']);
  });
});
