/** What a client asks of the coordinator, and what it makes of the answers. */
import { Acquires } from './client-acquires.ts';
import type {
  AcquireManyOptions,
  AcquireOptions,
  CountOptions,
  ExplainOptions,
  Explanation,
  Settlement,
} from './client-api.ts';
import type { Clocks, Moment } from './client-clock.ts';
import type { Connection } from './client-connection.ts';
import { LeaseholdError } from './client-errors.ts';
import { answered, present, termsOf } from './client-frames.ts';
import type { HeldLease } from './client-lease.ts';
import { deadlineOf, type Leases } from './client-leases.ts';
import { type RequestBody, Requests } from './client-requests.ts';
import type { CoordinatorFrame, QueuedFrame, WelcomeFrame } from './frames.ts';
import { COUNT_KEYS_MS } from './limits.ts';

/** The coordinator must still know the key of a count when the last repetition of it arrives. */
const COUNT_TIMEOUT_MS_MAX = COUNT_KEYS_MS / 2;

export interface CallsOptions {
  readonly connection: Connection;
  readonly leases: Leases;
  readonly clocks: Clocks;
  readonly timeoutMs: number;
  readonly random: () => number;
}

export class Calls {
  readonly #connection: Connection;
  readonly #leases: Leases;
  readonly #timeoutMs: number;
  readonly #random: () => number;
  readonly #requests: Requests;
  readonly #acquires: Acquires;
  #session = '';
  /** The session was ended in words: the coordinator has released what it held. */
  #byeSaid = false;
  /** Counts that were given a key here. */
  #keysMade = 0;

  constructor({ connection, leases, clocks, timeoutMs, random }: CallsOptions) {
    this.#connection = connection;
    this.#leases = leases;
    this.#timeoutMs = timeoutMs;
    this.#random = random;
    this.#requests = new Requests({
      clocks,
      takeId: () => connection.takeId(),
      send: (frame) => connection.send(frame),
      abandoned: (request) => this.#acquires.onAbandoned(request),
    });
    this.#acquires = new Acquires({
      requests: this.#requests,
      leases,
      clocks,
      timeoutMs,
      session: () => this.#session,
      cancel: (request) => void connection.send({ type: 'cancel', id: connection.takeId(), request }),
    });
  }

  // ---- asking

  acquire(options: AcquireOptions): Promise<HeldLease> {
    return this.#acquires.acquire(options);
  }

  acquireMany(options: AcquireManyOptions): Promise<HeldLease[]> {
    return this.#acquires.acquireMany(options);
  }

  explain(options: ExplainOptions): Promise<Explanation> {
    const { count, signal } = options;
    const body: RequestBody = { type: 'explain', ...termsOf(options), ...present({ count }) };
    const read = (frame: CoordinatorFrame): Explanation => {
      const { would, why } = answered(frame, 'explained');
      return { would, why };
    };
    return this.#requests.start({ body, timeoutMs: this.#timeoutMs, signal, onDrop: 'repeat', read });
  }

  count({ counter, by, key = this.#keyFor(by), signal }: CountOptions): Promise<number> {
    const body: RequestBody = { type: 'count', counter, by, ...present({ key }) };
    const timeoutMs = Math.min(this.#timeoutMs, COUNT_TIMEOUT_MS_MAX);
    const read = (frame: CoordinatorFrame) => answered(frame, 'counted').value;
    return this.#requests.start({ body, timeoutMs, signal, onDrop: 'repeat', read });
  }

  async ping(): Promise<void> {
    const read = (frame: CoordinatorFrame) => void answered(frame, 'pong');
    await this.#requests.start({ body: { type: 'ping' }, timeoutMs: this.#timeoutMs, onDrop: 'fail', read });
  }

  async renew(lease: HeldLease, ttlMs: number | undefined): Promise<void> {
    const body: RequestBody = { type: 'renew', lease: lease.token, ...present({ ttl_ms: ttlMs }) };
    const read = (frame: CoordinatorFrame, sentAt: Moment) => this.#renewed(frame, sentAt, lease);
    await this.#requests.start({ body, timeoutMs: this.#timeoutMs, onDrop: 'repeat', read });
  }

  async settle(type: 'release' | 'report', lease: HeldLease, { outcome, requests }: Settlement): Promise<void> {
    if (type === 'release' && this.#byeSaid) return;
    if (lease.session !== this.#session) throw lease.lostError();
    const body: RequestBody = { type, lease: lease.token, ...present({ outcome, requests }) };
    const read = (frame: CoordinatorFrame) => void answered(frame, type === 'release' ? 'released' : 'reported');
    await this.#requests.start({ body, timeoutMs: this.#timeoutMs, onDrop: 'repeat', read });
  }

  /** Gives back what nobody here holds. Where it can't be told now, `welcome` will list the lease, and it is told then. */
  discard(token: number): void {
    this.#connection.send({ type: 'release', id: this.#connection.takeId(), lease: token });
  }

  // ---- what the connection brings

  /** First what the broken connection left open, then the leases, then the line, then the requests that waited. */
  onWelcome(welcome: WelcomeFrame, helloSentAt: Moment): void {
    this.#session = welcome.session;
    this.#acquires.settleInDoubt(welcome, helloSentAt);
    const releasing = this.#releasing();
    this.#leases.reconcile(welcome, helloSentAt, (held) => releasing.has(held.lease) || this.#acquires.claim(held));
    if (!welcome.resumed) {
      const lost = new LeaseholdError('lease_lost', 'the session of the lease could not be resumed');
      this.#requests.fail(lost, ({ type }) => type === 'renew' || type === 'release' || type === 'report');
      // In another session their keys are new ones: sent again, they might count twice.
      const unknown = new LeaseholdError('disconnected', 'the session was lost before count was answered');
      this.#requests.fail(unknown, (body, isRepeated) => isRepeated && body.type === 'count' && body.key !== undefined);
    }
    this.#acquires.cancelUnclaimed(welcome.waiting);
    this.#requests.sendWaiting();
  }

  onAnswer(id: number, frame: CoordinatorFrame): void {
    if (!this.#requests.answer(id, frame)) this.#acquires.onLateAnswer(id, frame);
  }

  onQueued(frame: QueuedFrame): void {
    if (!this.#requests.queued(frame)) this.#acquires.onLateQueued(frame);
  }

  onDrop(): void {
    this.#requests.connectionLost();
  }

  close(error: LeaseholdError, byeSaid: boolean): void {
    this.#byeSaid = byeSaid;
    this.#requests.close(error);
  }

  // ---- counts

  /** With a key of its own a count may be sent again; to add 0 is to read, as often as one likes. */
  #keyFor(by: number): string | undefined {
    if (by === 0) return undefined;
    this.#keysMade += 1;
    // Its random part keeps it apart from the caller's keys.
    return `count ${this.#keysMade} ${this.#random().toString(36).slice(2)}`;
  }

  // ---- answers

  /** Tokens that a release under way will see to, with what it has to say. */
  #releasing(): ReadonlySet<number> {
    const tokens = new Set<number>();
    for (const body of this.#requests.bodies()) if (body.type === 'release') tokens.add(body.lease);
    return tokens;
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
}

/** Answers to a renewal after which the lease can't be believed in. */
function isOver(code: string): boolean {
  return code === 'lease_lost' || code === 'unknown_lease' || code === 'not_holder';
}
