/** A virtual user: one session by way of the client library, its leases by name, and what is measured of both. */
import { type Client, connect, type Lease, LeaseholdError, RefusedError } from '../../protocol/client.ts';
import type { AcquireFrame, CountFrame, HelloFrame, ReportFrame } from '../../protocol/frames.ts';
import { DuePushes } from './due-pushes.ts';
import type { Metrics, Verb } from './metrics.ts';
import type { PairWatch } from './pair-watch.ts';
import { type PushTap, tapPushes } from './push-tap.ts';

/** `config.engines.leasehold` of a scenario, beside what each `hello` may say differently. */
export interface CollectorOptions {
  readonly url: string;
  readonly hello: Partial<HelloOptions>;
  readonly requestTimeoutMs: number;
  /** Longest pause between two attempts to come back. */
  readonly reconnectMaxMs: number;
}
export type HelloOptions = Pick<HelloFrame, 'client' | 'api_key' | 'resume_window_ms' | 'notice_ms'>;
export type AcquireOptions = Omit<AcquireFrame, 'type' | 'id'>;
export type Settlement = Pick<ReportFrame, 'outcome' | 'requests'>;
export type CountOptions = Pick<CountFrame, 'counter' | 'by'>;

export class Collector {
  readonly #options: CollectorOptions;
  readonly #metrics: Metrics;
  readonly #pairs: PairWatch;
  readonly #leases = new Map<string, readonly Lease[]>();
  #client: Client | undefined;
  #tap: PushTap | undefined;
  #due: DuePushes | undefined;

  constructor(options: CollectorOptions, metrics: Metrics, pairs: PairWatch) {
    this.#options = options;
    this.#metrics = metrics;
    this.#pairs = pairs;
  }

  /** Opens a session where there is none. Rejects where none comes about in time. */
  async hello(options: Partial<HelloOptions> = {}): Promise<Client> {
    if (this.#client) return this.#client;
    const { url, requestTimeoutMs, reconnectMaxMs } = this.#options;
    const hello = { ...this.#options.hello, ...options };
    const due = new DuePushes(this.#metrics, hello.notice_ms);
    const tap = tapPushes((frame) => {
      if (frame.type === 'welcome') due.noticeMs = hello.notice_ms ?? frame.limits.notice_ms;
      else due.arrived(frame);
    });
    const startMs = performance.now();
    const client = await connect({
      url,
      ...(hello.client === undefined ? {} : { client: hello.client }),
      ...(hello.api_key === undefined ? {} : { apiKey: hello.api_key }),
      ...(hello.resume_window_ms === undefined ? {} : { resumeWindowMs: hello.resume_window_ms }),
      ...(hello.notice_ms === undefined ? {} : { noticeMs: hello.notice_ms }),
      reconnect: { maxMs: reconnectMaxMs },
      connectTimeoutMs: requestTimeoutMs,
      requestTimeoutMs,
      WebSocket: tap.WebSocket,
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    this.#metrics.answered('connect', performance.now() - startMs);
    this.#metrics.count('opened');
    client.on('disconnected', () => this.#metrics.count('disconnected'));
    client.on('connected', ({ resumed }) => this.#metrics.count(resumed ? 'resumed' : 'replaced'));
    client.on('lost', () => this.#metrics.count('lost_leases'));
    this.#client = client;
    this.#tap = tap;
    this.#due = due;
    return client;
  }

  async acquire(name: string, body: AcquireOptions): Promise<void> {
    const client = await this.hello();
    const { resource, ttl_ms: ttlMs, wait_ms: waitMs, count, where, strategy, sticky, key } = body;
    let isQueued = false;
    const onQueued = () => {
      if (!isQueued) this.#metrics.count('queued');
      isQueued = true;
    };
    const terms = {
      resource,
      ttlMs,
      onQueued,
      ...(waitMs === undefined ? {} : { waitMs }),
      ...(where === undefined ? {} : { where }),
      ...(strategy === undefined ? {} : { strategy }),
      ...(sticky === undefined ? {} : { sticky }),
      ...(key === undefined ? {} : { key }),
    };
    this.#leases.delete(name);
    await this.#measured(
      () => (isQueued ? 'wait' : 'acquire'),
      async () => {
        const leases =
          count === undefined ? [await client.acquire(terms)] : await client.acquireMany({ ...terms, count });
        this.#leases.set(name, leases);
        for (const lease of leases) this.#granted(lease);
      },
    );
  }

  /** Keeps the leases for that long; ends before where they do. */
  async hold(name: string, forMs: number, renewEveryMs: number | undefined): Promise<void> {
    const leases = this.#live(name);
    if (leases.length === 0) return;
    const ended = Promise.all(leases.map((lease) => lease.ended)).then(() => true);
    const endMs = performance.now() + forMs;
    for (;;) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return;
      if (await isFirst(ended, Math.min(leftMs, renewEveryMs ?? leftMs))) return this.#metrics.count('ended_early');
      if (renewEveryMs !== undefined && performance.now() < endMs) await this.renew(name);
    }
  }

  async renew(name: string, ttlMs?: number): Promise<void> {
    for (const lease of this.#live(name)) {
      await this.#measured('renew', () => lease.renew(ttlMs));
      if (lease.live) this.#due?.expect(lease);
    }
  }

  /** Of leases that have ended, too: what became of the work is often known last. */
  async report(name: string, settlement: Settlement): Promise<void> {
    const leases = this.#leases.get(name);
    if (!leases) this.#metrics.count('skipped');
    for (const lease of leases ?? []) await this.#measured('report', () => lease.report(settled(settlement)));
  }

  async release(name: string, settlement: Settlement): Promise<void> {
    for (const lease of this.#live(name)) await this.#measured('release', () => lease.release(settled(settlement)));
    this.#leases.delete(name);
  }

  async count(options: CountOptions): Promise<void> {
    const client = await this.hello();
    await this.#measured('count', () => client.count(options));
  }

  /** As a crash would: the connection is gone without a word, and nobody comes back. */
  async drop(): Promise<void> {
    if (!this.#client) return;
    this.#metrics.count('dropped');
    this.#tap?.cut();
    await this.bye();
  }

  /** Ends the session, where it can still be told. */
  async bye(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#leases.clear();
    await client?.close();
  }

  #live(name: string): readonly Lease[] {
    const leases = this.#leases.get(name)?.filter((lease) => lease.live) ?? [];
    if (leases.length === 0) this.#metrics.count('skipped');
    return leases;
  }

  #granted(lease: Lease): void {
    const due = this.#due;
    this.#metrics.count('granted');
    if (this.#pairs.take(lease)) this.#metrics.count('overlaps');
    due?.expect(lease);
    void lease.ended.then(({ end }) => {
      // An expiry ends the lease here first; its push is still to come.
      if (end !== 'expired') due?.forget(lease.token);
    });
  }

  /** Rejects only where nothing can be asked any more; what the coordinator says otherwise is counted. */
  async #measured(verb: Verb | (() => Verb), ask: () => Promise<unknown>): Promise<void> {
    const startMs = performance.now();
    const answered = () =>
      this.#metrics.answered(typeof verb === 'string' ? verb : verb(), performance.now() - startMs);
    this.#metrics.count('requests');
    try {
      await ask();
      answered();
    } catch (error) {
      if (error instanceof RefusedError) {
        answered();
        this.#metrics.refused(error.reason);
      } else if (error instanceof LeaseholdError) {
        this.#metrics.failed(error.code);
        if (error.code === 'closed') throw error;
      } else throw error;
    }
  }
}

/** Without the fields that have no value. */
function settled({ outcome, requests }: Settlement) {
  return { ...(outcome === undefined ? {} : { outcome }), ...(requests === undefined ? {} : { requests }) };
}

/** Whether `event` comes within `ms`. */
async function isFirst(event: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(done, ms, false);
  });
  const first = await Promise.race([event, late]);
  clearTimeout(timer);
  return first;
}
