import { describe, expect, it } from 'vitest';
import { jsonLines, leasehold } from './testing/command-line.ts';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { EventClient, type SentEvent } from './testing/event-client.ts';
import { PLANTED } from './testing/lease-folders.ts';
import { WireClient } from './testing/wire-client.ts';

const acquire = (resource = 7) => ({ type: 'acquire', resource, ttl_ms: 60_000 });
/** A new segment and a snapshot every second. */
const SMALL = ['--segment-bytes', '4194304', '--snapshot-age-ms', '1000'];
const named = (name: string) => (events: readonly SentEvent[]) => events.some(({ event }) => event === name);

async function served(pool: readonly unknown[] = samplePool(20), flags: readonly string[] = []) {
  const { dir, poolFile } = await dataFolder(pool);
  const args = ['--data-dir', dir, '--pool', poolFile, ...flags];
  return { dir, start: (env: NodeJS.ProcessEnv = {}) => startCoordinator(args, env) };
}

/** The journal's own events, without the stream's. */
function ofJournal(events: readonly SentEvent[]): SentEvent[] {
  return events.filter(({ event }) => !['hello', 'gap', 'reset'].includes(event));
}

/** Acquires and releases, a few at a time, until it is told to stop or the coordinator is gone. */
function startLoad(client: WireClient): { stop: () => Promise<void> } {
  let isStopped = false;
  const cycle = async () => {
    while (!isStopped) {
      const { lease } = (await client.request(acquire(), 'granted')) as { lease: number };
      await client.request({ type: 'release', lease }, 'released');
    }
  };
  const cycles = Promise.all(Array.from({ length: 5 }, cycle)).then(
    () => {},
    () => {},
  );
  return {
    stop: () => {
      isStopped = true;
      return cycles;
    },
  };
}

describe('the stream of events', () => {
  it('tells a grant, a release and a revocation as the journal has them, and ends with the coordinator', async () => {
    // No other address could come in the place of the one that is revoked.
    const { dir, start } = await served(samplePool(1));
    const coordinator = await start();
    const stream = await EventClient.open(coordinator.adminPort);
    const [hello] = await stream.until((events) => events.length === 1);
    expect(hello).toMatchObject({ event: 'hello', data: { epoch: 1 } });
    const { client, welcome } = await WireClient.hello(coordinator.port);
    const released = (await client.request(acquire(), 'granted')) as { lease: number };
    await client.request({ type: 'release', lease: released.lease }, 'released');
    const revoked = (await client.request(acquire(), 'granted')) as { lease: number };
    const url = `http://127.0.0.1:${coordinator.adminPort}/v1/leases/${revoked.lease}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(200);
    await stream.until((events) => events.filter(({ event }) => event === 'LeaseEnded').length === 2);
    const holder = { kind: 'session', session: welcome.session };
    const ofLeases = stream.events.filter(({ event }) => event.startsWith('Lease'));
    expect(ofLeases.map(({ event, data }) => [event, data['fields']])).toMatchObject([
      ['LeaseGranted', { lease: released.lease, resource: 7, holder }],
      ['LeaseEnded', { lease: released.lease, end: 'released' }],
      ['LeaseGranted', { lease: revoked.lease, holder }],
      ['LeaseEnded', { lease: revoked.lease, end: 'revoked', reason: 'operator' }],
    ]);
    await client.close();
    await stream.until(named('SessionEnded'));
    expect((await coordinator.kill('SIGTERM')).code).toBe(0);
    await stream.ended;
    const told = ofJournal(stream.events);
    const dump = jsonLines(await leasehold('journal', 'dump', dir, '--from', String(hello!.id + 1)));
    expect(told.map(({ data }) => data)).toEqual(dump.filter(({ event }) => event !== 'Stopped'));
    expect(told.map(({ id, event }) => [id, event])).toEqual(told.map(({ data }) => [data['position'], data['event']]));
  });

  it('tells every event exactly once across kill -9 and a restart, to a client that says what it saw last', async () => {
    const { dir, start } = await served();
    const told: SentEvent[] = [];
    let lastId = '0';
    for (let run = 0; run < 3; run += 1) {
      const coordinator = await start();
      const stream = await EventClient.open(coordinator.adminPort, '/v1/events', { 'Last-Event-ID': lastId });
      const { client } = await WireClient.hello(coordinator.port);
      const load = startLoad(client);
      await stream.until((events) => events.filter(({ event }) => event === 'LeaseEnded').length > 300);
      if (run < 2) await coordinator.kill('SIGKILL');
      await load.stop();
      if (run === 2) {
        await client.close();
        await stream.until(named('SessionEnded'));
        await coordinator.kill('SIGTERM');
      }
      await stream.ended;
      told.push(...stream.events);
      lastId = String(stream.lastId);
    }
    const dump = jsonLines(await leasehold('journal', 'dump', dir));
    expect(dump.at(-1)).toMatchObject({ event: 'Stopped' });
    expect(told.map(({ data }) => data)).toEqual(dump.slice(0, -1));
  }, 120_000);

  it('goes on over segments and snapshots that come and go while it catches up', async () => {
    const { start } = await served(samplePool(20), SMALL);
    const coordinator = await start();
    const live = await EventClient.open(coordinator.adminPort);
    const { client } = await WireClient.hello(coordinator.port);
    const load = startLoad(client);
    const gaps: SentEvent[] = [];
    // Each begins with the oldest that is kept, until that isn't the beginning any more.
    while (gaps.length < 3) {
      const stream = await EventClient.open(coordinator.adminPort, '/v1/events', { 'Last-Event-ID': '0' });
      const now = live.events.at(-1)!.id;
      await stream.until((events) => (events.at(-1)?.id ?? 0) > now);
      const [first] = stream.events;
      if (first!.event === 'gap') gaps.push(first!);
      await stream.close();
      for (const [index, { id, event, data }] of stream.events.entries()) {
        if (event === 'gap') expect(data['from']).toBe(id + 1);
        else expect(id).toBe(index === 0 ? 1 : stream.events[index - 1]!.id + 1);
      }
    }
    await load.stop();
    const ids = live.events.map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => ids[0]! + index));
    await live.close();
  }, 240_000);

  it('tells of one resource what becomes of its leases', async () => {
    const { start } = await served(samplePool(20, [7, 8]));
    const coordinator = await start();
    const { client } = await WireClient.hello(coordinator.port);
    const before = (await client.request(acquire(7), 'granted')) as { lease: number };
    const stream = await EventClient.open(coordinator.adminPort, '/v1/events?resource=7&event=LeaseEnded,LeaseGranted');
    await stream.until(named('hello'));
    const other = (await client.request(acquire(8), 'granted')) as { lease: number };
    const after = (await client.request(acquire(7), 'granted')) as { lease: number };
    for (const { lease } of [other, before, after]) await client.request({ type: 'release', lease }, 'released');
    await stream.until((events) => events.filter(({ event }) => event === 'LeaseEnded').length === 2);
    expect(
      ofJournal(stream.events).map(({ event, data }) => [event, (data['fields'] as { lease: number }).lease]),
    ).toEqual([
      ['LeaseGranted', after.lease],
      ['LeaseEnded', before.lease],
      ['LeaseEnded', after.lease],
    ]);
    await stream.close();
  });

  it('never shows a credential or a secret, and nor does what is told of the past', async () => {
    const labels = { owner: 'team', login: `alice:${PLANTED}@10.3.0.1`, api_key: PLANTED };
    const pool = [7, 7, 7, 7, 8].map((resource, index) => ({
      address: `http://user:${PLANTED}@10.0.0.${index + 1}:8080`,
      country: 'FR',
      rpw: 0,
      resource_ids: [resource],
      labels,
      upstream: { via: [`socks5://bob:${PLANTED}@10.1.0.2:1080`] },
    }));
    const { dir, start } = await served(pool);
    const key = `${PLANTED}-of-the-operator`;
    const coordinator = await start({ LEASEHOLD_ADMIN_KEY: key });
    const headers = { Authorization: `Bearer ${key}` };
    const { client, welcome } = await WireClient.hello(coordinator.port);
    for (let count = 0; count < 4; count += 1) await client.request(acquire(), 'granted');
    const asked = await fetch(`http://127.0.0.1:${coordinator.adminPort}/allocate/8/60`, { method: 'POST', headers });
    const { secret } = (await asked.json()) as { secret?: string };
    const stream = await EventClient.open(coordinator.adminPort, '/v1/events', { ...headers, 'Last-Event-ID': '0' });
    await stream.until((events) => events.filter(({ event }) => event === 'LeaseGranted').length === 5);
    const past = await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/history?at=-1ms`, { headers });
    const history = await past.text();
    expect(JSON.parse(history)).toMatchObject({ leases: Array.from({ length: 5 }, () => ({ end: null })) });
    await client.close();
    await coordinator.kill('SIGTERM');
    await stream.ended;
    // What is planted is in the journal, or nothing was looked for.
    expect((await leasehold('journal', 'dump', dir)).stdout).toContain('***');
    for (const text of [stream.text, history, coordinator.output.join('\n')]) {
      for (const hidden of [PLANTED, welcome.secret, secret].filter((each) => each !== undefined)) {
        expect(text).not.toContain(hidden);
      }
    }
    expect(stream.text).toContain('http://***@10.0.0.1:8080');
  });
});
