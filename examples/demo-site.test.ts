import { ProxyAgent, request } from 'undici';
import { expect, it, onTestFinished } from 'vitest';
import { findOverlaps } from './demo-overlaps.ts';
import { openProxies, type Proxy } from './demo-proxies.ts';
import { openSite, type Site } from './demo-site.ts';

async function setUp(proxyCount = 2): Promise<{ site: Site; proxies: readonly Proxy[] }> {
  const site = await openSite();
  onTestFinished(() => site.close());
  const { list, close } = await openProxies(proxyCount);
  onTestFinished(close);
  return { site, proxies: list };
}

/** A collector that asks no coordinator: it makes up its lease. */
async function openCheater(site: Site, { address }: Proxy, name: string, lease: number) {
  const dispatcher = new ProxyAgent({ uri: address.replace(/^(?!http)/, 'http://'), proxyTunnel: false });
  onTestFinished(() => dispatcher.destroy());
  const headers = { 'x-collector': name, 'x-lease': String(lease) };
  return async (signal?: AbortSignal) => {
    const url = `http://127.0.0.1:${site.port}/r/7/page/1`;
    const { statusCode, body } = await request(url, { dispatcher, headers, ...(signal ? { signal } : {}) });
    await body.dump();
    return statusCode;
  };
}

it('sees two cheaters on one proxy at the same time', async () => {
  const { site, proxies } = await setUp();
  const one = await openCheater(site, proxies[0]!, 'one', 1);
  const other = await openCheater(site, proxies[0]!, 'other', 2);
  expect(await Promise.all([one(), other()])).toEqual([200, 200]);
  const { findings } = findOverlaps(site.visits());
  expect(findings).toMatchObject([{ kind: 'overlap', holder: { proxy: '127.0.1.1', resource: 7 } }]);
});

it('sees two cheaters that take turns, and one whose token goes back', async () => {
  const { site, proxies } = await setUp();
  const one = await openCheater(site, proxies[0]!, 'one', 5);
  const other = await openCheater(site, proxies[0]!, 'other', 6);
  for (const fetchPage of [one, other, one]) await fetchPage();
  const late = await openCheater(site, proxies[0]!, 'late', 4);
  await late();
  expect(findOverlaps(site.visits()).findings).toMatchObject([
    { kind: 'overlap', holder: { collector: 'other' }, with: { collector: 'one' } },
    { kind: 'token_not_risen', holder: { collector: 'late' }, with: { collector: 'other' } },
  ]);
});

it('has nothing against two who use two proxies at once, or one proxy one after the other', async () => {
  const { site, proxies } = await setUp();
  const one = await openCheater(site, proxies[0]!, 'one', 1);
  const other = await openCheater(site, proxies[1]!, 'other', 2);
  await Promise.all([one(), other()]);
  const next = await openCheater(site, proxies[0]!, 'next', 3);
  await next();
  expect(findOverlaps(site.visits())).toMatchObject({ findings: [], pairs: 2, windows: 3 });
  expect(site.visits().every(({ complete }) => complete)).toBe(true);
});

it('knows each proxy by where it comes from, and who comes without one', async () => {
  const { site, proxies } = await setUp(4);
  for (const [index, proxy] of proxies.entries()) await (await openCheater(site, proxy, 'a', index + 1))();
  const { statusCode, body } = await request(`http://127.0.0.1:${site.port}/r/7/page/1`);
  await body.dump();
  expect(statusCode).toBe(200);
  expect(site.visits().map(({ proxy }) => proxy)).toEqual([...proxies.map(({ source }) => source), '127.0.0.1']);
  expect(findOverlaps(site.visits()).findings).toMatchObject([{ kind: 'no_lease' }]);
});

it('lets no one through a proxy that asks for a password without it', async () => {
  const { site, proxies } = await setUp();
  const { host } = proxies[1]!;
  expect(proxies[1]!.address).toContain('@');
  const intruder = await openCheater(site, { ...proxies[1]!, address: host }, 'intruder', 1);
  await expect(intruder()).rejects.toThrow('407');
  expect(site.visits()).toEqual([]);
});

it('notices through the proxy that a collector has gone in the middle of a page', async () => {
  const { site, proxies } = await setUp();
  const one = await openCheater(site, proxies[0]!, 'one', 1);
  const gone = new AbortController();
  const fetched = expect(one(gone.signal)).rejects.toThrow();
  await expect.poll(() => site.visits().length, { interval: 1 }).toBe(1);
  gone.abort();
  await fetched;
  await expect.poll(() => site.visits()[0]!.endMs, { timeout: 10_000 }).toBeDefined();
  expect(site.visits()).toMatchObject([{ complete: false }]);
});
