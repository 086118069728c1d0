/**
 * A collector: leases an address for its resource, fetches pages through it, hands it back, takes the next one.
 *
 *   node dist/examples/reference-client.js --url ws://127.0.0.1:7400 --resource 7 --target http://127.0.0.1:8080/
 *
 * Read it from the top. The rules that it follows are the ones that keep two collectors off one address:
 *
 * 1. Nothing is fetched without a live lease, and `lease.signal` stops a fetch in the middle: it aborts the moment the
 *    lease ends, for whatever reason, even when nothing can be heard of the coordinator.
 * 2. A lease is released only after the last fetch through its address has come to its end.
 * 3. `expiring` and `revoking` mean: finish the page, hand the address back.
 * 4. Where nothing is free it stands in line, and is granted an address the moment its turn comes. To ask again and again
 *    instead would be slower, and unfair to those who wait.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProxyAgent, request } from 'undici';
import { type Client, connect, type Lease, LeaseholdError, RefusedError, type Settlement } from '../protocol/client.ts';
import { runIfProgram } from './reference-client-cli.ts';

export interface CollectorOptions {
  /** The coordinator, `ws://127.0.0.1:7400`. */
  readonly url: string;
  /** What people see in the coordinator's logs. */
  readonly name: string;
  readonly resource: number;
  /** Page N is `page/N` below it. */
  readonly target: string;
  readonly country?: string;
  readonly ttlMs: number;
  /** Stop after so many pages; default: only by `signal`. */
  readonly pagesMax?: number;
  /** Then the address has done enough for a while, and others have their turn. */
  readonly pagesPerLease: number;
  /** The longest time in line for one request; then the next one is made. */
  readonly waitMs: number;
  /** The longest pause after an answer that it can't be served now, however long it says. */
  readonly retryMaxMs: number;
  /** Tell the target which lease a request belongs to, for one that checks it. It also tells it who asks. */
  readonly tellTarget: boolean;
  /** Stops: the page under way is finished, the lease released, the session ended. */
  readonly signal: AbortSignal;
  readonly log: (event: CollectorEvent) => void;
}

export type CollectorEvent =
  | { readonly event: 'connected'; readonly session: string; readonly epoch: number; readonly resumed: boolean }
  | { readonly event: 'disconnected'; readonly code: number; readonly leases: number }
  | { readonly event: 'granted'; readonly lease: number; readonly resource: number; readonly proxy: string }
  /** Once for each request that waits. */
  | { readonly event: 'queued'; readonly position: number }
  | { readonly event: 'refused'; readonly reason: string; readonly retryInMs: number }
  | { readonly event: 'page_failed'; readonly lease: number; readonly page: number; readonly message: string }
  | { readonly event: 'page_stopped'; readonly lease: number; readonly page: number; readonly message: string }
  | { readonly event: 'handing_back'; readonly lease: number; readonly why: string }
  | { readonly event: 'released'; readonly lease: number; readonly pages: number }
  | { readonly event: 'lost'; readonly lease: number; readonly end: string; readonly pages: number }
  | { readonly event: 'stopped'; readonly pages: number };

/** A page that takes longer has failed, and so has one that is longer. */
const PAGE_TIMEOUT_MS = 10_000;
const PAGE_BYTES_MAX = 10_000_000;
/** Pages in a row that failed, after which another address may do better. */
const FAILURES_MAX = 3;
/** By which targets say that they have had enough of an address. */
const BANNED_STATUSES = [403, 429];
/** How often the coordinator is told of the requests so far. */
const REPORT_EVERY_PAGES = 25;
/** Where a refusal doesn't say when to ask again, and after a lease that came to nothing. */
const RETRY_DEFAULT_MS = 1_000;
const RETRY_MIN_MS = 50;
/** The leases of a broken connection live on for a while: be back by then. */
const RECONNECT = { minMs: 100, maxMs: 2_000 } as const;
/** What the coordinator can't help with now, and may be able to later. `lease_lost`: granted, and over before it came. */
const PASSING_ERRORS = [
  'overloaded',
  'storage_full',
  'rate_limited',
  'too_many',
  'disconnected',
  'timeout',
  'lease_lost',
];

/** Collects until `signal` or `pagesMax`; the pages fetched. Rejects where trying again would meet the same answer. */
export async function runCollector(options: CollectorOptions): Promise<number> {
  const { signal, log, pagesMax = Number.POSITIVE_INFINITY } = options;
  // No resume window is asked for: should this process die, its addresses are free at once. Should the coordinator die
  // instead, it keeps the session until we are back.
  const client = await connect({ url: options.url, client: options.name, reconnect: RECONNECT, signal });
  log({ event: 'connected', session: client.session, epoch: client.epoch, resumed: false });
  client.on('connected', (welcome) => log({ event: 'connected', ...welcome }));
  client.on('disconnected', ({ code }) => log({ event: 'disconnected', code, leases: client.leases.size }));

  let pages = 0;
  /** Granted in place of leases that were revoked. */
  const substitutes: Lease[] = [];
  try {
    while (!signal.aborted && pages < pagesMax) {
      const lease = substitutes.shift() ?? (await acquire(client, options));
      if (!lease) continue;
      const pagesWanted = Math.min(options.pagesPerLease, pagesMax - pages);
      const fetched = await collect(lease, pages, pagesWanted, substitutes, options);
      pages += fetched;
      // Where no address gets anywhere it may be the target that is down: don't rush through the pool.
      if (fetched === 0) await pause(Math.min(RETRY_DEFAULT_MS, options.retryMaxMs), signal);
    }
  } finally {
    // Says bye: whatever is still held is released.
    await client.close();
    log({ event: 'stopped', pages });
  }
  return pages;
}

/** Undefined: not now; the pause is over, ask again. */
async function acquire(client: Client, options: CollectorOptions): Promise<Lease | undefined> {
  const { resource, ttlMs, waitMs, country, retryMaxMs, signal, log } = options;
  const where = country === undefined ? {} : { where: { country: { eq: country } } };
  let isInLine = false;
  const onQueued = (position: number) => {
    if (!isInLine) log({ event: 'queued', position });
    isInLine = true;
  };
  let reason: string;
  let retryAfterMs: number | undefined;
  try {
    // A short TTL that is renewed for as long as it is needed: if we hang, the address isn't lost to others for long.
    const lease = { resource, ttlMs, ...where, autoRenew: true };
    // By its key the request is known again when the connection breaks: it keeps its place, and is never granted twice.
    return await client.acquire({ ...lease, waitMs, onQueued, key: randomUUID(), signal });
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof RefusedError) reason = error.reason;
    else if (error instanceof LeaseholdError && PASSING_ERRORS.includes(error.code)) reason = error.code;
    else throw error;
    retryAfterMs = error.retryAfterMs;
  }
  // Whoever has waited stands in line again at once.
  if (reason === 'wait_timeout') retryAfterMs = 0;
  const pauseMs = Math.max(RETRY_MIN_MS, Math.min(retryAfterMs ?? RETRY_DEFAULT_MS, retryMaxMs));
  // Those who were refused together don't come back together.
  const retryInMs = Math.round(pauseMs * (1 + Math.random() / 4));
  log({ event: 'refused', reason, retryInMs });
  await pause(retryInMs, signal);
  return undefined;
}

/** Until the time is over or the collector is told to stop. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => {});
}

/** What has been done under one lease. */
interface Turn {
  readonly lease: Lease;
  readonly proxy: ProxyAgent;
  pages: number;
  requests: number;
  /** Failures in a row. */
  failures: number;
  banned: boolean;
  /** Why the address goes back before all is fetched that was wanted. */
  handBack: string | undefined;
}

/** Fetches up to `pagesWanted` pages through the lease's address, then gives it back. How many were fetched. */
async function collect(
  lease: Lease,
  firstPage: number,
  pagesWanted: number,
  substitutes: Lease[],
  options: CollectorOptions,
): Promise<number> {
  const { signal, log } = options;
  const proxyUrl = proxyUrlOf(lease.address.address);
  log({ event: 'granted', lease: lease.token, resource: lease.resource, proxy: proxyUrl.host });
  // A tunnel is for https alone: for http, a proxy that is asked plainly knows which request it forwards.
  const proxyTunnel = new URL(options.target).protocol === 'https:';
  const proxy = new ProxyAgent({ uri: proxyUrl.href, proxyTunnel });
  const turn: Turn = { lease, proxy, pages: 0, requests: 0, failures: 0, banned: false, handBack: undefined };

  lease.on('expiring', () => {
    turn.handBack ??= 'expiring';
  });
  lease.on('revoking', ({ reason, substitute }) => {
    turn.handBack ??= `revoking: ${reason}`;
    if (substitute) substitutes.push(substitute);
  });
  lease.on('revoked', ({ substitute }) => {
    if (substitute) substitutes.push(substitute);
  });

  while (turn.pages < pagesWanted && lease.live && !signal.aborted && turn.handBack === undefined) {
    await takePage(firstPage + turn.pages + 1, turn, options);
    // Nobody waits for the answer, and a report that got lost is made good by the next: the figure is the total so far.
    if (turn.requests % REPORT_EVERY_PAGES === 0) lease.report(settlementOf(turn)).catch(() => {});
  }
  // Rule 2: nothing of ours is on its way through the address when somebody else may get it.
  await proxy.destroy();
  await giveBack(turn, options);
  return turn.pages;
}

/** One page, or what became of it. It is asked for again, through this address or the next, until it is there. */
async function takePage(page: number, turn: Turn, options: CollectorOptions): Promise<void> {
  const { lease } = turn;
  turn.requests += 1;
  try {
    const status = await fetchPage(page, turn, options);
    if (status < 400) {
      turn.pages += 1;
      turn.failures = 0;
      return;
    }
    options.log({ event: 'page_failed', lease: lease.token, page, message: `HTTP ${status}` });
    turn.banned = BANNED_STATUSES.includes(status);
    if (turn.banned) turn.handBack ??= `banned: HTTP ${status}`;
  } catch (error) {
    const { live } = lease;
    options.log({
      event: live ? 'page_failed' : 'page_stopped',
      lease: lease.token,
      page,
      message: (error as Error).message,
    });
    // If the lease has ended, neither the page nor the address is to blame.
    if (!live) return;
  }
  turn.failures += 1;
  if (turn.failures >= FAILURES_MAX) turn.handBack ??= `${turn.failures} failures in a row`;
}

/** The status, once the whole page is there. */
async function fetchPage(page: number, { lease, proxy }: Turn, options: CollectorOptions): Promise<number> {
  const { statusCode, body } = await request(new URL(`page/${page}`, options.target), {
    dispatcher: proxy,
    signal: AbortSignal.any([lease.signal, AbortSignal.timeout(PAGE_TIMEOUT_MS)]),
    headers: options.tellTarget ? { 'x-collector': options.name, 'x-lease': String(lease.token) } : {},
  });
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Leaving the loop cuts the connection.
    if (bytes > PAGE_BYTES_MAX) throw new Error(`a page of more than ${PAGE_BYTES_MAX} bytes`);
  }
  return statusCode;
}

async function giveBack(turn: Turn, { log }: CollectorOptions): Promise<void> {
  const { lease, pages, handBack } = turn;
  if (lease.live) {
    if (handBack !== undefined) log({ event: 'handing_back', lease: lease.token, why: handBack });
    try {
      await lease.release(settlementOf(turn));
    } catch (error) {
      // We don't use it any more, whatever the coordinator has heard: if nothing, it lets the lease run out.
      if (!(error instanceof LeaseholdError)) throw error;
    }
    return log({ event: 'released', lease: lease.token, pages });
  }
  const { end } = await lease.ended;
  log({ event: 'lost', lease: lease.token, end, pages });
  // What became of the address's requests is still worth knowing.
  lease.report(settlementOf(turn)).catch(() => {});
}

function settlementOf({ banned, failures, requests }: Turn): Settlement {
  return { outcome: banned ? 'banned' : failures > 0 ? 'failed' : 'ok', requests };
}

/** An address is `host:port`, or a URL that may carry credentials. Only the URL's `host` is fit to be logged. */
function proxyUrlOf(address: string): URL {
  return new URL(address.includes('://') ? address : `http://${address}`);
}

await runIfProgram(import.meta.filename, runCollector);
