/** Probes of pool addresses, end to end: real proxies that stop and start, while collectors hold leases on them. */
import { writeFile } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { Server as ProxyServer } from 'proxy-chain';
import { expect, it, onTestFinished } from 'vitest';
import type { Grant } from '../protocol/frames.ts';
import { makeCertificate } from './testing/certificates.ts';
import { dataFolder, reusablePort, startCoordinator } from './testing/coordinator-process.ts';
import { EventClient } from './testing/event-client.ts';
import { openSocksServer } from './testing/socks-server.ts';
import { WireClient } from './testing/wire-client.ts';

interface Proxy {
  readonly record: object;
  readonly host: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Each with credentials that nothing may show. */
async function proxy(kind: 'http' | 'socks5'): Promise<Proxy> {
  const port = await reusablePort();
  const host = `127.0.0.1:${port}`;
  let running: { close(): Promise<unknown> } | undefined;
  const stop = async () => {
    await running?.close();
    running = undefined;
  };
  onTestFinished(stop);
  const self: Proxy = {
    record: { address: `${kind}://user:hunter2@${host}`, country: 'US', resource_ids: [7, 8] },
    host,
    start: async () => {
      if (kind === 'socks5') running = await openSocksServer({ user: 'user', password: 'hunter2', port });
      else running = await httpProxy(port);
    },
    stop,
  };
  await self.start();
  return self;
}

async function httpProxy(port: number) {
  const server = new ProxyServer({
    port,
    host: '127.0.0.1',
    prepareRequestFunction: ({ username, password }) => ({
      requestAuthentication: username !== 'user' || password !== 'hunter2',
    }),
  });
  await server.listen();
  return { close: () => server.close(true) };
}

/** A page over TLS whose certificate the coordinator is told to trust, so that every probe needs a tunnel. */
async function securePage(folder: string) {
  const { cert, key } = makeCertificate();
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, cert);
  const server = https.createServer({ cert, key }, (_, response) => response.writeHead(204).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://localhost:${(server.address() as AddressInfo).port}/health`, caFile };
}

const PROBES = { interval_ms: 200, timeout_ms: 5_000, up: 2, down: 2 };

async function setUp(kinds: readonly ('http' | 'socks5')[]) {
  const proxies = await Promise.all(kinds.map(proxy));
  const { dir, poolFile } = await dataFolder(proxies.map(({ record }) => record));
  const folder = dirname(poolFile);
  const { url, caFile } = await securePage(folder);
  const file = join(folder, 'config.json');
  const start = async (addressHealth: object) => {
    const settings = { address_health: addressHealth, resources: { 7: { revoke_deadline_ms: 60_000 } } };
    await writeFile(file, JSON.stringify(settings));
    return startCoordinator(['--data-dir', dir, '--pool', poolFile, '--config', file], { NODE_EXTRA_CA_CERTS: caFile });
  };
  const proxyOf = (address: { address: string }) => proxies.find(({ host }) => address.address.endsWith(host))!;
  return { proxies, start, proxyOf, probes: { ...PROBES, type: 'http', url, expect: [204] } };
}

async function lease(client: WireClient, resource: number): Promise<Grant> {
  return (await client.request({ type: 'acquire', resource, ttl_ms: 120_000 }, 'granted')) as unknown as Grant;
}

async function healthOf(adminPort: number): Promise<Record<string, boolean>> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/v1/addresses`);
  const { addresses } = (await answer.json()) as { addresses: { address: string; healthy: boolean }[] };
  return Object.fromEntries(addresses.map(({ address, healthy }) => [address.replace(/.*@/, ''), healthy]));
}

const changes = ({ events }: EventClient) =>
  events
    .filter(({ event }) => event === 'AddressHealthChanged')
    .map(({ data }) => data['fields'] as { address_id: number; is_healthy: boolean });

it('moves a collector to another address when its proxy stops, and gives the proxy out again once it is back', async () => {
  const { proxies, start, proxyOf, probes } = await setUp(['http', 'socks5', 'http']);
  const coordinator = await start(probes);
  const feed = await EventClient.open(coordinator.adminPort);
  onTestFinished(() => feed.close());
  const { client } = await WireClient.hello(coordinator.port);
  const first = await lease(client, 7);
  const stopped = proxyOf(first.address);
  await stopped.stop();

  // With a deadline, and the substitute at once.
  const revoking = await client.push('revoking');
  expect(revoking).toMatchObject({ lease: first.lease, reason: 'unhealthy' });
  expect(revoking.deadline_ms).toBeGreaterThan(50_000);
  expect(proxies).toContain(proxyOf(revoking.substitute!.address));
  expect(proxyOf(revoking.substitute!.address)).not.toBe(stopped);
  await client.request({ type: 'release', lease: first.lease }, 'released');
  expect(await healthOf(coordinator.adminPort)).toMatchObject({ [stopped.host]: false });
  // The two that are left, and no third.
  const [one, other] = [await lease(client, 8), await lease(client, 8)];
  expect(new Set([one, other].map(({ address }) => proxyOf(address).host)).size).toBe(2);
  expect([one, other].map(({ address }) => proxyOf(address))).not.toContain(stopped);
  expect(await client.request({ type: 'acquire', resource: 8, ttl_ms: 1_000 }, 'refused')).toMatchObject({
    reason: 'none_available',
  });

  // Without a deadline: lost at once.
  await client.request({ type: 'release', lease: other.lease }, 'released');
  await proxyOf(one.address).stop();
  const revoked = await client.push('revoked');
  expect(revoked).toMatchObject({ lease: one.lease, reason: 'unhealthy' });
  expect(proxyOf(revoked.substitute!.address)).toBe(proxyOf(other.address));

  const scrape = await (await fetch(`http://127.0.0.1:${coordinator.adminPort}/metrics`)).text();
  expect(scrape).toContain('leasehold_addresses_unhealthy 2\n');
  expect(scrape).toContain('leasehold_address_health_changes_total{to="unhealthy"} 2\n');
  expect(scrape).toMatch(/leasehold_address_probes_total\{result="ok"\} [1-9]/);

  await stopped.start();
  await feed.until(() => changes(feed).length === 3);
  const [wentFirst, wentSecond, cameBack] = changes(feed);
  expect([wentFirst, wentSecond, cameBack]).toMatchObject([
    { is_healthy: false },
    { is_healthy: false },
    { is_healthy: true },
  ]);
  expect(cameBack!.address_id).toBe(wentFirst!.address_id);
  expect(await healthOf(coordinator.adminPort)).toMatchObject({ [stopped.host]: true });
  const again = await lease(client, 8);
  expect(proxyOf(again.address)).toBe(stopped);

  await client.close();
  const { output } = await coordinator.kill('SIGTERM');
  const lines = output.filter((line) => line.includes('"address '));
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 'warn', msg: 'address unhealthy', reason: 'refused', by: 'probe' },
    { level: 'warn', msg: 'address unhealthy', reason: 'refused', by: 'probe' },
    { level: 'info', msg: 'address healthy', address: expect.stringContaining(stopped.host) as string },
  ]);
  expect(output.filter((line) => line.includes('hunter2'))).toEqual([]);
});

it('remembers what is unhealthy over a restart, and forgets it at one without probes', async () => {
  const { proxies, start, probes } = await setUp(['http', 'http']);
  const [good, bad] = proxies as [Proxy, Proxy];
  await bad.stop();
  const run = await start({ ...PROBES, type: 'tcp' });
  const feed = await EventClient.open(run.adminPort);
  await feed.until(() => changes(feed).length === 1);
  await feed.close();
  await run.kill('SIGKILL');
  const second = await start({ ...probes, interval_ms: 60_000 });
  expect(await healthOf(second.adminPort)).toEqual({ [good.host]: true, [bad.host]: false });
  await second.kill('SIGTERM');
  const third = await start({});
  const { client } = await WireClient.hello(third.port);
  await client.request({ type: 'acquire', resource: 7, ttl_ms: 1_000, count: 2, wait_ms: 5_000 }, 'granted');
  expect(await healthOf(third.adminPort)).toEqual({ [good.host]: true, [bad.host]: true });
});
