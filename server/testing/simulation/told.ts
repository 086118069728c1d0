import type { WelcomeFrame } from '../../../protocol/frames.ts';
import { CLOCK_RATE_MARGIN } from '../../../protocol/limits.ts';
import type { Findings } from './findings.ts';
import { ROUNDING_MS } from './happening.ts';
import type { History } from './history.ts';
import type { LeaseRecord } from './history-leases.ts';

/** Tokens, and sessions, that are remembered for others to speak of. */
const REMEMBERED_MAX = 32;

/** What a client reads of a lease, wherever it stands: in `granted`, in `welcome`, as a substitute. */
export interface ToldLease {
  readonly lease: number;
  readonly resource: number;
  readonly address: { readonly address: string; readonly resource_ids: readonly number[] };
}

/** A holder's own deadline in true time: by PROTOCOL.md, on a clock that runs `clockRate` times as fast as true time. */
export function ownDeadlineMs(sentMs: number, durationMs: number, clockRate: number): number {
  return sentMs + (durationMs * (1 - CLOCK_RATE_MARGIN)) / clockRate;
}

/** Holds what clients are told to what has happened and is on disk. */
export class Told {
  readonly #findings: Findings;
  readonly #history: History;
  readonly #durablePosition: () => number;
  /** Tokens that somebody was given of late. */
  readonly tokens: number[] = [];
  /** Ids of sessions that somebody opened of late. */
  readonly sessions: string[] = [];

  constructor(findings: Findings, history: History, durablePosition: () => number) {
    this.#findings = findings;
    this.#history = history;
    this.#durablePosition = durablePosition;
  }

  welcome(id: string, { leases, waiting }: WelcomeFrame): void {
    const session = this.#history.sessions.sessions.get(id);
    if (!session) return this.#findings.report('durability', `session ${id} is welcomed, and isn't there`);
    if (!session.isTold) remember(this.sessions, id);
    session.isTold = true;
    const { listing } = session;
    this.#mustBeDurable(listing.position, `session ${id}`);
    const find = (what: string) => this.#findings.report('answers', `the welcome of session ${id} lists ${what}`);
    const tokens = leases.map(({ lease }) => lease);
    if (!isSame(tokens, listing.leases)) find(`leases ${tokens.join()} for ${listing.leases.join()}`);
    const requests = waiting.map(({ request }) => request);
    if (!isSame(requests, listing.waiting)) find(`requests ${requests.join()} for ${listing.waiting.join()}`);
    for (const { lease: token, key, revoking } of leases) {
      const record = this.#history.leases.leases.get(token);
      if (record?.key !== key) find(`lease ${token} by key ${key}`);
      const isAnnounced = (record?.announcedPosition ?? Infinity) < listing.position;
      if (isAnnounced !== (revoking !== undefined)) find(`lease ${token} with another word of its revocation`);
    }
  }

  /** A resume failed. */
  sessionGone(id: string): void {
    if (this.#history.sessions.sessions.get(id)?.isEnded !== false) return;
    this.#findings.report('sessions', `session ${id} can't be resumed, though it hasn't ended`);
  }

  lease(session: string, told: ToldLease): void {
    const record = this.#ofSession(session, told.lease);
    if (!record) return;
    const { token, resource, address } = record;
    remember(this.tokens, token);
    this.#mustBeDurable(record.position, `lease ${token}`);
    if (told.resource !== resource || told.address.address !== address) {
      this.#findings.report('answers', `lease ${token} is told with another pair than it was granted for`);
    }
  }

  /** The holder takes the lease for its own until then. */
  deadline(session: string, token: number, untilMs: number): void {
    const record = this.#ofSession(session, token);
    if (!record) return;
    if (record.end === 'expired' && untilMs > record.endedMs + ROUNDING_MS) {
      const message = `lease ${token} had expired ${untilMs - record.endedMs} ms before its holder's own deadline`;
      this.#findings.report('expiry', message);
    }
    const { nextGrantMs = Infinity } = record;
    if (record.isHandedSafely && untilMs > nextGrantMs + ROUNDING_MS) {
      const message = `the pair of lease ${token} was granted again ${untilMs - nextGrantMs} ms before its own deadline`;
      this.#findings.report('expiry', message);
    }
    record.heldUntilMs = Math.max(record.heldUntilMs, untilMs);
  }

  /** That the lease is to be revoked. */
  announced(session: string, token: number): void {
    const position = this.#ofSession(session, token)?.announcedPosition;
    if (position === undefined) this.#findings.report('answers', `lease ${token} is said to be revoked, and isn't`);
    else this.#mustBeDurable(position, `the revocation of lease ${token}`);
  }

  substitute(predecessor: number, token: number): void {
    if (this.#history.leases.leases.get(token)?.substituteFor === predecessor) return;
    this.#findings.report(
      'answers',
      `lease ${token} is told in the place of ${predecessor}, which it wasn't granted for`,
    );
  }

  /** In answer to an acquire with that key. */
  byKey(token: number, key: string | undefined): void {
    if (this.#history.leases.leases.get(token)?.key === key) return;
    this.#findings.report('keys', `lease ${token} answers a request with key ${key}, and has another`);
  }

  /** That all that was granted for the key has ended. */
  keyOver(session: string, key: string | undefined): void {
    if (key !== undefined && this.#history.keys.isOver(session, key)) return;
    this.#findings.report('keys', `key ${key} of session ${session} is said to be over, and isn't`);
  }

  queued(session: string, request: number): void {
    const wait = this.#history.waits.find(session, request);
    if (!wait)
      return this.#findings.report('durability', `request ${request} of ${session} is said to wait; it doesn't`);
    wait.isTold = true;
    this.#mustBeDurable(wait.position, `waiter ${wait.number}`);
  }

  /** That the request waits no longer, and was granted nothing. */
  waitOver(session: string, request: number): void {
    const wait = this.#history.waits.find(session, request);
    if (!wait?.isEnded) {
      return this.#findings.report('waiting', `request ${request} of ${session} is said to be out of line; it isn't`);
    }
    wait.isEndTold = true;
    this.#mustBeDurable(wait.endPosition, `the end of waiter ${wait.number}`);
  }

  /** That the lease has ended, in whatever way. */
  end(session: string, token: number): void {
    const record = this.#ofSession(session, token);
    if (!record) return;
    record.isEndTold = true;
    if (record.end === undefined)
      this.#findings.report('durability', `lease ${token} is said to have ended; it is live`);
    else this.#mustBeDurable(record.endPosition, `the end of lease ${token}`);
  }

  /** That something was done with a lease, which only its holder may be told. */
  mine(session: string, token: number): void {
    this.#ofSession(session, token);
  }

  #ofSession(session: string, token: number): LeaseRecord | undefined {
    const record = this.#history.leases.leases.get(token);
    if (!record) this.#findings.report('durability', `a client is told of lease ${token}, which isn't there`);
    else if (record.session !== session) {
      this.#findings.report('answers', `session ${session} is told of lease ${token} of ${record.session}`);
    }
    return record;
  }

  #mustBeDurable(position: number, what: string): void {
    if (position <= this.#durablePosition()) return;
    this.#findings.report('durability', `a client is told of ${what} before it is on disk`);
  }
}

function remember<Item>(items: Item[], item: Item): void {
  items.push(item);
  if (items.length > REMEMBERED_MAX) items.shift();
}

function isSame(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && new Set([...some, ...others]).size === some.length;
}
