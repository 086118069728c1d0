/** Which events a subscriber has asked for. */
import type { FeedEvent } from './event-message.ts';

/** What is absent lets everything through. */
export interface EventFilter {
  /** Events that name this resource, and those of its leases and of waits for it. */
  readonly resource?: number | undefined;
  /** By their names. */
  readonly events?: readonly string[] | undefined;
  readonly domain?: string | undefined;
}

/** Leases and waits of the wanted resource that are remembered; of those before them it isn't known any more. */
const SEEN_MAX = 10_000;

/**
 * A filter that remembers what it has let through: most events of a lease name the lease alone, and what its grant said is
 * long past. Where nobody knows the resource any more the event comes: too many can be passed over, a missing one can't.
 */
export class EventSieve {
  readonly #filter: EventFilter;
  readonly #events: ReadonlySet<string> | undefined;
  readonly #resourceOf: (lease: number) => number | undefined;
  #leases = new SeenIds();
  #waiters = new SeenIds();

  /** `resourceOf` knows leases that live, and those that ended of late. */
  constructor(filter: EventFilter, resourceOf: (lease: number) => number | undefined) {
    this.#filter = filter;
    this.#events = filter.events && new Set(filter.events);
    this.#resourceOf = resourceOf;
  }

  /** To be asked of every event, in order. */
  wants(event: FeedEvent): boolean {
    const { resource, domain } = this.#filter;
    if (domain !== undefined && event.domain !== domain) return false;
    // First: a grant is learnt from, wanted or not.
    if (resource !== undefined && !this.#concerns(resource, event)) return false;
    return this.#events?.has(event.name) ?? true;
  }

  /** Events are missing from here on. */
  forget(): void {
    this.#leases = new SeenIds();
    this.#waiters = new SeenIds();
  }

  #concerns(wanted: number, event: FeedEvent): boolean {
    const { resource, lease, leases, waiter } = event.fields as Record<
      'resource' | 'lease' | 'leases' | 'waiter',
      unknown
    >;
    if (typeof resource === 'number') {
      const isWanted = resource === wanted;
      if (typeof lease === 'number') this.#leases.saw(lease, isWanted);
      else if (typeof waiter === 'number') this.#waiters.saw(waiter, isWanted);
      return isWanted;
    }
    if (typeof lease === 'number') return this.#isLeaseOf(wanted, lease);
    if (Array.isArray(leases)) return leases.some((each) => this.#isLeaseOf(wanted, each as number));
    return typeof waiter === 'number' && (this.#waiters.isWanted(waiter) ?? true);
  }

  #isLeaseOf(wanted: number, lease: number): boolean {
    return this.#leases.isWanted(lease) ?? (this.#resourceOf(lease) ?? wanted) === wanted;
  }
}

/** Numbers that only rise, as they were first seen: from the first one on, what isn't remembered as wanted isn't. */
class SeenIds {
  readonly #wanted = new Set<number>();
  /** Invariant: every wanted one from here on is in the set. */
  #from = Infinity;

  saw(id: number, isWanted: boolean): void {
    this.#from = Math.min(this.#from, id);
    if (!isWanted) return;
    this.#wanted.add(id);
    if (this.#wanted.size <= SEEN_MAX) return;
    const [oldest] = this.#wanted;
    this.#wanted.delete(oldest!);
    this.#from = oldest! + 1;
  }

  /** undefined: from before the first. */
  isWanted(id: number): boolean | undefined {
    return id < this.#from ? undefined : this.#wanted.has(id);
  }
}
