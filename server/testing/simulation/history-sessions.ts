import { type BookOptions, type EventOf, type Happening, ROUNDING_MS } from './happening.ts';

export interface SessionRecord {
  readonly id: string;
  readonly position: number;
  isTold: boolean;
  /** The resume window that it was opened or resumed with. */
  windowMs: number;
  /** Since when it has had no socket, and how long it must be kept then. */
  suspension: { readonly sinceMs: number; readonly keepMs: number } | undefined;
  /** How often it has been resumed. */
  resumes: number;
  /** What its last `welcome` has to list. */
  listing: Listing;
  isEnded: boolean;
}

/** What was live, and who was waiting, when a session was opened or resumed. */
export interface Listing {
  readonly position: number;
  readonly leases: readonly number[];
  /** Ids of the acquires, of the newest where there are several. */
  readonly waiting: readonly number[];
}

/** A window may run by a clock that is this much too fast. */
const CLOCK_RATE_SHARE = 0.001;

export interface SessionBookOptions extends BookOptions {
  /** Sessions found open at a start are kept this long, or for their window where that is longer. */
  readonly restartKeepMs: number;
}

/** Who is there, and for how long those who aren't are waited for. */
export class SessionBook {
  readonly sessions = new Map<string, SessionRecord>();
  readonly #options: SessionBookOptions;

  constructor(options: SessionBookOptions) {
    this.#options = options;
  }

  isSuspended(id: string): boolean {
    return this.sessions.get(id)?.suspension !== undefined;
  }

  /** Nothing is given to who has gone, or is away. */
  mustBeThere(id: string, what: string): void {
    const session = this.sessions.get(id);
    const { findings } = this.#options;
    if (!session || session.isEnded) findings.report('pairs', `session ${id} isn't there: ${what}`);
    else if (session.suspension) findings.report('waiting', `session ${id} is suspended: ${what}`);
  }

  /** The coordinator closed the session's socket of its own accord, and must keep it. */
  sentAway(id: string): void {
    const { findings, restartKeepMs } = this.#options;
    const session = this.sessions.get(id);
    if (!session) return;
    if (session.isEnded) findings.report('sessions', `session ${id} ends though the coordinator closed its socket`);
    else if (session.suspension) {
      const keepMs = Math.max(session.suspension.keepMs, restartKeepMs);
      session.suspension = { ...session.suspension, keepMs };
    }
  }

  opened({ session: id, resumeWindowMs: windowMs }: EventOf<'SessionOpened'>, { position }: Happening): void {
    const { findings, undos } = this.#options;
    if (this.sessions.has(id)) findings.report('sessions', `session ${id} is opened twice`);
    const session = {
      id,
      position,
      isTold: false,
      windowMs,
      suspension: undefined,
      resumes: 0,
      listing: { position, leases: [], waiting: [] },
      isEnded: false,
    };
    this.sessions.set(id, session);
    undos.add(position, () => {
      this.sessions.delete(id);
      if (session.isTold) findings.report('durability', `a crash loses session ${id}, which was welcomed`);
    });
  }

  suspended({ session: id }: EventOf<'SessionSuspended'>, { position }: Happening): void {
    this.#suspend(this.sessions.get(id)!, position, 0);
  }

  /** Nobody has a socket to a process that has just started. */
  restarted({ position }: Happening): void {
    for (const session of this.sessions.values()) {
      if (!session.isEnded && !session.suspension) this.#suspend(session, position, this.#options.restartKeepMs);
    }
  }

  resumed({ session: id, resumeWindowMs }: EventOf<'SessionResumed'>, listing: Listing): void {
    const session = this.sessions.get(id)!;
    const { windowMs, suspension, resumes, listing: listingBefore } = session;
    Object.assign(session, { windowMs: resumeWindowMs, suspension: undefined, resumes: resumes + 1, listing });
    this.#options.undos.add(listing.position, () => {
      Object.assign(session, { windowMs, suspension, resumes, listing: listingBefore });
    });
  }

  ended({ session: id }: EventOf<'SessionEnded'>, { position, command }: Happening): void {
    const session = this.sessions.get(id)!;
    const { nowMs } = this.#options.timeline;
    const { sinceMs, keepMs } = session.suspension ?? { sinceMs: nowMs, keepMs: session.windowMs };
    const keptMs = nowMs - sinceMs;
    if (command.type !== 'EndSession' && keptMs < keepMs * (1 - CLOCK_RATE_SHARE) - ROUNDING_MS) {
      const what = `session ${id} ends after ${keptMs} ms of the ${keepMs} ms it was to be kept`;
      this.#options.findings.report('sessions', what);
    }
    session.isEnded = true;
    this.#options.undos.add(position, () => void (session.isEnded = false));
  }

  #suspend(session: SessionRecord, position: number, leastMs: number): void {
    const { suspension } = session;
    session.suspension = { sinceMs: this.#options.timeline.nowMs, keepMs: Math.max(session.windowMs, leastMs) };
    this.#options.undos.add(position, () => void (session.suspension = suspension));
  }
}
