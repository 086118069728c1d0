/**
 * The checker that stands outside the coordinator: collectors that acquire, renew and release as fast as they are
 * answered, and remember only what they were told. After each crash and start it must be so.
 */
import type { CoordinatorFrame, Grant, WelcomeFrame } from '../../protocol/frames.ts';
import type { CoordinatorProcess } from './coordinator-run.ts';
import { CRASH_RESOURCES } from './crash-start.ts';
import { WireClient } from './wire-client.ts';

const COLLECTORS = 20;
const RESOURCES = CRASH_RESOURCES.single;
/** Long beside a run between two crashes, so that nothing expires; a renewal shows, since it asks for more. */
const ACQUIRE_TTL_MS = 120_000;
const RENEW_TTL_MS = 240_000;
const GRANT_WAIT_MS = 10_000;
/** Held at most by one collector; more than its pool has would only make refusals. */
const HELD_MAX = 5;

/** One collector more takes many addresses at once, under a condition whose text goes into each of their events. */
const FILLER = { resource: CRASH_RESOURCES.many, count: 40, where: { address: { ne: '-'.repeat(2_000) } } };

export interface CrashRun {
  readonly random: () => number;
  /** Crashes at most; a finding ends the run. */
  readonly crashes: number;
  /** Between a start and the crash: from … to, short ones far more often. */
  readonly loadMs: readonly [least: number, most: number];
  /** A crash may begin with a disk that seems full: then acquires and renewals may be refused for that. */
  readonly mayBeFull?: boolean;
  start(): Promise<CoordinatorProcess>;
  /** Ends the process, and what else is to go with it; another may be started when it resolves. */
  crash(coordinator: CoordinatorProcess): Promise<void>;
  /** A crash was survived. */
  onCrash?(): void;
}

export interface CrashResult {
  readonly crashes: number;
  /** What isn't as collectors were told; no line breaks in it. */
  readonly findings: readonly string[];
}

/** Starts, loads, crashes and starts again. Kills the coordinator in the end, whatever happened. */
export async function crashUnderLoad(run: CrashRun): Promise<CrashResult> {
  const load = new CrashLoad(run.random, run.mayBeFull ?? false);
  let coordinator = await run.start();
  let crashes = 0;
  try {
    await load.connect(coordinator.port);
    while (crashes < run.crashes && load.findings.length === 0) {
      const toldBefore = load.toldCount;
      const running = load.runUntilClosed();
      // Looked at below; until then it must not count as one that nobody looks at.
      running.catch(() => undefined);
      const [least, most] = run.loadMs;
      await new Promise((resolve) => setTimeout(resolve, least + run.random() ** 4 * (most - least)));
      await load.untilToldMoreThan(toldBefore);
      await run.crash(coordinator);
      await running;
      crashes += 1;
      coordinator = await run.start();
      await load.resume(coordinator.port);
      await load.checkNextToken(coordinator.port);
      if (load.findings.length === 0) run.onCrash?.();
    }
    return { crashes, findings: load.findings };
  } catch (error) {
    const message = (error as Error).message.replaceAll('\n', ' ');
    return { crashes, findings: [...load.findings, message] };
  } finally {
    await coordinator.kill('SIGKILL');
    await load.close();
  }
}

/** A grant that a collector was told of. */
interface Told {
  readonly pair: string;
  /** No deadline may be nearer than this one, ms of performance.now(): the last one acknowledged. */
  deadlineMs: number;
  /** The collector has asked for the release; whether it was taken is open until it is answered. */
  releaseSent: boolean;
  released: boolean;
}

interface Collector {
  client: WireClient;
  welcome: WelcomeFrame;
  readonly held: Set<number>;
}

class CrashLoad {
  readonly findings: string[] = [];
  readonly #random: () => number;
  /** The error code that is no surprise under load. */
  readonly #refusal: string | undefined;
  readonly #collectors: Collector[] = [];
  #filler: Collector | undefined;
  readonly #told = new Map<number, Told>();
  /** Who was told to hold a pair and hasn't asked for its release. */
  readonly #believers = new Map<string, number>();
  #highestToken = 0;
  /** Every token of this run lies above what any run before it gave. */
  #tokenFloor = 0;

  constructor(random: () => number, mayBeFull: boolean) {
    this.#random = random;
    this.#refusal = mayBeFull ? 'storage_full' : undefined;
  }

  get toldCount(): number {
    return this.#told.size;
  }

  async connect(port: number): Promise<void> {
    for (let index = 0; index < COLLECTORS; index += 1) {
      this.#collectors.push({ ...(await WireClient.hello(port)), held: new Set() });
    }
    this.#filler = { ...(await WireClient.hello(port, { batch: true })), held: new Set() };
    this.#collectors.push(this.#filler);
  }

  /** A crash before the first grant shows nothing. Rejects where none comes. */
  async untilToldMoreThan(count: number): Promise<void> {
    for (const endMs = Date.now() + GRANT_WAIT_MS; this.toldCount <= count; ) {
      if (Date.now() > endMs) throw new Error(`no grant in ${GRANT_WAIT_MS} ms: there is no load`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Runs every collector until its socket closes, which it does when the coordinator dies. */
  async runUntilClosed(): Promise<void> {
    await Promise.all(this.#collectors.map((collector) => this.#collect(collector)));
  }

  /** Resumes every session and holds what the coordinator says of its leases against what the collectors were told. */
  async resume(port: number): Promise<void> {
    this.#tokenFloor = this.#highestToken;
    await Promise.all(this.#collectors.map((collector) => this.#resume(collector, port)));
    this.#checkExclusive();
  }

  /** What a newcomer is granted lies above every token ever told. */
  async checkNextToken(port: number): Promise<void> {
    const { client } = await WireClient.hello(port);
    for (const resource of RESOURCES) {
      const answer = await answerTo(client, { type: 'acquire', resource, ttl_ms: ACQUIRE_TTL_MS });
      if (answer.type === 'granted' && 'lease' in answer) this.#checkToken(answer.lease);
    }
    await client.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.#collectors.map(({ client }) => client.terminate()));
  }

  async #resume(collector: Collector, port: number): Promise<void> {
    const { session, secret, epoch } = collector.welcome;
    const { client, welcome } = await WireClient.hello(port, {
      batch: collector === this.#filler,
      resume: { session, secret },
    });
    if (!welcome.resumed) this.findings.push(`session ${session}, which was acknowledged, is lost`);
    if (welcome.epoch <= epoch) this.findings.push(`epoch ${welcome.epoch} follows ${epoch}`);
    const there = new Set(welcome.leases.map(({ lease }) => lease));
    for (const lease of collector.held) {
      const { releaseSent, released } = this.#told.get(lease)!;
      if (!releaseSent && !there.has(lease)) this.findings.push(`lease ${lease}, which was acknowledged, is lost`);
      if (released && there.has(lease)) this.findings.push(`the release of ${lease}, which was acknowledged, is lost`);
    }
    for (const grant of welcome.leases) {
      // One that was durable when its answer was lost is news to the collector.
      if (!this.#told.has(grant.lease)) this.#note(grant, performance.now());
      this.#checkRemaining(grant);
    }
    collector.held.clear();
    for (const lease of there) collector.held.add(lease);
    Object.assign(collector, { client, welcome });
  }

  /** The coordinator's clock may have stood still meanwhile, but it never runs ahead: no deadline comes nearer. */
  #checkRemaining({ lease, ttl_ms: remainingMs }: Grant): void {
    const leastMs = Math.min(this.#told.get(lease)!.deadlineMs - performance.now(), ACQUIRE_TTL_MS);
    if (remainingMs >= leastMs && remainingMs <= RENEW_TTL_MS) return;
    this.findings.push(`lease ${lease} has ${remainingMs} ms left, not from ${leastMs} to ${RENEW_TTL_MS}`);
  }

  async #collect(collector: Collector): Promise<void> {
    try {
      while (true) await (collector === this.#filler ? this.#fill(collector) : this.#step(collector));
    } catch (error) {
      if (!(error as Error).message.startsWith('closed while')) throw error;
    }
  }

  async #step(collector: Collector): Promise<void> {
    const { client, held } = collector;
    const [oldest] = held;
    const resource = RESOURCES[Math.floor(this.#random() * RESOURCES.length)]!;
    const sentMs = performance.now();
    if (oldest !== undefined && (held.size > HELD_MAX || this.#random() < 0.3)) {
      await this.#release(collector, oldest);
    } else if (oldest !== undefined && this.#random() < 0.2) {
      const answer = await answerTo(client, { type: 'renew', lease: oldest, ttl_ms: RENEW_TTL_MS }, this.#refusal);
      if (answer.type !== 'error') this.#told.get(oldest)!.deadlineMs = sentMs + RENEW_TTL_MS;
    } else {
      const answer = await answerTo(client, { type: 'acquire', resource, ttl_ms: ACQUIRE_TTL_MS }, this.#refusal);
      this.#granted(collector, answer, sentMs);
    }
  }

  async #fill(collector: Collector): Promise<void> {
    const { client, held } = collector;
    if (held.size > 0) {
      await Promise.all(Array.from(held, (lease) => this.#release(collector, lease)));
      return;
    }
    const sentMs = performance.now();
    const answer = await answerTo(client, { type: 'acquire', ttl_ms: ACQUIRE_TTL_MS, ...FILLER }, this.#refusal);
    this.#granted(collector, answer, sentMs);
  }

  async #release({ client, held }: Collector, lease: number): Promise<void> {
    const told = this.#told.get(lease)!;
    told.releaseSent = true;
    this.#believers.delete(told.pair);
    await answerTo(client, { type: 'release', lease });
    told.released = true;
    held.delete(lease);
  }

  #granted(collector: Collector, answer: CoordinatorFrame, sentMs: number): void {
    if (answer.type !== 'granted') return;
    for (const grant of 'leases' in answer ? answer.leases : [answer]) {
      this.#checkToken(grant.lease);
      this.#note(grant, sentMs + ACQUIRE_TTL_MS);
      collector.held.add(grant.lease);
    }
  }

  #checkToken(lease: number): void {
    if (lease <= this.#tokenFloor) this.findings.push(`token ${lease} was granted after ${this.#tokenFloor}`);
    this.#highestToken = Math.max(this.#highestToken, lease);
  }

  #note({ lease, resource, address }: Grant, deadlineMs: number): void {
    if (this.#told.has(lease)) this.findings.push(`token ${lease} was granted twice`);
    const pair = `${address.address} for ${resource}`;
    const believer = this.#believers.get(pair);
    if (believer !== undefined) this.findings.push(`${pair} was granted as ${lease} while ${believer} holds it`);
    this.#told.set(lease, { pair, deadlineMs, releaseSent: false, released: false });
    this.#believers.set(pair, lease);
    this.#highestToken = Math.max(this.#highestToken, lease);
  }

  /** No two collectors hold one pair, by what the coordinator has just said. */
  #checkExclusive(): void {
    this.#believers.clear();
    for (const { held } of this.#collectors) {
      for (const lease of held) {
        const told = this.#told.get(lease)!;
        const other = this.#believers.get(told.pair);
        if (other !== undefined) this.findings.push(`${told.pair} is held as ${other} and as ${lease}`);
        this.#believers.set(told.pair, lease);
        // Its release was lost with the crash, so it is held as before.
        told.releaseSent = false;
      }
    }
  }
}

/** Rejects where the answer is an error, but for one with the code `refusal`. */
async function answerTo(
  client: WireClient,
  frame: Record<string, unknown>,
  refusal?: string,
): Promise<CoordinatorFrame> {
  const id = client.send(frame);
  const answer = await client.next((it) => 'id' in it && it.id === id, 'an answer');
  if (answer.type === 'error' && answer.code !== refusal) throw new Error(`unexpected ${JSON.stringify(answer)}`);
  return answer;
}
