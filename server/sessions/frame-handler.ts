import { assertNever } from '../../protocol/assert.ts';
import type {
  AcquireFrame,
  CancelFrame,
  CollectorFrame,
  CoordinatorFrame,
  CountFrame,
  ExplainFrame,
  HelloFrame,
  ReleaseFrame,
  RenewFrame,
  ReportFrame,
} from '../../protocol/frames.ts';
import type { Caller } from '../clients/access.ts';
import type { Holder } from '../lease/holder.ts';
import type { Connection } from './connection.ts';
import { acquireFrame, errorFrame, overloaded, renewalEntry } from './outgoing-frames.ts';
import type { SessionHub } from './session-hub.ts';

/** What a session asks, as commands; what it is answered, as frames. */
export class FrameHandler {
  readonly session: string;
  readonly #hub: SessionHub;
  readonly #connection: Connection;
  readonly #caller: Caller;
  readonly #holder: Holder;

  constructor(hub: SessionHub, connection: Connection, { session, caller }: { session: string; caller: Caller }) {
    this.#hub = hub;
    this.#connection = connection;
    this.session = session;
    this.#caller = caller;
    this.#holder = { kind: 'session', session };
  }

  handle(frame: Exclude<CollectorFrame, HelloFrame>): void {
    // Who gives back is never held up, and costs nothing.
    if (frame.type !== 'release' && frame.type !== 'cancel' && frame.type !== 'bye') {
      if (this.#hub.isOverloaded && frame.type !== 'ping') {
        // It saw nothing that could be lost, and behind the disk it would come when it is no longer true.
        return this.#send(errorFrame(frame.id, overloaded()));
      }
      const limited = this.#hub.admission.take(this.#caller);
      if (limited) return this.#answer(errorFrame(frame.id, limited));
    }
    switch (frame.type) {
      case 'acquire':
        return this.#acquire(frame);
      case 'renew':
        return this.#renew(frame);
      case 'release':
        return this.#release(frame);
      case 'report':
        return this.#report(frame);
      case 'ping':
        return this.#answer({ type: 'pong', id: frame.id });
      case 'bye':
        return this.#connection.bye();
      case 'explain':
        return this.#explain(frame);
      case 'cancel':
        return this.#cancel(frame);
      case 'count':
        return this.#count(frame);
      default:
        return assertNever(frame);
    }
  }

  #acquire(frame: AcquireFrame): void {
    const { id, resource, ttl_ms: ttlMs, where, strategy, sticky, wait_ms: waitMs, count, key } = frame;
    this.#hub.leases.execute(
      {
        type: 'AcquireLease',
        holder: this.#holder,
        request: id,
        resource,
        ttlMs,
        where,
        strategy,
        sticky,
        waitMs,
        count,
        key,
      },
      (answer) => this.#send(answer.type === 'rejected' ? errorFrame(id, answer) : acquireFrame(id, answer)),
    );
  }

  #explain(frame: ExplainFrame): void {
    const { id, resource, ttl_ms: ttlMs, where, strategy, sticky, wait_ms: waitMs, count } = frame;
    this.#hub.leases.execute(
      { type: 'ExplainAcquire', holder: this.#holder, resource, ttlMs, where, strategy, sticky, waitMs, count },
      (answer) =>
        this.#send(
          answer.type === 'rejected'
            ? errorFrame(id, answer)
            : { type: 'explained', id, would: answer.would, why: answer.why },
        ),
    );
  }

  #cancel({ id, request }: CancelFrame): void {
    this.#hub.leases.execute({ type: 'CancelAcquire', holder: this.#holder, request }, ({ leases, isMany }) => {
      const [lease] = leases;
      if (lease === undefined) return this.#send({ type: 'cancelled', id });
      // Of an acquire for one, a lease that is about to be revoked and its substitute may both have been held.
      const isOne = !isMany && leases.length === 1;
      this.#send(isOne ? { type: 'cancelled', id, lease } : { type: 'cancelled', id, leases: [...leases] });
    });
  }

  #renew(frame: RenewFrame): void {
    const { id, lease, ttl_ms: ttlMs } = frame;
    const leases = lease === undefined ? frame.leases! : [lease];
    this.#hub.leases.execute({ type: 'RenewLeases', holder: this.#holder, leases, ttlMs }, (answer) => {
      if (answer.type === 'rejected') return this.#send(errorFrame(id, answer));
      if (lease === undefined) return this.#send({ type: 'renewed', id, leases: answer.leases.map(renewalEntry) });
      const [only] = answer.leases;
      if (!only) throw new Error('a renewal of one lease was answered for none');
      if ('rejected' in only) return this.#send(errorFrame(id, only.rejected));
      const { ttlMs: ttl_ms, clamped } = only;
      this.#send(clamped ? { type: 'renewed', id, lease, ttl_ms, clamped } : { type: 'renewed', id, lease, ttl_ms });
    });
  }

  #release(frame: ReleaseFrame): void {
    const { lease, outcome, requests } = frame;
    this.#hub.leases.execute({ type: 'ReleaseLease', holder: this.#holder, lease, outcome, requests }, (answer) => {
      if (answer.type === 'rejected') return this.#send(errorFrame(frame.id, answer));
      this.#hub.log.debug({ session: this.session, lease: frame.lease }, 'lease released');
      this.#send({ type: 'released', id: frame.id });
    });
  }

  #report(frame: ReportFrame): void {
    const { lease, outcome, requests } = frame;
    this.#hub.leases.execute({ type: 'ReportLease', holder: this.#holder, lease, outcome, requests }, (answer) =>
      this.#send(answer.type === 'rejected' ? errorFrame(frame.id, answer) : { type: 'reported', id: frame.id }),
    );
  }

  #count({ id, counter, by, key }: CountFrame): void {
    const holder = `session ${this.session}`;
    this.#hub.counters.execute({ type: 'AddToCounter', holder, counter, by, key }, (answer) =>
      this.#send(
        answer.type === 'rejected' ? errorFrame(id, answer) : { type: 'counted', id, counter, value: answer.value },
      ),
    );
  }

  /** An answer that needs no decision still takes its place behind those that do. */
  #answer(frame: CoordinatorFrame): void {
    this.#hub.inOrder((answer: CoordinatorFrame) => this.#send(answer), frame);
  }

  #send(frame: CoordinatorFrame): void {
    this.#connection.send(frame);
  }
}
