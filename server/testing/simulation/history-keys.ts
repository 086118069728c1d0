import type { BookOptions, Happening } from './happening.ts';
import type { LeaseRecord } from './history-leases.ts';

/** Promised by PROTOCOL.md: how long a key is kept when all that was granted for it has ended, … */
const KEPT_MS = 600_000;
/** … and how many such keys of one session. */
const KEPT_MAX = 1_024;

/** What stands behind one key of one session. */
interface KeyRecord {
  /** The request that waits by it. */
  readonly waiter: number | undefined;
  readonly live: ReadonlySet<number>;
  /** Of its grants: several at once are of one. */
  readonly decision: number;
  /** By the coordinator's clock. */
  readonly endedAtMs: number | undefined;
  /** How many of the session's keys had ended before it. */
  readonly endedBefore: number;
}

/** By which key whom something was granted: a key stands for one request, and for what that was granted. */
export class KeyBook {
  readonly #options: BookOptions;
  /** By session and key. */
  readonly #keys = new Map<string, KeyRecord>();
  /** Keys that have ended, by session. */
  readonly #endedCounts = new Map<string, number>();

  constructor(options: BookOptions) {
    this.#options = options;
  }

  queued(session: string, key: string, waiter: number, { position, nowMs }: Happening): void {
    this.#mustBeNew(session, key, nowMs);
    const record = { waiter, live: new Set<number>(), decision: 0, endedAtMs: undefined, endedBefore: 0 };
    this.#options.undos.put(position, this.#keys, nameOf(session, key), record);
  }

  /** Its request waits no longer: only grants are remembered. */
  waitEnded(session: string, key: string, { position }: Happening): void {
    this.#options.undos.put(position, this.#keys, nameOf(session, key), undefined);
  }

  granted({ session, token }: LeaseRecord, key: string, waiter: number | undefined, happening: Happening): void {
    const { position, decision, nowMs } = happening;
    const name = nameOf(session, key);
    const known = this.#keys.get(name);
    const isSameGrant = known?.decision === decision;
    const isAnswer = known?.waiter !== undefined && known.waiter === waiter;
    if (!isSameGrant && !isAnswer) this.#mustBeNew(session, key, nowMs);
    const live = new Set(isSameGrant ? known.live : []).add(token);
    const record = { waiter: undefined, live, decision, endedAtMs: undefined, endedBefore: 0 };
    this.#options.undos.put(position, this.#keys, name, record);
  }

  leaseEnded({ session, token, key }: LeaseRecord, { position, nowMs }: Happening): void {
    const name = key === undefined ? undefined : nameOf(session, key);
    const known = name === undefined ? undefined : this.#keys.get(name);
    if (name === undefined || !known?.live.has(token)) return;
    const { undos } = this.#options;
    const live = new Set(known.live);
    live.delete(token);
    const endedBefore = this.#endedCounts.get(session) ?? 0;
    if (live.size > 0) return undos.put(position, this.#keys, name, { ...known, live });
    undos.put(position, this.#endedCounts, session, endedBefore + 1);
    undos.put(position, this.#keys, name, { ...known, live, endedAtMs: nowMs, endedBefore });
  }

  /** Whether all that was granted for the key has ended, as its holder was told. */
  isOver(session: string, key: string): boolean {
    return this.#keys.get(nameOf(session, key))?.endedAtMs !== undefined;
  }

  #mustBeNew(session: string, key: string, nowMs: number): void {
    const known = this.#keys.get(nameOf(session, key));
    if (!known) return;
    const find = (what: string) => this.#options.findings.report('keys', `key ${key} of session ${session} ${what}`);
    if (known.waiter !== undefined) return find('stands in line, and is asked for anew');
    if (known.live.size > 0) return find(`has lease ${[...known.live].join()}, and is granted another`);
    const endedSince = (this.#endedCounts.get(session) ?? 0) - known.endedBefore;
    const agoMs = nowMs - known.endedAtMs!;
    if (agoMs < KEPT_MS && endedSince <= KEPT_MAX) find(`is forgotten ${agoMs} ms after its end`);
  }
}

function nameOf(session: string, key: string): string {
  return `${session} ${key}`;
}
