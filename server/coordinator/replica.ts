import { type AnyDomain, type EventRecord, NewerDataError } from './domain.ts';

/** A record of a snapshot: the domain's name and one of the values of its `encode`. */
export type SnapshotRecord = readonly [domain: string, record: unknown];

interface Part {
  readonly domain: AnyDomain;
  state: unknown;
}

/**
 * The states of all domains at one position. The coordinator decides over one; recovery, the snapshot worker and the
 * offline tools rebuild one from files with the same code.
 */
export class Replica {
  readonly #parts = new Map<string, Part>();
  #last: Part | undefined;
  #isReplaying = false;

  constructor(domains: readonly AnyDomain[]) {
    for (const domain of domains) {
      if (this.#parts.has(domain.name)) throw new Error(`two domains are named ${domain.name}`);
      this.#parts.set(domain.name, { domain, state: domain.create() });
    }
  }

  state(domainName: string): unknown {
    return this.#part(domainName).state;
  }

  /** Throws on a domain, event or version that this build doesn't know: newer data than the program. */
  apply(record: EventRecord): void {
    const { domain, state } = this.#part(record[0]);
    domain.apply(state, domain.decodeEvent(record));
  }

  /** Takes the records of `encode` in their order. */
  restore([domainName, record]: SnapshotRecord): void {
    const { domain, state } = this.#part(domainName);
    domain.restore(state, record);
  }

  /** Over all domains. */
  liveCount(): number {
    let count = 0;
    for (const { domain, state } of this.#parts.values()) count += domain.liveCount(state);
    return count;
  }

  /**
   * Many records and events are to come before anybody decides: to be said of a new replica, if at all. One that only is to
   * be written down again never needs `endReplay`.
   */
  beginReplay(): void {
    this.#isReplaying = true;
    for (const { domain, state } of this.#parts.values()) domain.beginReplay?.(state);
  }

  /** As it was when it was new: what was restored of a damaged snapshot is no state. */
  startOver(): void {
    for (const part of this.#parts.values()) part.state = part.domain.create();
    if (this.#isReplaying) this.beginReplay();
  }

  /** Decisions may follow. */
  endReplay(): void {
    this.#isReplaying = false;
    for (const { domain, state } of this.#parts.values()) domain.endReplay?.(state);
  }

  *encode(): Generator<SnapshotRecord> {
    for (const [name, { domain, state }] of this.#parts) {
      for (const record of domain.encode(state)) yield [name, record];
    }
  }

  #part(domainName: string) {
    // Nearly always the one before: its few letters are compared faster than a string that was just read is hashed.
    const last = this.#last;
    if (last && last.domain.name === domainName) return last;
    const part = this.#parts.get(domainName);
    if (!part) throw new NewerDataError(`domain "${String(domainName)}"`);
    this.#last = part;
    return part;
  }
}
