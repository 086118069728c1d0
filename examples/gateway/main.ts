/**
 * curl and undici through the forward proxy, side by side with collectors on WebSockets: they share one pool, and the
 * target site sees no two of them on one address at one time.
 *
 *   npm run example:gateway                    # half a minute
 *   npm run example:gateway -- --seconds 5
 *
 * curl asks for an address of its own each time; undici keeps one for a whole session, named in the user.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ProxyAgent, request } from 'undici';
import { findOverlaps, type Visit } from '../demo-overlaps.ts';
import { CollectorProcess, CoordinatorProcess, freePort } from '../demo-processes.ts';
import { openProxies } from '../demo-proxies.ts';
import { openSite, type SiteVisit } from '../demo-site.ts';
import { type Cleanup, parseFlags, positive, runExample } from '../run-example.ts';

const USAGE = `usage: npm run example:gateway -- [--seconds N]
  --seconds N   (default: 30)
`;
const SECONDS = 30;
const RESOURCE = 7;
const PROXIES = 6;
const COLLECTORS = 2;
const CURLS = 2;
const TTL_MS = 2_000;
const PAGES_PER_LEASE = 10;
const HEARTBEAT_MS = 2_000;
/** Of curl, for one page. */
const TIMEOUT_S = '10';

const runFile = promisify(execFile);

/** What came of the pages that one client asked for. */
interface Fetched {
  readonly client: string;
  pages: number;
  /** No address was free, or a page failed: it was asked for again. */
  failed: number;
}

interface Run {
  /** The site's pages, up to their number. */
  readonly pageUrl: string;
  readonly gatewayPort: number;
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

function isOver({ untilMs, signal }: Run): boolean {
  return signal.aborted || performance.now() >= untilMs;
}

/** One process a page, one lease a page. */
async function curl(client: string, run: Run): Promise<Fetched> {
  const fetched = { client, pages: 0, failed: 0 };
  for (let page = 1; !isOver(run); page += 1) {
    const proxy = `http://user-resource-${RESOURCE}:@127.0.0.1:${run.gatewayPort}`;
    const headers = ['--header', `x-collector: ${client}.${page}`];
    const args = ['--silent', '--show-error', '--fail', '--max-time', TIMEOUT_S, '--proxy', proxy, ...headers];
    try {
      await runFile('curl', [...args, `${run.pageUrl}${page}`], { signal: run.signal });
      fetched.pages += 1;
    } catch (error) {
      if (run.signal.aborted) break;
      fetched.failed += 1;
      console.log(`${client}: ${(error as { stderr?: string }).stderr?.trim() ?? String(error)}`);
    }
  }
  return fetched;
}

/** One lease for all of it: the user names a session. */
async function undici(client: string, run: Run): Promise<Fetched> {
  const fetched = { client, pages: 0, failed: 0 };
  const user = `user-resource-${RESOURCE}-session-${client}`;
  const token = `Basic ${Buffer.from(`${user}:`).toString('base64')}`;
  const dispatcher = new ProxyAgent({ uri: `http://127.0.0.1:${run.gatewayPort}`, token, proxyTunnel: false });
  for (let page = 1; !isOver(run); page += 1) {
    try {
      const headers = { 'x-collector': client };
      const { statusCode, body } = await request(`${run.pageUrl}${page}`, { dispatcher, headers, signal: run.signal });
      await body.dump();
      if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
      fetched.pages += 1;
    } catch (error) {
      if (run.signal.aborted) break;
      fetched.failed += 1;
      console.log(`${client}: ${(error as Error).message}`);
    }
  }
  await dispatcher.destroy();
  return fetched;
}

/** What goes through the gateway names no lease, which nobody outside knows: each request, or session, is a holder of its own. */
function asHeld(visit: SiteVisit): Visit {
  return { ...visit, lease: visit.lease ?? 0 };
}

async function run(seconds: number, signal: AbortSignal, cleanups: Cleanup[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-gateway-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const site = await openSite();
  cleanups.push(() => site.close());
  const proxies = await openProxies(PROXIES);
  cleanups.push(() => proxies.close());
  const pool = join(folder, 'pool.json');
  const records = proxies.list.map(({ address }) => ({ address, country: 'US', rpw: 0, resource_ids: [RESOURCE] }));
  await writeFile(pool, JSON.stringify(records));
  const [port, adminPort, gatewayPort] = [await freePort(), await freePort(), await freePort()];
  const coordinator = new CoordinatorProcess({
    port,
    adminPort,
    dataDir: join(folder, 'snapshots'),
    pool,
    heartbeatMs: HEARTBEAT_MS,
    // The site is on this machine, where the forward proxy goes only if it is told to.
    flags: { 'forward-port': String(gatewayPort), 'forward-allow': '127.0.0.1' },
  });
  cleanups.push(() => coordinator.stop());
  await coordinator.start(signal);
  const target = `http://127.0.0.1:${site.port}/r/${RESOURCE}/`;
  const collectors = Array.from({ length: COLLECTORS }, (_, index) => {
    const name = `collector-${index + 1}`;
    const paces = { ttlMs: TTL_MS, pagesPerLease: PAGES_PER_LEASE };
    return new CollectorProcess({ url: coordinator.url, name, resource: RESOURCE, target, ...paces });
  });
  cleanups.push(() => Promise.all(collectors.map((collector) => collector.stop())));
  console.log(`${COLLECTORS} collectors, ${CURLS} times curl and undici on ${PROXIES} addresses for ${seconds} s`);
  const untilMs = performance.now() + seconds * 1_000;
  const shared: Run = { pageUrl: `${target}page/`, gatewayPort, untilMs, signal };
  const fetched = await Promise.all([
    ...Array.from({ length: CURLS }, (_, index) => curl(`curl-${index + 1}`, shared)),
    undici('undici', shared),
  ]);
  await Promise.all(collectors.map((collector) => collector.stop()));
  signal.throwIfAborted();
  const byCollectors = collectors.map((collector) => ({
    client: collector.name,
    pages: collector.eventsOf('released').reduce((sum, { pages }) => sum + pages, 0),
    failed: collector.eventsOf('page_failed').length,
  }));
  const all: Fetched[] = [...byCollectors, ...fetched];
  for (const { client, pages, failed } of all) {
    console.log(`${client.padEnd(12)}${String(pages).padStart(6)} pages${String(failed).padStart(6)} failed`);
  }
  const { findings, pairs, windows } = findOverlaps(site.visits().map(asHeld));
  // Tokens of the gateway's leases are its own business: whether they rise can't be seen from outside.
  const overlaps = findings.filter(({ kind }) => kind === 'overlap');
  for (const { holder, with: other } of overlaps) {
    console.log(`${holder.collector} and ${other?.collector} both used ${holder.proxy}`);
  }
  console.log(`holders seen: ${windows} on ${pairs} addresses`);
  console.log(`overlaps seen by the target site: ${overlaps.length}`);
  return overlaps.length === 0 && all.every(({ pages }) => pages > 0) ? 0 : 1;
}

await runExample(USAGE, ({ args, signal, cleanups }) => {
  const { seconds } = parseFlags(args, { seconds: { type: 'string' } });
  return run(positive('seconds', seconds, SECONDS), signal, cleanups);
});
