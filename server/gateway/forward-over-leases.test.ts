/** The forward proxy of a coordinator, on the same pool as collectors. */
import { execFile } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import type { Grant } from '../../protocol/frames.ts';
import {
  type CoordinatorProcess,
  dataFolder,
  runCoordinator,
  startCoordinator,
} from '../testing/coordinator-process.ts';
import { basic, deadAddress, openSite, openUpstream, rawAnswer } from '../testing/forward-run.ts';
import { WireClient } from '../testing/wire-client.ts';

const run = promisify(execFile);

interface Served {
  readonly coordinator: CoordinatorProcess;
  readonly forwardPort: number;
  readonly addresses: readonly string[];
  readonly asked: readonly (readonly string[])[];
  readonly curl: (user: string, url: string) => Promise<string>;
  readonly admin: (method: string, path: string) => Promise<Record<string, unknown>>;
}

/** With two real proxies in its pool, in front of the addresses `more`. */
async function serve(flags: readonly string[] = [], more: readonly string[] = []): Promise<Served> {
  const upstreams = await Promise.all([1, 2].map(() => openUpstream({ user: 'exit', password: 'hidden-word' })));
  const addresses = upstreams.map(({ address }) => address);
  const pool = [...addresses, ...more].map((address, index) => {
    return { address, country: ['US', 'DE'][index] ?? 'FR', rpw: 0, resource_ids: [7] };
  });
  const { dir, poolFile } = await dataFolder(pool);
  const own = ['--data-dir', dir, '--pool', poolFile, '--forward-port', '0', '--forward-allow', '127.0.0.1'];
  const coordinator = await startCoordinator([...own, ...flags]);
  const ready = coordinator.output.find((line) => line.includes('"msg":"ready"'))!;
  const { forwardPort } = JSON.parse(ready) as { forwardPort: number };
  return {
    coordinator,
    forwardPort,
    addresses,
    asked: upstreams.map(({ asked }) => asked),
    curl: async (user, url) =>
      (await run('curl', ['-sS', '-x', `http://${user}:@127.0.0.1:${forwardPort}`, url])).stdout,
    admin: async (method, path) => {
      const response = await fetch(`http://127.0.0.1:${coordinator.adminPort}${path}`, { method });
      const text = await response.text();
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    },
  };
}

/** A tunnel through the address of `country`, open. */
async function openTunnel({ forwardPort }: Served, site: number, country: string): Promise<Socket> {
  const socket = connect(forwardPort, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => socket.destroy());
  const head = `Host: a\r\n${basic(`user-resource-7-country-${country}`)}\r\n`;
  socket.write(`CONNECT 127.0.0.1:${site} HTTP/1.1\r\n${head}`);
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  expect(String(answer)).toContain('200 Connection established');
  return socket;
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

it('takes no address that a collector has, and no collector one that a request or tunnel has', async () => {
  const site = await openSite((_incoming, response) => response.end('page'));
  const served = await serve();
  const { coordinator, curl, asked, addresses } = served;
  const { client } = await WireClient.hello(coordinator.port);
  const german = { country: { eq: 'DE' } };
  const ask = { type: 'acquire', resource: 7, ttl_ms: 60_000, where: german };
  const { lease, address } = (await client.request(ask, 'granted')) as unknown as Grant;
  expect(address.address).toBe(addresses[1]);
  for (const _ of [1, 2, 3]) expect(await curl('user-resource-7', `http://127.0.0.1:${site}/`)).toBe('page');
  expect(asked.map((of) => of.length)).toEqual([3, 0]);
  const refused = await curl('user-resource-7-country-de', `http://127.0.0.1:${site}/`);
  expect(JSON.parse(refused)).toMatchObject({ code: 503, reason: 'none_available', why: { states: { leased: 1 } } });
  const tunnel = await openTunnel(served, site, 'us');
  const acquire = { type: 'acquire', resource: 7, ttl_ms: 60_000 };
  expect(await client.request(acquire, 'refused')).toMatchObject({ reason: 'none_available' });
  tunnel.destroy();
  await expect
    .poll(async () => {
      const id = client.send(acquire);
      return (await client.next((frame) => 'id' in frame && frame.id === id)).type;
    })
    .toBe('granted');
  await client.request({ type: 'release', lease }, 'released');
});

it('cuts a tunnel when its lease is revoked, and leaves no secret in its log', async () => {
  const site = await openSite(() => {});
  const served = await serve();
  const { coordinator, admin } = served;
  const tunnel = await openTunnel(served, site, 'us');
  const { leases } = (await admin('GET', '/v1/leases')) as { leases: { lease: number }[] };
  expect(leases).toHaveLength(1);
  const closed = closeOf(tunnel);
  await admin('DELETE', `/v1/leases/${leases[0]!.lease}`);
  await closed;
  await expect
    .poll(() => coordinator.output.filter((line) => line.includes('"via":"forward"')))
    .toEqual([expect.stringContaining('"reason":"operator"')]);
  expect(coordinator.output.join('\n')).not.toContain('hidden-word');
});

it('takes an address out of the pool that refuses, in the very request that finds it so', async () => {
  const site = await openSite((_incoming, response) => response.end('page'));
  const dead = deadAddress();
  const { curl, admin, coordinator } = await serve([], [dead]);
  const refused = await curl('user-resource-7-country-fr', `http://127.0.0.1:${site}/`);
  expect(JSON.parse(refused)).toMatchObject({ code: 502, reason: 'upstream_unreachable' });
  const { addresses } = (await admin('GET', '/v1/addresses')) as { addresses: Record<string, unknown>[] };
  expect(addresses.find(({ address }) => address === dead)).toMatchObject({ healthy: false });
  expect(JSON.parse(await curl('user-resource-7-country-fr', `http://127.0.0.1:${site}/`))).toMatchObject({
    code: 503,
    why: { states: { unhealthy: 1 } },
  });
  expect(coordinator.output.join('\n')).toContain(dead);
});

it('counts what it does for Prometheus, and ends with the coordinator', async () => {
  const site = await openSite((_incoming, response) => response.end('page'));
  const served = await serve();
  const { coordinator, curl } = served;
  await curl('user-resource-7-session-a', `http://127.0.0.1:${site}/`);
  const tunnel = await openTunnel(served, site, 'de');
  const scrape = await (await fetch(`http://127.0.0.1:${coordinator.adminPort}/metrics`)).text();
  expect(scrape).toContain('leasehold_forward_requests_total{status="2xx"} 1');
  expect(scrape).toMatch(/^leasehold_forward_tunnels 1$/m);
  expect(scrape).toMatch(/^leasehold_forward_sessions 1$/m);
  expect(scrape).toMatch(/^leasehold_leases 2$/m);
  const closed = closeOf(tunnel);
  const { code } = await coordinator.kill('SIGTERM');
  await closed;
  expect(code).toBe(0);
});

it('is never asked through itself, nor for the HTTP API and the WebSocket beside it', async () => {
  const { forwardPort, coordinator } = await serve();
  // Any free ones, found at the start.
  for (const port of [forwardPort, coordinator.adminPort, coordinator.port]) {
    const head = `Host: a\r\n${basic('user-resource-7')}Connection: close\r\n\r\n`;
    const { status } = await rawAnswer(forwardPort, `GET http://127.0.0.1:${port}/v1/addresses HTTP/1.1\r\n${head}`);
    expect(status).toBe(403);
  }
});

it('is not opened to others without keys', async () => {
  const { dir } = await dataFolder();
  const { exited } = runCoordinator(['--data-dir', dir, '--gateway-host', '0.0.0.0', '--forward-port', '0']);
  const { code, output } = await exited;
  expect(code).toBe(64);
  expect(output.join('\n')).toContain('--forward-port: needs --api-keys where --gateway-host is 0.0.0.0');
});
