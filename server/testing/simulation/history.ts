import type { LeaseEvent } from '../../lease/events.ts';
import type { Findings } from './findings.ts';
import type { BookOptions, EventOf, Happening } from './happening.ts';
import { KeyBook } from './history-keys.ts';
import { LeaseBook } from './history-leases.ts';
import { MarkBook } from './history-marks.ts';
import { SessionBook } from './history-sessions.ts';
import { WaitBook } from './history-waits.ts';
import type { Timeline } from './timeline.ts';
import { UndoLog } from './undo-log.ts';

/**
 * What has happened, kept beside the coordinator from the events that it decided, and taken back where a crash lost them:
 * what may be told, what a restart must know, and, event by event, whether it may happen.
 */
export class History {
  readonly leases: LeaseBook;
  readonly sessions: SessionBook;
  readonly waits: WaitBook;
  readonly keys: KeyBook;
  readonly marks: MarkBook;
  /** Resources that events have been about since this was last emptied. */
  readonly touched = new Set<number>();
  readonly #undos = new UndoLog();

  /** Sessions found open at a start are kept `restartKeepMs`, or for their window where that is longer. */
  constructor(findings: Findings, timeline: Timeline, restartKeepMs: number) {
    const options: BookOptions = { findings, timeline, undos: this.#undos };
    this.leases = new LeaseBook(options);
    this.sessions = new SessionBook({ ...options, restartKeepMs });
    this.waits = new WaitBook({ ...options, sessions: this.sessions });
    this.keys = new KeyBook(options);
    this.marks = new MarkBook(options);
  }

  /** An event that is about to be applied. */
  applying(event: LeaseEvent, happening: Happening): void {
    this.marks.mustBePaid(happening.decision);
    this.#touch(event, happening);
    switch (event.type) {
      case 'EpochStarted':
        return this.sessions.restarted(happening);
      case 'SessionOpened':
        return this.sessions.opened(event, happening);
      case 'SessionSuspended':
        return this.sessions.suspended(event, happening);
      case 'SessionResumed':
        return this.#resumed(event, happening);
      case 'SessionEnded':
        this.waits.sessionEnded(event.session, happening);
        return this.sessions.ended(event, happening);
      case 'LeaseGranted':
        return this.#granted(event, happening);
      case 'LeaseRenewed':
        return this.leases.renewed(event, happening);
      case 'LeaseReported':
        return this.#reported(event, happening);
      case 'RevocationAnnounced':
        return this.leases.announced(event, happening);
      case 'LeaseEnded':
        return this.#ended(event, happening);
      case 'AcquireQueued':
        return this.#queued(event, happening);
      case 'WaitRepeated':
        return this.waits.repeated(event, happening);
      case 'WaitEnded': {
        const wait = this.waits.ended(event, happening);
        if (wait?.key !== undefined) this.keys.waitEnded(wait.session, wait.key, happening);
        return;
      }
      case 'Configured':
        return this.waits.regrouped(happening);
      case 'PoolCommitted':
        return this.marks.poolChanges(happening);
      case 'PairQuarantined':
      case 'AddressQuarantined':
        return this.marks.quarantined(event, happening);
      case 'PairQuarantineEnded':
      case 'AddressQuarantineEnded':
        return this.marks.quarantineEnded(event, happening);
      default:
    }
  }

  /** A crash: nothing behind `position` has happened. */
  loseBehind(position: number): void {
    this.#undos.loseBehind(position);
    this.marks.forgetDebts();
  }

  /** All up to `position` can't be lost any more. */
  settle(position: number): void {
    this.#undos.settle(position);
  }

  #granted(event: EventOf<'LeaseGranted'>, happening: Happening): void {
    const { waiter, holder, substituteFor, key } = event;
    const { sessions, waits, leases, keys, marks } = this;
    const session = holder.kind === 'session' ? holder.session : '';
    sessions.mustBeThere(session, `lease ${event.lease} is granted to it`);
    marks.granted(event, happening);
    const record = leases.granted(event, happening);
    waits.granted(event, happening);
    if (substituteFor === undefined) waits.served(session, event, happening);
    if (key !== undefined) keys.granted(record, key, waiter, happening);
  }

  #ended(event: EventOf<'LeaseEnded'>, happening: Happening): void {
    const record = this.leases.ended(event, happening);
    if (!record) return;
    this.marks.ended(record, event, happening);
    this.keys.leaseEnded(record, happening);
  }

  #reported({ lease, outcome }: EventOf<'LeaseReported'>, happening: Happening): void {
    const record = outcome === 'banned' ? this.leases.banned(lease, happening) : undefined;
    if (record) this.marks.banned(record, happening);
  }

  #queued(event: EventOf<'AcquireQueued'>, happening: Happening): void {
    const { session, key, waiter } = event;
    this.waits.queued(event, happening);
    if (key !== undefined) this.keys.queued(session, key, waiter, happening);
  }

  #resumed(event: EventOf<'SessionResumed'>, { position }: Happening): void {
    const leases = this.leases.liveOf(event.session).map(({ token }) => token);
    const waiting = this.waits.of(event.session).map(({ requests }) => requests.at(-1)!);
    this.sessions.resumed(event, { position, leases, waiting });
  }

  #touch(event: LeaseEvent, { state }: Happening): void {
    const lease = 'lease' in event ? state.leases.get(event.lease) : undefined;
    const waiter = 'waiter' in event ? state.waiters.get(event.waiter ?? 0) : undefined;
    const addressId = 'addressId' in event ? event.addressId : lease?.addressId;
    const resource = 'resource' in event ? event.resource : (lease?.resource ?? waiter?.resource.id);
    // An address that is being tried out is the same for all that it serves.
    const isShared = addressId !== undefined && state.addresses.get(addressId)?.probationAfter !== undefined;
    if (resource !== undefined && !isShared) this.touched.add(resource);
    else for (const id of state.resources.keys()) this.touched.add(id);
  }
}
