/**
 * The main job on real input, all of it on loopback: a coordinator, a dozen forward proxies, a target site, and more
 * collectors than addresses. On the way a collector is killed with `kill -9`, and then the coordinator itself.
 *
 *   npm run demo [-- --seconds N]
 *
 * Exits 0 only where the site saw no two collectors use one proxy for one resource at the same time, and everything
 * that the table says really took place.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOverlaps } from './demo-overlaps.ts';
import { CollectorProcess, CoordinatorProcess, type Exit, freePort, type Grant, until } from './demo-processes.ts';
import { openProxies, type Proxy } from './demo-proxies.ts';
import { type CollectorKill, type Outcome, problemsOf, type Restart, tableOf } from './demo-report.ts';
import { openSite, type Site } from './demo-site.ts';
import { type Cleanup, parseFlags, runExample, UsageError } from './run-example.ts';

const SECONDS_DEFAULT = 25;
const SECONDS_MIN = 8;
const SECONDS_MAX = 600;

const PROXIES = 12;
/** Everybody wants resource 7, which fewer proxies may serve than there are collectors for it. */
const CONTENDED = 7;
const SPACIOUS = 8;
/** 1–4 serve resource 7, 3–12 serve resource 8: two of them serve both, and may do so at the same time. */
const RESOURCES_OF = (proxy: number) => [...(proxy <= 4 ? [CONTENDED] : []), ...(proxy >= 3 ? [SPACIOUS] : [])];
const COUNTRIES = ['US', 'CA', 'DE'];
const COLLECTORS: readonly { readonly resource: number; readonly country?: string }[] = [
  ...Array.from({ length: 6 }, () => ({ resource: CONTENDED })),
  ...Array.from({ length: 3 }, () => ({ resource: SPACIOUS })),
  { resource: SPACIOUS, country: 'US' },
];

const TTL_MS = 4_000;
/** So many pages take longer than half of the TTL: leases have to be renewed. */
const PAGES_PER_LEASE = 60;
const HEARTBEAT_MS = 2_000;
/** When it happens, as shares of the time. */
const KILL_AT = 0.3;
const RESTART_AT = 0.5;
/** How long the demo waits for what should happen at once. */
const PATIENCE_MS = 20_000;

interface Stage {
  readonly site: Site;
  readonly proxies: readonly Proxy[];
  readonly coordinator: CoordinatorProcess;
  readonly collectors: readonly CollectorProcess[];
  readonly signal: AbortSignal;
}

/** Everything that is needed, up and running. What must be undone again is put into `cleanups` as it comes about. */
async function setUp(signal: AbortSignal, cleanups: Cleanup[]): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-demo-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const site = await openSite();
  cleanups.push(() => site.close());
  const { list: proxies, close } = await openProxies(PROXIES);
  cleanups.push(close);
  const pool = join(folder, 'pool.json');
  await writeFile(pool, JSON.stringify(proxies.map(poolRecord)));

  const [port, adminPort] = [await freePort(), await freePort()];
  const dataDir = join(folder, 'snapshots');
  const coordinator = new CoordinatorProcess({ port, adminPort, dataDir, pool, heartbeatMs: HEARTBEAT_MS });
  cleanups.push(() => coordinator.stop());
  await coordinator.start(signal);
  say(`${PROXIES} proxies, a target site and the coordinator are up`);

  const collectors = COLLECTORS.map((collector, index) => {
    const target = `http://127.0.0.1:${site.port}/r/${collector.resource}/`;
    const pace = { ttlMs: TTL_MS, pagesPerLease: PAGES_PER_LEASE };
    return new CollectorProcess({
      url: coordinator.url,
      name: `collector-${index + 1}`,
      target,
      ...pace,
      ...collector,
    });
  });
  cleanups.push(() => Promise.all(collectors.map((collector) => collector.stop())));
  for (const collector of collectors) {
    await until(`${collector.name} to connect`, PATIENCE_MS, signal, () => {
      if (collector.exit) throw new Error(`${collector.name} ended:\n${collector.output}`);
      return collector.eventsOf('connected')[0];
    });
  }
  say(`${collectors.length} collectors are at work`);
  return { site, proxies, coordinator, collectors, signal };
}

function poolRecord({ address }: Proxy, index: number): object {
  return {
    address,
    country: COUNTRIES[index % COUNTRIES.length],
    rpw: index,
    resource_ids: RESOURCES_OF(index + 1),
  };
}

/** kill -9 in the middle of a page: its address must be somebody else's long before its TTL is over. */
async function killCollector(stage: Stage, kills: Map<string, number>): Promise<CollectorKill> {
  const { site, coordinator, collectors, signal } = stage;
  const startMs = performance.now();
  const rivals = collectors.filter(({ resource }) => resource === CONTENDED);
  // One that has only just got its lease is sure not to hand it back in the meantime.
  const victim = await until('a new lease', PATIENCE_MS, signal, () =>
    rivals.find(({ held }) => held && held.atMs > startMs),
  );
  const { lease, proxy } = victim.held!;
  const ttlLeftMs = (await coordinator.leases(signal)).find((entry) => entry.lease === lease)?.ttl_ms ?? 0;
  await until(`${victim.name} to be in the middle of a page`, PATIENCE_MS, signal, () =>
    site.visits().findLast((visit) => visit.lease === lease && visit.endMs === undefined),
  );
  victim.kill('SIGKILL');
  // No sooner: until the call returns it may have been at work.
  const killedMs = site.now();
  kills.set(victim.name, killedMs);

  const freedAfterMs = await until('its lease to be released', PATIENCE_MS, signal, async () => {
    const leases = await coordinator.leases(signal);
    return leases.some((entry) => entry.lease === lease) ? undefined : performance.now() - killedMs;
  });
  const isNext = (grant: Grant) => grant.proxy === proxy && grant.lease > lease;
  const successor = await until('its address to be granted again', PATIENCE_MS, signal, () =>
    rivals.find((rival) => rival.eventsOf('granted').some(isNext)),
  );
  const grantedAfterMs = successor.eventsOf('granted').find(isNext)!.atMs - killedMs;
  say(`kill -9 ${victim.name}: its lease was gone after ${Math.round(freedAfterMs)} ms,`);
  say(`  its address with ${successor.name} after ${Math.round(grantedAfterMs)} ms`);
  return { collector: victim.name, lease, ttlLeftMs, freedAfterMs, grantedAfterMs, grantedTo: successor.name };
}

interface Outage {
  readonly killedMs: number;
  readonly upMs: number;
  readonly before: readonly number[];
  readonly after: ReadonlySet<number>;
}

/** kill -9, then a new process on the same folder and ports. */
async function restartCoordinator({ coordinator, site, signal }: Stage): Promise<Outage> {
  const before = (await coordinator.leases(signal)).map(({ lease }) => lease);
  const killedMs = site.now();
  await coordinator.kill();
  say(`kill -9 coordinator: ${before.length} leases were held`);
  await coordinator.start(signal);
  const upMs = site.now();
  const after = new Set((await coordinator.leases(signal)).map(({ lease }) => lease));
  say(`coordinator up again after ${Math.round(upMs - killedMs)} ms: ${after.size} leases are held`);
  return { killedMs, upMs, before, after };
}

function restartOf({ killedMs, upMs, before, after }: Outage, collectors: readonly CollectorProcess[]): Restart {
  const missing = before.filter((lease) => !after.has(lease));
  // Given up by their holders: in the moment before the kill, or in the one before the list was asked for.
  const ends = collectors.flatMap((collector) => [...collector.eventsOf('released'), ...collector.eventsOf('lost')]);
  const givenUp = new Set(ends.map(({ lease }) => lease));
  return {
    downMs: upMs - killedMs,
    leasesBefore: before.length,
    leasesKept: before.length - missing.length,
    leasesForgotten: missing.filter((lease) => !givenUp.has(lease)).length,
  };
}

async function run(seconds: number, signal: AbortSignal, cleanups: Cleanup[]): Promise<Outcome> {
  const stage = await setUp(signal, cleanups);
  const { site, proxies, coordinator, collectors } = stage;
  const startMs = site.now();
  const reach = async (share: number) => {
    const leftMs = startMs + share * seconds * 1_000 - site.now();
    if (leftMs > 0) await sleep(leftMs, undefined, { signal });
  };
  const kills = new Map<string, number>();

  await reach(KILL_AT);
  const kill = await killCollector(stage, kills);
  await reach(RESTART_AT);
  const outage = await restartCoordinator(stage);
  await reach(1);

  const survivors = collectors.filter(({ name }) => !kills.has(name));
  const exits = await Promise.all(survivors.map((collector) => collector.stop()));
  const leftOver = (await coordinator.leases(signal)).length;
  const coordinatorExit = await coordinator.stop();

  const visits = site.visits();
  const complete = visits.filter((visit) => visit.complete);
  const sources = new Set(proxies.map(({ source }) => source));
  const events = <Name extends Parameters<CollectorProcess['eventsOf']>[0]>(name: Name) =>
    collectors.flatMap((collector) => collector.eventsOf(name));
  const during = ({ startMs: at }: { startMs: number }) => at > outage.killedMs && at < outage.upMs;
  return {
    seconds,
    proxies: proxies.length,
    collectors: collectors.length,
    pages: complete.length,
    pagesDuringOutage: complete.filter(during).length,
    pagesAfterRestart: complete.filter((visit) => visit.startMs > outage.upMs).length,
    failedFetches: events('page_failed').length,
    stoppedFetches: events('page_stopped').length,
    granted: events('granted').length,
    waits: events('queued').length,
    // The killed collector could not say of its own that it is gone.
    autoReleased: events('lost').length + kills.size,
    kill,
    restart: restartOf(outage, collectors),
    resumed: events('connected').filter(({ resumed }) => resumed).length,
    direct: visits.filter(({ proxy }) => !sources.has(proxy)).length,
    leftOver,
    badExits: [
      ...survivors.flatMap(({ name }, index) => badExit(name, exits[index])),
      ...badExit('the coordinator', coordinatorExit),
    ],
    overlaps: findOverlaps(visits, kills),
  };
}

function badExit(name: string, exit: Exit | undefined): string[] {
  return exit?.code === 0 ? [] : [`${name} ended with ${exit?.signal ?? exit?.code}`];
}

function say(line: string): void {
  console.log(line);
}

function readSeconds(args: readonly string[]): number {
  const { seconds } = parseFlags(args, { seconds: { type: 'string' } });
  const value = seconds === undefined ? SECONDS_DEFAULT : Number(seconds);
  if (value >= SECONDS_MIN && value <= SECONDS_MAX) return value;
  throw new UsageError(`--seconds: expected a number from ${SECONDS_MIN} to ${SECONDS_MAX}`);
}

await runExample('', async ({ args, signal, cleanups }) => {
  const outcome = await run(readSeconds(args), signal, cleanups);
  const problems = problemsOf(outcome);
  for (const problem of problems) say(`NOT AS IT SHOULD BE: ${problem}`);
  say(tableOf(outcome));
  return problems.length === 0 ? 0 : 1;
});
