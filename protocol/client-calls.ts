/** What a client asks of the coordinator, and what it makes of the answers. */
import { Acquires } from './client-acquires.ts';
import type { AcquireManyOptions, AcquireOptions, ExplainOptions, Explanation, Settlement } from './client-api.ts';
import type { Clocks, Moment } from './client-clock.ts';
import type { Connection } from './client-connection.ts';
import { LeaseholdError } from './client-errors.ts';
import { answered, present, termsOf } from './client-frames.ts';
import type { HeldLease } from './client-lease.ts';
import { deadlineOf, type Leases } from './client-leases.ts';
import { type RequestBody, Requests } from './client-requests.ts';
import type { CoordinatorFrame, QueuedFrame, WelcomeFrame } from './frames.ts';

export class Calls {
  readonly #connection: Connection;
  readonly #leases: Leases;
  readonly #timeoutMs: number;
  readonly #requests: Requests;
  readonly #acquires: Acquires;
  #session = '';
  /** The session was ended in words: the coordinator has released what it held. */
  #byeSaid = false;

  constructor(connection: Connection, leases: Leases, clocks: Clocks, timeoutMs: number) {
    this.#connection = connection;
    this.#leases = leases;
    this.#timeoutMs = timeoutMs;
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
