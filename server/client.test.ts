import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Client, type ConnectOptions, connect, RefusedError } from '../protocol/client.ts';
import { dataFolder, reusablePort, samplePool, startCoordinator } from './testing/coordinator-process.ts';

async function serve(transport: string, pool = samplePool(2)) {
  const { dir, poolFile } = await dataFolder(pool);
  const flags = [
    '--data-dir',
    dir,
    '--pool',
    poolFile,
    '--transport',
    transport,
    '--heartbeat-ms',
    '1000',
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
    const { coordinator, port, restart } = await serve(transport);
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
    const short = await client.acquire({ resource: 7, ttlMs: 300 });
    expect(await short.ended).toEqual({ end: 'expired' });
  });

  it('keeps a short lease for as long as it is asked to', async () => {
    const { port } = await serve(transport);
    const client = await open(port);
    const lease = await client.acquire({ resource: 7, ttlMs: 400, autoRenew: true });
    let ended = false;
    void lease.ended.then(() => {
      ended = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(ended).toBe(false);
    await lease.release();
  });
});
