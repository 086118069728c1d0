import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type AcquireOptions,
  type Client,
  type ConnectOptions,
  connect,
  type LeaseEvents,
  RefusedError,
} from '../protocol/client.ts';
import { dataFolder, reusablePort, samplePool, startCoordinator } from './testing/coordinator-process.ts';

/** `heartbeatMs`: twice as long a client counts on a coordinator that says nothing; a start may take so long. */
async function serve(transport: string, pool = samplePool(2), heartbeatMs = 1_000) {
  const { dir, poolFile } = await dataFolder(pool);
  const flags = [
    '--data-dir',
    dir,
    '--pool',
    poolFile,
    '--transport',
    transport,
    '--heartbeat-ms',
    `${heartbeatMs}`,
    '--drain-ms',
    '100',
  ];
  const port = await reusablePort();
  const start = () => startCoordinator([...flags, '--port', String(port)]);
  return { coordinator: await start(), port, restart: start };
}

async function open(port: number, options: Partial<ConnectOptions> = {}): Promise<Client> {
  const client = await connect({ url: `ws://127.0.0.1:${port}`, reconnect: { minMs: 50, maxMs: 300 }, ...options });
  onTestFinished(() => client.close());
  return client;
}

function resumed(client: Client): Promise<void> {
  return new Promise((resolve) => {
    client.on('resumed', () => resolve());
  });
}

/** An acquire that may wait, and the place in line that it is told first. */
function inLine(client: Client, options: Partial<AcquireOptions> = {}) {
  let told!: (position: number) => void;
  const place = new Promise<number>((resolve) => {
    told = resolve;
  });
  const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, waitMs: 60_000, onQueued: told, ...options });
  // So that a test that fails for another reason is not the second failure.
  acquiring.catch(() => {});
  return { acquiring, place };
}

/** Of those that restart the coordinator. */
const RESTART_HEARTBEAT_MS = 10_000;

/** A session that is kept, however slow the machine. */
const PATIENT = { resumeWindowMs: 60_000, requestTimeoutMs: 60_000 };

/** A way to the coordinator on which its answers can be lost, though what it is sent arrives. */
async function deafProxy(coordinatorPort: number) {
  let isDeaf = false;
  const server = createServer((near) => {
    const far = connectSocket(coordinatorPort, '127.0.0.1');
    near.pipe(far);
    far.on('data', (data) => {
      if (!isDeaf) near.write(data);
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => other.destroy());
    }
    onTestFinished(() => void near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    loseAnswers() {
      isDeaf = true;
    },
    passAnswers() {
      isDeaf = false;
    },
  };
}

/** The client library against the real coordinator; what it does on a scripted one is tested beside it. */
describe.each(['uws', 'ws'])('the client library and the coordinator over %s', (transport) => {
  it.each(['msgpack', 'json'] as const)('acquires, renews, reports and releases in %s', async (encoding) => {
    const { port } = await serve(transport, samplePool(1));
    const client = await open(port, { encoding });
    {
      await using lease = await client.acquire({ resource: 7, ttlMs: 5_000, where: { country: { eq: 'us' } } });
      expect(lease.address.address).toBe('10.0.0.1:8080');
      await lease.renew(10_000);
      expect(lease.remainingMs()).toBeGreaterThan(9_000);
      await lease.report({ outcome: 'ok', requests: 3 });
      await expect(client.acquire({ resource: 7, ttlMs: 1_000 })).rejects.toBeInstanceOf(RefusedError);
    }
    const again = await client.acquire({ resource: 7, ttlMs: 1_000 });
    expect(again.address.rpw).toBe(4);
  });

  it.each(['SIGKILL', 'SIGTERM'] as const)('keeps a lease over %s and a restart', async (signal) => {
    const { coordinator, port, restart } = await serve(transport, samplePool(2), RESTART_HEARTBEAT_MS);
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 30_000 });
    const back = resumed(client);
    await coordinator.kill(signal);
    await restart();
    await back;
    expect(lease.live).toBe(true);
    expect([...client.leases.keys()]).toEqual([lease.token]);
    await lease.renew();
    const next = await client.acquire({ resource: 7, ttlMs: 1_000 });
    expect(next.token).toBeGreaterThan(lease.token);
    expect(next.address.address).not.toBe(lease.address.address);
    await lease.release();
    expect(lease.signal.aborted).toBe(true);
  });

  it('is told of a revocation and of the end of its lease', async () => {
    const { coordinator, port } = await serve(transport);
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 30_000 });
    const aborted = once(lease.signal, 'abort');
    await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/leases/${lease.token}`, { method: 'DELETE' });
    await aborted;
    expect(await lease.ended).toEqual({ end: 'revoked', reason: 'operator' });
    const short = await client.acquire({ resource: 7, ttlMs: 1_000 });
    expect(await short.ended).toEqual({ end: 'expired' });
  });

  it('keeps a lease for longer than its TTL, for as long as it is asked to', async () => {
    const { port } = await serve(transport);
    const client = await open(port);
    // A renewal may take half of it, as on a disk that stalls.
    const lease = await client.acquire({ resource: 7, ttlMs: 2_000, autoRenew: true });
    let ending: unknown = 'none';
    void lease.ended.then((how) => {
      ending = how;
    });
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(ending).toBe('none');
    await lease.release();
  });
});

describe('the client library and the coordinator', () => {
  const transport = 'auto';

  it('waits in line until an address comes free, and is told its place', async () => {
    const { port } = await serve(transport, samplePool(1));
    const holder = await open(port);
    const waiter = await open(port);
    const lease = await holder.acquire({ resource: 7, ttlMs: 30_000 });
    const { acquiring, place } = inLine(waiter);
    expect(await place).toBe(1);
    await lease.release();
    const next = await acquiring;
    expect(next.token).toBeGreaterThan(lease.token);
    expect(next.remainingMs()).toBeLessThanOrEqual(30_000);
  });

  it('is refused when its time in line is over, with why', async () => {
    const { port } = await serve(transport, samplePool(1));
    const client = await open(port);
    await client.acquire({ resource: 7, ttlMs: 30_000 });
    const acquiring = client.acquire({ resource: 7, ttlMs: 30_000, waitMs: 50 });
    await expect(acquiring).rejects.toMatchObject({ reason: 'wait_timeout', why: { states: { leased: 1 } } });
  });

  it('leaves the line when it is given up, and nothing behind', async () => {
    const { coordinator, port } = await serve(transport, samplePool(1));
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 30_000 });
    const giveUp = new AbortController();
    const { acquiring, place } = inLine(client, { signal: giveUp.signal });
    await place;
    giveUp.abort();
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    await lease.release();
    const listed = await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/leases`);
    expect(await listed.json()).toMatchObject({ leases: [] });
  });

  it('holds many or none', async () => {
    const { port } = await serve(transport, samplePool(3));
    const client = await open(port);
    const leases = await client.acquireMany({ resource: 7, ttlMs: 30_000, count: 2 });
    expect(new Set(leases.map(({ address }) => address.address)).size).toBe(2);
    const further = client.acquireMany({ resource: 7, ttlMs: 30_000, count: 2 });
    await expect(further).rejects.toMatchObject({ reason: 'none_available', why: { states: { leased: 2, free: 1 } } });
    expect(client.leases.size).toBe(2);
  });

  it('is explained what it would get', async () => {
    const { port } = await serve(transport, samplePool(1));
    const client = await open(port);
    const asked = { resource: 7, ttlMs: 30_000 };
    expect(await client.explain(asked)).toMatchObject({ would: 'grant', why: { states: { free: 1 } } });
    await client.acquire(asked);
    expect(await client.explain({ ...asked, waitMs: 1 })).toMatchObject({ would: 'queue' });
    expect(await client.explain(asked)).toMatchObject({ would: 'refuse', why: { states: { leased: 1 } } });
  });

  it('gets the same lease by the same key, and none by the key of another request', async () => {
    const { port } = await serve(transport);
    const client = await open(port);
    const asked = { resource: 7, ttlMs: 30_000, key: 'k' };
    const lease = await client.acquire(asked);
    expect(await client.acquire(asked)).toBe(lease);
    await expect(client.acquire({ ...asked, ttlMs: 1_000 })).rejects.toMatchObject({ code: 'key_reused' });
    await lease.release();
    await expect(client.acquire(asked)).rejects.toMatchObject({ code: 'lease_lost' });
  });

  it.each([{}, { key: 'k' }])('keeps its place over a crash and a restart, with %j', async (keyed) => {
    const { coordinator, port, restart } = await serve(transport, samplePool(1), RESTART_HEARTBEAT_MS);
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 30_000 });
    const { acquiring, place } = inLine(client, keyed);
    await place;
    const back = resumed(client);
    await coordinator.kill('SIGKILL');
    await restart();
    await back;
    const behind = inLine(client);
    expect(await behind.place).toBe(2);
    await lease.release();
    const next = await acquiring;
    expect([...client.leases.values()]).toEqual([next]);
    await next.release();
    expect((await behind.acquiring).token).toBeGreaterThan(next.token);
  });

  it('counts a hundred at once as exactly a hundred, over several sessions and a crash', async () => {
    const { coordinator, port, restart } = await serve(transport, samplePool(2), RESTART_HEARTBEAT_MS);
    const clients = await Promise.all(Array.from({ length: 4 }, () => open(port, PATIENT)));
    const counting = clients.flatMap((client) =>
      Array.from({ length: 25 }, () => client.count({ counter: 'pages', by: 1 })),
    );
    await Promise.race(counting);
    await coordinator.kill('SIGKILL');
    await restart();
    const values = await Promise.all(counting);
    expect(values.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(await clients[0]!.count({ counter: 'pages', by: 0 })).toBe(100);
  });

  it('counts once what was made durable, but whose answer was lost in a crash', async () => {
    const { coordinator, port, restart } = await serve(transport, samplePool(2), RESTART_HEARTBEAT_MS);
    const lossy = await deafProxy(port);
    const client = await open(lossy.port, PATIENT);
    const onlooker = await open(port, PATIENT);
    await client.count({ counter: 'pages', by: 1 });
    lossy.loseAnswers();
    const counting = client.count({ counter: 'pages', by: 10 });
    await expect.poll(() => onlooker.count({ counter: 'pages', by: 0 })).toBe(11);
    await coordinator.kill('SIGKILL');
    lossy.passAnswers();
    await restart();
    expect(await onlooker.count({ counter: 'pages', by: 100 })).toBe(111);
    expect(await counting).toBe(11);
    expect(await client.count({ counter: 'pages', by: 0 })).toBe(111);
  });

  it('gives the same value by the same key over a restart, and none by the key of another count', async () => {
    const { coordinator, port, restart } = await serve(transport, samplePool(2), RESTART_HEARTBEAT_MS);
    const client = await open(port);
    const asked = { counter: 'pages', by: 2, key: 'k' };
    expect(await client.count(asked)).toBe(2);
    expect(await client.count({ counter: 'pages', by: 5 })).toBe(7);
    const back = resumed(client);
    await coordinator.kill('SIGTERM');
    await restart();
    await back;
    expect(await client.count(asked)).toBe(2);
    await expect(client.count({ ...asked, by: 3 })).rejects.toMatchObject({ code: 'key_reused', path: 'key' });
    expect(await client.count({ counter: 'pages', by: 0 })).toBe(7);
  });

  it('moves to a substitute where its lease is to be revoked', async () => {
    const { coordinator, port } = await serve(transport);
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 30_000 });
    const revoking = new Promise<LeaseEvents['revoking']>((resolve) => lease.on('revoking', resolve));
    const url = `http://127.0.0.1:${coordinator.adminPort}/v1/leases/${lease.token}?deadline_ms=600`;
    await fetch(url, { method: 'DELETE' });
    const { reason, substitute } = await revoking;
    expect(reason).toBe('operator');
    expect(substitute).toMatchObject({ live: true });
    expect(substitute!.address.address).not.toBe(lease.address.address);
    expect(lease.live).toBe(true);
    expect(await lease.ended).toEqual({ end: 'revoked', reason: 'operator' });
    expect([...client.leases.keys()]).toEqual([substitute!.token]);
  });
});
