/** What a collector sees of waiting, keys, counts, revocations and the rest, over real sockets. */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Grant } from '../protocol/frames.ts';
import { dataFolder, samplePool, startCoordinator } from './testing/coordinator-process.ts';
import { WireClient } from './testing/wire-client.ts';

const acquire = (fields: object = {}) => ({ type: 'acquire', resource: 7, ttl_ms: 60_000, ...fields });
const WAIT = { wait_ms: 60_000 };

async function serve(pool: readonly unknown[], settings: object = {}) {
  const { dir, poolFile } = await dataFolder(pool);
  const file = join(dirname(poolFile), 'config.json');
  await writeFile(file, JSON.stringify(settings));
  const start = () => startCoordinator(['--data-dir', dir, '--pool', poolFile, '--config', file]);
  const coordinator = await start();
  return { coordinator, port: coordinator.port, start };
}

async function grant(client: WireClient, fields: object = {}): Promise<Grant> {
  return (await client.request(acquire(fields), 'granted')) as unknown as Grant;
}

describe('waiting', () => {
  it('gives a released address to the collector served longest ago, in the order of arrival within one', async () => {
    const { port } = await serve(samplePool(1));
    const { client: holder } = await WireClient.hello(port);
    const { client: first } = await WireClient.hello(port);
    const { client: second } = await WireClient.hello(port);
    let held = await grant(holder);
    const queued = await first.request(acquire(WAIT), 'queued');
    expect(queued).toMatchObject({ position: 1 });
    const firstAgain = first.send(acquire(WAIT));
    await first.next((frame) => 'id' in frame && frame.id === firstAgain);
    expect(await second.request(acquire(WAIT), 'queued')).toMatchObject({ position: 2 });
    const order: string[] = [];
    for (const [name, client] of [
      ['first', first],
      ['second', second],
      ['first', first],
    ] as const) {
      await (order.length === 0 ? holder : order.at(-1) === 'first' ? first : second).request(
        { type: 'release', lease: held.lease },
        'released',
      );
      const granted = (await client.push('granted')) as unknown as Grant;
      expect(granted.waited_ms).toBeGreaterThanOrEqual(0);
      held = granted;
      order.push(name);
    }
  });

  it('answers a cancel without a lease while it waits, and releases what was granted meanwhile', async () => {
    const { port } = await serve(samplePool(1));
    const { client: holder } = await WireClient.hello(port);
    const { client } = await WireClient.hello(port);
    const held = await grant(holder);
    const request = client.send(acquire(WAIT));
    await client.push('queued');
    const cancelled = await client.request({ type: 'cancel', request }, 'cancelled');
    expect(cancelled.lease).toBeUndefined();
    const late = client.send(acquire(WAIT));
    await client.push('queued');
    await holder.request({ type: 'release', lease: held.lease }, 'released');
    const granted = (await client.push('granted')) as unknown as Grant & { id: number };
    expect(granted.id).toBe(late);
    expect(await client.request({ type: 'cancel', request: late }, 'cancelled')).toMatchObject({
      lease: granted.lease,
    });
    await grant(holder);
  });

  it('refuses with wait_timeout when the time is over, and grants again when an address expires', async () => {
    const { port } = await serve(samplePool(1));
    const { client: holder } = await WireClient.hello(port);
    const { client } = await WireClient.hello(port);
    await grant(holder, { ttl_ms: 600 });
    client.send(acquire({ wait_ms: 100 }));
    await client.push('queued');
    expect(await client.push('refused')).toMatchObject({ reason: 'wait_timeout', why: { states: { leased: 1 } } });
    client.send(acquire(WAIT));
    expect(((await client.push('granted')) as unknown as Grant).waited_ms).toBeGreaterThan(0);
  });

  it('keeps waits over a restart, and lists them when the session resumes', async () => {
    const { coordinator, port, start } = await serve(samplePool(1));
    const { client: holder, welcome: holderWelcome } = await WireClient.hello(port, { resume_window_ms: 60_000 });
    const { client, welcome } = await WireClient.hello(port, { resume_window_ms: 60_000 });
    const held = await grant(holder);
    const request = client.send(acquire({ ...WAIT, key: 'k' }));
    await client.push('queued');
    await coordinator.kill('SIGKILL');
    const { port: newPort } = await start();
    const resume = ({ session, secret }: { session: string; secret: string }) => ({
      resume_window_ms: 60_000,
      resume: { session, secret },
    });
    const { client: back, welcome: again } = await WireClient.hello(newPort, resume(welcome));
    expect(again).toMatchObject({ resumed: true, waiting: [{ request, key: 'k', position: 1 }] });
    const { client: holderBack } = await WireClient.hello(newPort, resume(holderWelcome));
    await holderBack.request({ type: 'release', lease: held.lease }, 'released');
    expect(await back.push('granted')).toMatchObject({ id: request });
    const repeated = await back.request(acquire({ ...WAIT, key: 'k' }), 'granted');
    expect(repeated).toMatchObject({ resource: 7 });
    expect(await back.request(acquire({ ...WAIT, key: 'k', ttl_ms: 1 }), 'error')).toMatchObject({
      code: 'key_reused',
    });
  });
});

describe('count', () => {
  it('grants all or nothing, and collects for the one that waits', async () => {
    const { port } = await serve(samplePool(3));
    const { client: holder } = await WireClient.hello(port);
    const { client } = await WireClient.hello(port);
    const held = [await grant(holder), await grant(holder)];
    expect(await client.request(acquire({ count: 2 }), 'refused')).toMatchObject({ reason: 'none_available' });
    client.send(acquire({ ...WAIT, count: 3 }));
    await client.push('queued');
    expect(await holder.request(acquire(), 'refused')).toMatchObject({ why: { states: { leased: 2, reserved: 1 } } });
    for (const { lease } of held) await holder.request({ type: 'release', lease }, 'released');
    const granted = (await client.push('granted')) as unknown as { leases: Grant[] };
    expect(new Set(granted.leases.map(({ address }) => address.address)).size).toBe(3);
  });
});

describe('refusals', () => {
  it('say which part of the condition is in the way, and explain says the same without effects', async () => {
    const { port } = await serve(samplePool(4, [7], ['US', 'CA']));
    const { client } = await WireClient.hello(port);
    const where = { country: { eq: 'CA' }, rpw: { gt: 1 }, labels: { tier: { exists: false } } };
    await grant(client, { where });
    const refused = await client.request(acquire({ where }), 'refused');
    expect(refused).toMatchObject({ why: { states: { leased: 1, free: 0 }, excluded: 3, relax: 'country' } });
    const explained = await client.request({ ...acquire({ where }), type: 'explain' }, 'explained');
    expect(explained).toMatchObject({ would: 'refuse', why: { relax: 'country' } });
    expect(await client.request({ ...acquire(WAIT), type: 'explain' }, 'explained')).toMatchObject({ would: 'grant' });
  });
});

describe('policies', () => {
  it('let a pair rest after its lease, and quarantine it after a ban', async () => {
    const { port } = await serve(samplePool(1), { resource_defaults: { cooldown_ms: 300, ban_ms: 60_000 } });
    const { client } = await WireClient.hello(port);
    const { lease } = await grant(client);
    await client.request({ type: 'release', lease }, 'released');
    expect(await client.request(acquire(), 'refused')).toMatchObject({ why: { states: { cooling: 1 } } });
    client.send(acquire(WAIT));
    await client.push('queued');
    const next = (await client.push('granted')) as unknown as Grant;
    await client.request({ type: 'release', lease: next.lease, outcome: 'banned' }, 'released');
    expect(await client.request(acquire(), 'refused')).toMatchObject({ why: { states: { quarantined: 1 } } });
  });
});
