import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { dataFolder, startCoordinator } from '../server/testing/coordinator-process.ts';
import { findOverlaps } from './demo-overlaps.ts';
import { freePort } from './demo-processes.ts';
import { openProxies } from './demo-proxies.ts';
import { openSite } from './demo-site.ts';
import { type CollectorEvent, type CollectorOptions, runCollector } from './reference-client.ts';
import { parseOptions } from './reference-client-cli.ts';

const RESOURCE = 7;

/** Proxies and a coordinator that leases them: `records` may say more of each, and add addresses of its own. */
async function setUp(
  proxyCount: number,
  records: (proxies: readonly string[]) => readonly object[] = (list) =>
    list.map((address) => ({ address, country: 'US' })),
) {
  const { list, close } = await openProxies(proxyCount);
  onTestFinished(close);
  const pool = records(list.map(({ address }) => address));
  const { dir, poolFile } = await dataFolder(pool.map((record) => ({ rpw: 0, resource_ids: [RESOURCE], ...record })));
  const coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
  const admin = `http://127.0.0.1:${coordinator.adminPort}/v1/leases`;
  return {
    url: `ws://127.0.0.1:${coordinator.port}`,
    proxies: list,
    leases: async () => ((await (await fetch(admin)).json()) as { leases: { lease: number }[] }).leases,
    revoke: async (lease: number) => (await fetch(`${admin}/${lease}`, { method: 'DELETE' })).status,
  };
}

async function openTarget() {
  const site = await openSite();
  onTestFinished(() => site.close());
  return { site, target: `http://127.0.0.1:${site.port}/r/${RESOURCE}/` };
}

/** A target of the test's own; `count` is how many requests it has had. */
async function serve(answer: (response: ServerResponse, count: number) => void): Promise<string> {
  let count = 0;
  const server = createServer((_, response) => {
    count += 1;
    answer(response, count);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function defer(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Starts a collector that stops with the test at the latest. */
function startCollector(options: Pick<CollectorOptions, 'url' | 'target'> & Partial<CollectorOptions>) {
  const events: CollectorEvent[] = [];
  const stop = new AbortController();
  const done = runCollector({
    name: 'collector',
    resource: RESOURCE,
    ttlMs: 5_000,
    pagesPerLease: 100,
    waitMs: 30_000,
    retryMaxMs: 100,
    tellTarget: true,
    signal: stop.signal,
    log: (event) => events.push(event),
    ...options,
  });
  // So that a test that fails for another reason is not the second failure.
  done.catch(() => {});
  onTestFinished(async () => {
    stop.abort();
    await done.catch(() => {});
  });
  const eventsOf = <Name extends CollectorEvent['event']>(name: Name) =>
    events.filter((event): event is CollectorEvent & { readonly event: Name } => event.event === name);
  return { done, stop: () => stop.abort(), eventsOf };
}

it('fetches its pages through one address after the other and leaves no lease behind', async () => {
  const { url, proxies, leases } = await setUp(3);
  const { site, target } = await openTarget();
  const collector = startCollector({ url, target, pagesMax: 7, pagesPerLease: 3 });
  expect(await collector.done).toBe(7);
  const grants = collector.eventsOf('granted');
  expect(new Set(grants.map(({ proxy }) => proxy))).toEqual(new Set(proxies.map(({ host }) => host)));
  const sourceOf = new Map(proxies.map(({ host, source }) => [host, source]));
  const expected = [3, 3, 1].flatMap((pages, index) => Array.from({ length: pages }, () => grants[index]!));
  expect(site.visits().map(({ proxy }) => proxy)).toEqual(expected.map(({ proxy }) => sourceOf.get(proxy)));
  expect(site.visits().map(({ lease }) => lease)).toEqual(expected.map(({ lease }) => lease));
  expect(collector.eventsOf('released').map(({ pages }) => pages)).toEqual([3, 3, 1]);
  expect(findOverlaps(site.visits())).toMatchObject({ findings: [], windows: 3 });
  expect(await leases()).toEqual([]);
});

it('renews its lease for as long as it needs it', async () => {
  const ttlMs = 1_000;
  const { url } = await setUp(1);
  const { site, target } = await openTarget();
  const collector = startCollector({ url, target, ttlMs, pagesPerLease: 1_000_000 });
  const workedMs = () => (site.visits().at(-1)?.startMs ?? 0) - (site.visits()[0]?.startMs ?? 0);
  await expect.poll(workedMs, { timeout: 10_000 }).toBeGreaterThan(2 * ttlMs);
  expect(new Set(site.visits().map(({ lease }) => lease))).toEqual(new Set([collector.eventsOf('granted')[0]!.lease]));
});

it('takes turns with another one on the only address', async () => {
  const { url } = await setUp(1);
  const { site, target } = await openTarget();
  const collectors = ['one', 'other'].map((name) =>
    startCollector({ url, target, name, pagesPerLease: 2, pagesMax: 6 }),
  );
  expect(await Promise.all(collectors.map(({ done }) => done))).toEqual([6, 6]);
  expect(collectors.flatMap(({ eventsOf }) => eventsOf('queued'))).not.toEqual([]);
  expect(collectors.flatMap(({ eventsOf }) => eventsOf('refused'))).toEqual([]);
  expect(findOverlaps(site.visits())).toMatchObject({ findings: [], pairs: 1, windows: 6 });
});

it('asks again when its time in line is over', async () => {
  const { url } = await setUp(1);
  const { site, target } = await openTarget();
  const holder = startCollector({ url, target, pagesPerLease: 1_000_000 });
  await expect.poll(() => site.visits().length).toBeGreaterThan(0);
  const waiting = startCollector({ url, target, waitMs: 20, pagesMax: 1 });
  await expect.poll(() => waiting.eventsOf('refused').length).toBeGreaterThan(1);
  expect(new Set(waiting.eventsOf('refused').map(({ reason }) => reason))).toEqual(new Set(['wait_timeout']));
  holder.stop();
  expect(await waiting.done).toBe(1);
});

it('stops in the middle of a page when its lease is revoked, and goes on with another address', async () => {
  const { url, revoke } = await setUp(2);
  const arrived = defer();
  const cut = defer();
  const target = await serve((response, count) => {
    if (count > 1) return void response.end();
    // Never answered: only the end of the lease gets the collector away from here.
    response.once('close', cut.resolve);
    arrived.resolve();
  });
  const collector = startCollector({ url, target, pagesMax: 1 });
  await arrived.promise;
  const first = collector.eventsOf('granted')[0]!;
  expect(await revoke(first.lease)).toBe(200);
  await cut.promise;
  expect(await collector.done).toBe(1);
  expect(collector.eventsOf('page_stopped')).toMatchObject([{ lease: first.lease, page: 1 }]);
  expect(collector.eventsOf('lost')).toMatchObject([{ lease: first.lease, end: 'revoked' }]);
  expect(collector.eventsOf('granted')[1]!.proxy).not.toBe(first.proxy);
});

it('finishes its page, releases its lease and ends its session when it is told to stop', async () => {
  const { url, leases } = await setUp(1);
  const { site, target } = await openTarget();
  const collector = startCollector({ url, target });
  await expect.poll(() => site.visits().length).toBeGreaterThan(1);
  collector.stop();
  const pages = await collector.done;
  expect(site.visits().filter(({ complete }) => complete).length).toBe(pages);
  expect(site.visits().length).toBe(pages);
  expect(await leases()).toEqual([]);
});

it('hands an address back through which nothing comes, and goes on with the next', async () => {
  const dead = `127.0.0.1:${await freePort()}`;
  const { url } = await setUp(1, ([address]) => [dead, address!].map((entry) => ({ address: entry, country: 'US' })));
  const { target } = await openTarget();
  const collector = startCollector({ url, target, pagesMax: 2, pagesPerLease: 1 });
  expect(await collector.done).toBe(2);
  // Once or twice, depending on whose turn is first.
  const failures = collector.eventsOf('page_failed').map(({ lease }) => lease);
  const handedBack = collector.eventsOf('handing_back');
  expect(handedBack.length).toBeGreaterThan(0);
  expect(failures).toEqual(handedBack.flatMap(({ lease }) => [lease, lease, lease]));
  expect(new Set(handedBack.map(({ why }) => why))).toEqual(new Set(['3 failures in a row']));
});

it('hands an address back that the target has banned, whatever was still to be fetched', async () => {
  const { url } = await setUp(2);
  const target = await serve((response, count) => void response.writeHead(count === 1 ? 429 : 200).end());
  const collector = startCollector({ url, target, pagesMax: 2 });
  expect(await collector.done).toBe(2);
  const [first, second] = collector.eventsOf('granted');
  expect(collector.eventsOf('handing_back')).toMatchObject([{ lease: first!.lease, why: 'banned: HTTP 429' }]);
  expect(second!.proxy).not.toBe(first!.proxy);
});

it('takes addresses of its country only', async () => {
  const { url, proxies } = await setUp(3, (list) =>
    list.map((address, index) => ({ address, country: index === 1 ? 'CA' : 'US' })),
  );
  const { target } = await openTarget();
  const collector = startCollector({ url, target, country: 'ca', pagesMax: 3, pagesPerLease: 1 });
  await collector.done;
  expect(new Set(collector.eventsOf('granted').map(({ proxy }) => proxy))).toEqual(new Set([proxies[1]!.host]));
});

it('gives up where trying again would meet the same answer', async () => {
  const { url } = await setUp(1);
  const { target } = await openTarget();
  const collector = startCollector({ url, target, resource: 9 });
  await expect(collector.done).rejects.toMatchObject({ code: 'unknown_resource' });
  expect(collector.eventsOf('stopped').length).toBe(1);
});

it('reads its flags, and names the one that is wrong', () => {
  const { signal } = new AbortController();
  const needed = ['--url', 'ws://127.0.0.1:7400', '--resource', '7', '--target', 'http://127.0.0.1:80/r/7'];
  expect(parseOptions([...needed, '--country', 'US', '--pages', '3'], signal)).toMatchObject({
    resource: 7,
    target: 'http://127.0.0.1/r/7/',
    country: 'US',
    pagesMax: 3,
    ttlMs: 5_000,
  });
  expect(() => parseOptions(needed.slice(2), signal)).toThrow('--url');
  expect(() => parseOptions([...needed, '--ttl-ms', '0'], signal)).toThrow('--ttl-ms');
  expect(() => parseOptions([...needed, '--target', 'example.com'], signal)).toThrow('--target');
  expect(() => parseOptions([...needed, '--speed', '3'], signal)).toThrow('--speed');
});
