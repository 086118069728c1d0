import { hash } from 'node:crypto';
import { CLOSE } from '../../protocol/codes.ts';
import type { CoordinatorFrame, HelloFrame, SessionLimits } from '../../protocol/frames.ts';
import { FRAME_BYTES_MAX, MESSAGE_BYTES_MAX } from '../../protocol/limits.ts';
import type { Access, Caller } from '../clients/access.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { CounterAnswers, CounterCommand } from '../counters/commands.ts';
import type { CounterState } from '../counters/state.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice, SessionNotice } from '../lease/commands.ts';
import type { Owner } from '../lease/holder.ts';
import type { LeaseState } from '../lease/state.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { Admission } from './admission.ts';
import { Connection } from './connection.ts';
import { noticeFrame } from './outgoing-frames.ts';
import type { Socket, SocketHandlers } from './socket.ts';

/** Bytes of a session's id and of its secret before they are written as text. */
const SESSION_ID_BYTES = 12;
const SECRET_BYTES = 24;
/** Sockets are pinged in so many groups, one after the other, so that no turn pings them all. */
const HEARTBEAT_GROUPS = 20;
/** After `goaway` clients come back over this time, longer where they are many. */
const RECONNECT_SPREAD_MIN_MS = 200;
const RECONNECT_SPREAD_MS_PER_SESSION = 0.2;

export interface SessionHubLimits {
  readonly heartbeatMs: number;
  readonly helloTimeoutMs: number;
  /** How long a closing handshake may take; the transport cuts it off then. */
  readonly closeTimeoutMs: number;
  readonly resumeWindowMaxMs: number;
  /** For sessions that don't say; undefined: a third of each lease's TTL, at most 5 s. */
  readonly noticeMs: number | undefined;
  /** Sessions at most, suspended ones included. */
  readonly sessionsMax: number;
  /** The same of one client with a key; undefined: as many as there may be in all. */
  readonly sessionsPerClientMax: number | undefined;
  /** Sockets at most of one IP, of IPv6 of one /64. */
  readonly socketsPerIpMax: number;
  /** Bytes that may wait for one peer; beyond it the socket is closed and the session suspended. */
  readonly outboxBytesMax: number;
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
}

/** What the operator reads of sessions; pino's loggers fit. */
export interface SessionLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export interface SessionHubOptions {
  readonly coordinator: Coordinator;
  readonly leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;
  readonly counters: DomainPort<CounterState, CounterCommand, CounterAnswers, never>;
  readonly access: Access;
  readonly scheduler: Scheduler;
  readonly limits: SessionHubLimits;
  readonly log: SessionLog;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

/** All sockets, and which of them carries which session. */
export class SessionHub {
  readonly limits: SessionHubLimits;
  readonly leases: SessionHubOptions['leases'];
  readonly counters: SessionHubOptions['counters'];
  readonly scheduler: Scheduler;
  readonly log: SessionLog;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly #options: SessionHubOptions;
  readonly #connections = new Set<Connection>();
  readonly #groups: readonly Set<Connection>[] = Array.from({ length: HEARTBEAT_GROUPS }, () => new Set<Connection>());
  /** Invariant: at most one connection a session: the newest. */
  readonly #bySession = new Map<string, Connection>();
  readonly #unflushed = new Set<Connection>();
  /** Those that have more to do than one turn takes. */
  #backlogged = new Set<Connection>();
  #turn = 0;
  #isTurnDeferred = false;
  /** One for all turns. */
  readonly #deferredTurn = () => this.#nextTurn();
  #accepted = 0;
  #isDraining = false;
  #cancelHeartbeat: () => void = () => {};
  #emptied: (() => void) | undefined;

  constructor(options: SessionHubOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.leases = options.leases;
    this.counters = options.counters;
    this.scheduler = options.scheduler;
    this.log = options.log;
    this.admission = new Admission(options.access, options.limits);
    this.metrics = options.metrics;
    options.leases.onNotice((notice) => this.#notify(notice));
    options.coordinator.onReleased(() => {
      if (this.#unflushed.size === 0) return;
      for (const connection of this.#unflushed) connection.flush();
      this.#unflushed.clear();
    });
    this.#beat(0);
  }

  /** How long a session whose socket the coordinator closed is kept at least. */
  get suspendMs(): number {
    return 2 * this.limits.heartbeatMs;
  }

  get isOverloaded(): boolean {
    return this.#options.coordinator.isOverloaded;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Of the socket that carries a session; undefined: none does. */
  remoteAddressOf(session: string): string | undefined {
    return this.#bySession.get(session)?.remoteAddress;
  }

  /** Sent and not yet taken by the kernel, over all sockets; looks at each of them. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections) bytes += connection.bufferedBytes;
    return bytes;
  }

  accept(socket: Socket): SocketHandlers {
    const connection = new Connection(this, socket);
    this.#connections.add(connection);
    this.#groups[this.#accepted % HEARTBEAT_GROUPS]!.add(connection);
    this.#accepted += 1;
    const refused = this.admission.arrived(connection);
    if (this.#isDraining) connection.end(CLOSE.goingAway, 'shutting down');
    else if (refused) connection.refuse(refused);
    return connection;
  }

  /** The key is no longer good: whoever came with it goes, and comes back with another one. */
  closeKey(key: string): void {
    for (const connection of this.admission.withKey(key)) connection.revoke();
  }

  /** By an operator. Whoever holds it is told of each lease, and its socket is closed behind that. */
  revokeSession(session: string, released: (answer: LeaseAnswers['RevokeSession']) => void): void {
    this.leases.execute({ type: 'RevokeSession', session }, released);
    const close = () => this.#bySession.get(session)?.end(CLOSE.normal, 'an operator has ended the session');
    this.inOrder(close, undefined);
  }

  /** Says `goaway` to everybody, waits up to `deadlineMs` for them to leave, and closes what is left. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    this.#cancelHeartbeat();
    const spreadMs = Math.max(RECONNECT_SPREAD_MIN_MS, this.#bySession.size * RECONNECT_SPREAD_MS_PER_SESSION);
    for (const connection of this.#connections) {
      const reconnectAfterMs = Math.ceil(deadlineMs + this.#options.random() * spreadMs);
      const goaway = { type: 'goaway', deadline_ms: deadlineMs, reconnect_after_ms: reconnectAfterMs } as const;
      this.inOrder((frame: CoordinatorFrame) => connection.push(frame), goaway);
    }
    await this.#whenEmpty(deadlineMs);
    for (const connection of this.#connections) connection.end(CLOSE.goingAway, 'shutting down');
    await this.#whenEmpty(this.limits.closeTimeoutMs);
  }

  // ---- for connections

  inOrder<Value>(receiver: (value: Value) => void, value: Value): void {
    this.#options.coordinator.inOrder(receiver, value);
  }

  flushLater(connection: Connection): void {
    this.#unflushed.add(connection);
  }

  /** Counts turns of the loop: asked for twice in one, it is the same number. */
  get turn(): number {
    if (!this.#isTurnDeferred) {
      this.#isTurnDeferred = true;
      this.scheduler.defer(this.#deferredTurn);
    }
    return this.#turn;
  }

  /** The connection goes on in the next turn. */
  workLater(connection: Connection): void {
    this.#backlogged.add(connection);
    // There is a next one.
    void this.turn;
  }

  #nextTurn(): void {
    this.#isTurnDeferred = false;
    this.#turn += 1;
    if (this.#backlogged.size === 0) return;
    const backlogged = this.#backlogged;
    this.#backlogged = new Set();
    for (const connection of backlogged) connection.work();
  }

  open(hello: HelloFrame, caller: Caller, connection: Connection): void {
    const { randomBytes } = this.#options;
    const fresh = {
      session: randomBytes(SESSION_ID_BYTES).toString('base64url'),
      secret: randomBytes(SECRET_BYTES).toString('base64url'),
    };
    const resumeWindowMs = Math.min(hello.resume_window_ms ?? 0, this.limits.resumeWindowMaxMs);
    const noticeMs = hello.notice_ms ?? this.limits.noticeMs;
    this.leases.execute(
      {
        type: 'OpenSession',
        session: fresh.session,
        secretHash: sha256(fresh.secret),
        ...(hello.resume ? { resume: { session: hello.resume.session, secretHash: sha256(hello.resume.secret) } } : {}),
        ...(hello.client === undefined ? {} : { client: hello.client }),
        owner: ownerOf(caller),
        resumeWindowMs,
        ...(noticeMs === undefined ? {} : { noticeMs }),
        sessionsMax: this.limits.sessionsMax,
        sessionsPerClientMax: this.limits.sessionsPerClientMax,
      },
      (answer) => {
        if (answer.type === 'rejected') return connection.refuse(answer, hello.id);
        connection.send({
          type: 'welcome',
          id: hello.id,
          session: answer.session,
          secret: answer.resumed ? hello.resume!.secret : fresh.secret,
          epoch: this.#options.coordinator.epoch,
          heartbeat_ms: this.limits.heartbeatMs,
          resumed: answer.resumed,
          leases: [...answer.leases],
          waiting: [...answer.waiting],
          ended: [...answer.ended],
          limits: this.#sessionLimits(resumeWindowMs, noticeMs),
        });
      },
      (answer) => {
        if (answer.type === 'rejected') return connection.turnAway();
        const older = this.#bySession.get(answer.session);
        if (connection.isEnded) return older ? undefined : this.#drop(answer.session, 'dropped');
        this.#bySession.set(answer.session, connection);
        older?.supersede();
        const { session, resumed, leases } = answer;
        const { remoteAddress } = connection;
        const who = { client: caller.client, key: caller.key, name: hello.client, remoteAddress };
        this.log.debug({ session, ...who, resumed, leases: leases.length }, 'session open');
        connection.attach(session, caller);
      },
    );
  }

  /** The connection carries its session no longer. */
  leave(connection: Connection, session: string, how: 'bye' | 'dropped' | 'suspended'): void {
    if (this.#bySession.get(session) !== connection) return;
    this.#bySession.delete(session);
    this.log.debug({ session, how }, 'session without a socket');
    this.#drop(session, how);
  }

  sayBye(session: string, released: () => void): void {
    this.#bySession.delete(session);
    this.leases.execute({ type: 'EndSession', session }, released);
  }

  /** Its socket is closed for good. */
  forget(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    this.admission.gone(connection);
    for (const group of this.#groups) group.delete(connection);
    this.#unflushed.delete(connection);
    this.#backlogged.delete(connection);
    if (this.#connections.size === 0) this.#emptied?.();
  }

  // ---- inside

  #drop(session: string, how: 'bye' | 'dropped' | 'suspended'): void {
    const suspendMs = how === 'suspended' ? this.suspendMs : 0;
    this.leases.execute(
      how === 'bye' ? { type: 'EndSession', session } : { type: 'DropSession', session, suspendMs },
      () => {},
    );
  }

  #notify(notice: LeaseNotice): void {
    if (notice.session === undefined) return;
    this.#logNotice(notice);
    this.#bySession.get(notice.session)?.push(noticeFrame(notice));
  }

  #logNotice(notice: SessionNotice): void {
    const { type, session } = notice;
    if (type === 'WaitAnswered') {
      const { request, answer } = notice;
      if (answer.type !== 'queued') this.log.debug({ session, request, answer: answer.type }, 'wait over');
      return;
    }
    const { lease } = notice;
    if (type === 'LeaseRevoked') this.log.info({ session, lease, reason: notice.reason }, 'lease revoked');
    else if (type === 'LeaseRevoking') {
      const { reason, deadlineMs } = notice;
      this.log.info({ session, lease, reason, deadlineMs }, 'lease is to be revoked');
    } else this.log.debug({ session, lease }, type === 'LeaseExpired' ? 'lease expired' : 'lease expiring');
  }

  #beat(group: number): void {
    this.#cancelHeartbeat = this.scheduler.setTimer(Math.ceil(this.limits.heartbeatMs / HEARTBEAT_GROUPS), () => {
      for (const connection of this.#groups[group]!) connection.heartbeat();
      this.#beat((group + 1) % HEARTBEAT_GROUPS);
    });
  }

  #whenEmpty(limitMs: number): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.scheduler.setTimer(limitMs, resolve);
      this.#emptied = () => {
        cancel();
        resolve();
      };
    });
  }

  #sessionLimits(resumeWindowMs: number, noticeMs: number | undefined): SessionLimits {
    return {
      frame_bytes_max: FRAME_BYTES_MAX,
      message_bytes_max: MESSAGE_BYTES_MAX,
      ttl_min_ms: this.limits.ttlMinMs,
      ttl_max_ms: this.limits.ttlMaxMs,
      resume_window_ms: resumeWindowMs,
      ...(noticeMs === undefined ? {} : { notice_ms: noticeMs }),
    };
  }
}

function ownerOf({ client, isAuthenticated }: Caller): Owner {
  return isAuthenticated ? { kind: 'client', client } : { kind: 'ip', ip: client };
}

function sha256(secret: string): string {
  return hash('sha256', secret);
}
