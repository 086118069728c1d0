/** What a client asks of the coordinator, and what it makes of the answers. */
import type { AcquireOptions, Settlement } from './client-api.ts';
import { type Clocks, type Moment, remainingMs } from './client-clock.ts';
import type { Connection } from './client-connection.ts';
import { LeaseholdError, RefusedError } from './client-errors.ts';
import type { HeldLease } from './client-lease.ts';
import { type Claims, deadlineOf, type Leases } from './client-leases.ts';
import { type RequestBody, type RequestOptions, Requests } from './client-requests.ts';
import type { CoordinatorFrame, Grant, WelcomeFrame } from './frames.ts';

/** Keyed acquires given up whose grant may still come; the oldest is forgotten. */
const ABANDONED_KEYS_MAX = 1_024;

export class Calls {
  readonly #connection: Connection;
  readonly #leases: Leases;
  readonly #clocks: Clocks;
  readonly #timeoutMs: number;
  readonly #requests: Requests;
  readonly #abandonedKeys = new Map<number, string>();
  #session = '';
  #closed = false;
  /** The session was ended in words: the coordinator has released what it held. */
  #byeSaid = false;

  constructor(connection: Connection, leases: Leases, clocks: Clocks, timeoutMs: number) {
    this.#connection = connection;
    this.#leases = leases;
    this.#clocks = clocks;
    this.#timeoutMs = timeoutMs;
    this.#requests = new Requests({
      clocks,
      takeId: () => connection.takeId(),
      send: (frame) => connection.send(frame),
      abandoned: (id, body) => this.#onAbandoned(id, body),
    });
  }

  // ---- asking

  acquire(options: AcquireOptions): Promise<HeldLease> {
    const { resource, ttlMs, where, strategy, sticky, waitMs, key, autoRenew = false, signal } = options;
    const optional = present({ where, strategy, sticky, wait_ms: waitMs, key });
    return this.#request({
      body: { type: 'acquire', resource, ttl_ms: ttlMs, ...optional },
      timeoutMs: this.#timeoutMs + (waitMs ?? 0),
      signal,
      repeatable: key !== undefined,
      read: (frame, sentAt) => this.#granted(frame, sentAt, autoRenew ? ttlMs : undefined),
    });
  }

  async ping(): Promise<void> {
    const read = (frame: CoordinatorFrame) => void answered(frame, 'pong');
    await this.#request({ body: { type: 'ping' }, timeoutMs: this.#timeoutMs, repeatable: false, read });
  }

  async renew(lease: HeldLease, ttlMs: number | undefined): Promise<void> {
    const body: RequestBody = { type: 'renew', lease: lease.token, ...present({ ttl_ms: ttlMs }) };
    const read = (frame: CoordinatorFrame, sentAt: Moment) => this.#renewed(frame, sentAt, lease);
    await this.#request({ body, timeoutMs: this.#timeoutMs, repeatable: true, read });
  }

  async settle(type: 'release' | 'report', lease: HeldLease, { outcome, requests }: Settlement): Promise<void> {
    if (type === 'release' && this.#byeSaid) return;
    if (lease.session !== this.#session) throw lease.lostError();
    const body: RequestBody = { type, lease: lease.token, ...present({ outcome, requests }) };
    const read = (frame: CoordinatorFrame) => void answered(frame, type === 'release' ? 'released' : 'reported');
    await this.#request({ body, timeoutMs: this.#timeoutMs, repeatable: true, read });
  }

  /** Gives back what nobody here holds. Where it can't be told now, `welcome` will list the lease, and it is told then. */
  discard(token: number): void {
    this.#connection.send({ type: 'release', id: this.#connection.takeId(), lease: token });
  }

  // ---- what the connection brings

  /** First the leases, then what the coordinator still queues for nobody, then the requests that waited. */
  onWelcome(welcome: WelcomeFrame, helloSentAt: Moment): void {
    this.#session = welcome.session;
    const claims = this.#claims();
    this.#leases.reconcile(welcome, helloSentAt, claims);
    if (!welcome.resumed) {
      const lost = new LeaseholdError('lease_lost', 'the session of the lease could not be resumed');
      this.#requests.fail(lost, ({ type }) => type === 'renew' || type === 'release' || type === 'report');
    }
    for (const { request, key } of welcome.waiting) {
      if (key === undefined || !claims.keys.has(key)) this.#cancel(request);
    }
    this.#requests.sendWaiting();
  }

  onAnswer(id: number, frame: CoordinatorFrame): void {
    if (!this.#requests.answer(id, frame) && frame.type === 'granted') this.#onLateGrant(id, grantsOf(frame));
  }

  onDrop(): void {
    this.#requests.connectionLost();
  }

  close(error: LeaseholdError, byeSaid: boolean): void {
    this.#closed = true;
    this.#byeSaid = byeSaid;
    this.#requests.fail(error);
  }

  // ---- answers

  #granted(frame: CoordinatorFrame, sentAt: Moment, autoRenewTtlMs: number | undefined): HeldLease {
    if (frame.type === 'refused') throw new RefusedError(frame.reason, frame.why, frame.retry_after_ms);
    const [grant, ...surplus] = grantsOf(answered(frame, 'granted'));
    for (const { lease } of surplus) this.discard(lease);
    if (!grant) throw new LeaseholdError('bad_frame', 'a grant of no lease');
    // It can't have waited for longer than we have: a replayed answer may tell of a wait that was over before.
    const waitedMs = Math.min(grant.waited_ms ?? 0, this.#clocks.monoMs() - sentAt.monoMs);
    const deadline = deadlineOf(sentAt, grant.ttl_ms, waitedMs);
    if (remainingMs(deadline, this.#clocks) <= 0) {
      this.discard(grant.lease);
      throw new LeaseholdError('timeout', 'the grant arrived when its TTL was over');
    }
    return this.#leases.adopt(grant, deadline, this.#session, autoRenewTtlMs);
  }

  #renewed(frame: CoordinatorFrame, sentAt: Moment, lease: HeldLease): void {
    if (frame.type === 'error' && isOver(frame.code)) lease.end({ end: 'session_lost', reason: frame.code });
    const renewed = answered(frame, 'renewed');
    if ('leases' in renewed) throw new LeaseholdError('bad_frame', 'one lease was renewed and several were answered');
    if (!lease.live) {
      // Renewed there and over here: nobody would use what was just prolonged.
      this.discard(lease.token);
      throw lease.lostError();
    }
    lease.extend(deadlineOf(sentAt, renewed.ttl_ms), renewed.ttl_ms);
  }

  /** Nobody waits for it any more: given back, unless the same key has been asked again and will be answered with it. */
  #onLateGrant(id: number, grants: readonly Grant[]): void {
    const key = this.#abandonedKeys.get(id);
    this.#abandonedKeys.delete(id);
    if (key !== undefined && this.#claims().keys.has(key)) return;
    for (const { lease } of grants) if (!this.#leases.live.has(lease)) this.discard(lease);
  }

  #onAbandoned(id: number, body: RequestBody): void {
    if (body.type !== 'acquire') return;
    if (body.wait_ms) this.#cancel(id);
    if (body.key === undefined) return;
    this.#abandonedKeys.set(id, body.key);
    for (const oldest of this.#abandonedKeys.keys()) {
      if (this.#abandonedKeys.size <= ABANDONED_KEYS_MAX) return;
      this.#abandonedKeys.delete(oldest);
    }
  }

  #cancel(request: number): void {
    this.#connection.send({ type: 'cancel', id: this.#connection.takeId(), request });
  }

  #claims(): Claims {
    const releasing = new Set<number>();
    const keys = new Set<string>();
    for (const body of this.#requests.bodies()) {
      if (body.type === 'release') releasing.add(body.lease);
      if (body.type === 'acquire' && body.key !== undefined) keys.add(body.key);
    }
    return { releasing, keys };
  }

  async #request<Answer>(options: RequestOptions<Answer>): Promise<Answer> {
    if (this.#closed) throw new LeaseholdError('closed', 'the client is closed');
    return this.#requests.start(options);
  }
}

// ---- frames

/** The answer, where it is of the kind that the request asks for; throws what the coordinator answered otherwise. */
function answered<Type extends CoordinatorFrame['type']>(
  frame: CoordinatorFrame,
  type: Type,
): Extract<CoordinatorFrame, { type: Type }> {
  if (frame.type === type) return frame as Extract<CoordinatorFrame, { type: Type }>;
  if (frame.type !== 'error') throw new LeaseholdError('bad_frame', `${frame.type} where ${type} was due`);
  const { code, message, path, retry_after_ms: retryAfterMs } = frame;
  throw new LeaseholdError(code, message, { path, retryAfterMs });
}

function grantsOf(frame: Extract<CoordinatorFrame, { type: 'granted' }>): readonly Grant[] {
  return 'leases' in frame ? frame.leases : [frame];
}

/** Answers to a renewal after which the lease can't be believed in. */
function isOver(code: string): boolean {
  return code === 'lease_lost' || code === 'unknown_lease' || code === 'not_holder';
}

/** The fields that have a value: on the wire an absent one is not there at all. */
export function present<Fields extends object>(fields: Fields) {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };
}
