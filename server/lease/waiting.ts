/**
 * Who waits for a resource, and in which order they are served.
 *
 * A line is one session's waiters under one condition, first come first. A collector's lines under it are a strand: one
 * session's line, or those of all sessions of an authenticated client, of which the oldest request goes first. A strand's
 * key says when its collector was last served with an address that it could have taken, by a clock that counts services and
 * newcomers: the least key is next. So a service counts against those of a collector's strands that it could have gone to,
 * and against no other: a narrow condition is not starved by its own collector's broad ones.
 *
 * Who holds as much as `max_leases_per_client` allows keeps its place and is out of the heaps until that changes.
 *
 * Waiters for a count have lines and strands of their own and stay out of the conditions' heaps: they need several at once.
 */
import type { Strategy } from '../../protocol/codes.ts';
import { WAITING_CONDITIONS_MAX } from '../../protocol/limits.ts';
import type { Where } from '../../protocol/where.ts';
import type { Address } from './address.ts';
import type { Collector, Tally } from './collectors.ts';
import { IndexedHeap, NOT_IN_HEAP } from './indexed-heap.ts';
import type { Condition, ResourcePool } from './resource-pool.ts';
import type { Resource, Session } from './state.ts';
import { headOf, isBefore, keyOf, passedOverKeyWhenBack, WaitingOrder } from './waiting-order.ts';

export interface WaiterRequest {
  readonly id: number;
  /** From when it waits, by the coordinator's clock. */
  readonly atMs: number;
}

export interface Waiter {
  /** Rising with arrival. */
  readonly number: number;
  readonly session: Session;
  readonly resource: Resource;
  /** Newest last: the same acquire may have been sent again with its key. */
  requests: readonly WaiterRequest[];
  /** Its requests came on a socket that is gone: the next repeat takes their place. */
  areRequestsStale: boolean;
  readonly ttlMs: number;
  readonly where: Where | undefined;
  readonly strategy: Strategy | undefined;
  readonly sticky: string | undefined;
  readonly count: number | undefined;
  readonly key: string | undefined;
  readonly body: string | undefined;
  readonly untilMs: number;
  /** Set while it is in a queue. */
  line: Line | undefined;
  /** Of a count: addresses kept for it so far. */
  readonly reserved: Set<Address>;
  /** The place that it was last told of; 0: none. */
  toldPosition: number;
  toldAtMs: number;
  deadlinePlace: number;
}

export interface Line {
  readonly session: Session;
  readonly resource: Resource;
  readonly group: Group;
  readonly isCount: boolean;
  readonly strand: Strand;
  readonly waiters: Set<Waiter>;
  /** Of a suspended session: the resource's grants at that moment. */
  parkedAtGrants: number | undefined;
  /** Others were served while its session was away: until its collector is served, it goes by this instead of its strand's. */
  passedOverKey: number | undefined;
}

export interface Strand {
  readonly collector: Collector;
  readonly tally: Tally;
  readonly group: Group;
  readonly isCount: boolean;
  key: number;
  readonly lines: Set<Line>;
  /** Of those of present sessions, the one that is served next. */
  first: Line | undefined;
  /** Its tally is at its bound. */
  isHeld: boolean;
  place: number;
}

/** Strands under one condition. */
export interface Group {
  readonly condition: Condition<Address>;
  /** Those that may be served, without the counts. */
  readonly ready: IndexedHeap<Strand>;
  /** Without the counts. */
  readonly strands: Map<Collector, Strand>;
  strandCount: number;
}

/** Where a waiter stands that isn't a newcomer: what becomes of a line or a strand that has to be made for it. */
export interface Standing {
  readonly key: number;
  readonly passedOverKey: number | undefined;
  readonly parkedAtGrants: number | undefined;
}

export class ResourceQueue {
  readonly #pool: ResourcePool<Address>;
  readonly #groups = new Map<string, Group>();
  readonly #lines = new Set<Line>();
  readonly #byTally = new Map<Tally, Set<Strand>>();
  readonly #order = new WaitingOrder();
  /** In the order of arrival. */
  readonly #counts = new Set<Line>();
  #size = 0;
  #activeCount = 0;
  /** Pairs kept for counts. */
  reservedCount = 0;

  constructor(pool: ResourcePool<Address>) {
    this.#pool = pool;
  }

  get size(): number {
    return this.#size;
  }

  /** Waiters whose session isn't suspended. */
  get activeCount(): number {
    return this.#activeCount;
  }

  get countCount(): number {
    return this.#counts.size;
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Of present holders, oldest first. */
  *counts(): Generator<Waiter> {
    for (const line of this.#counts) if (line.parkedAtGrants === undefined) yield headOf(line);
  }

  /** Whether one more condition, or one that waits already, fits the bound. */
  takes(condition: Condition<Address>): boolean {
    return this.#groups.has(condition.key) || this.#groups.size < WAITING_CONDITIONS_MAX;
  }

  /** Puts a waiter at the end of its line. `isHeld`: its tally is at its bound. */
  add(waiter: Waiter, where: Where | undefined, standing: Standing, isHeld: boolean): void {
    const group = this.#groupFor(where);
    const isCount = (waiter.count ?? 1) > 1;
    const known = isCount ? undefined : this.#lineOf(waiter.session, group);
    const line = known ?? this.#newLine(waiter, group, standing, isHeld);
    line.waiters.add(waiter);
    waiter.line = line;
    this.#order.add(line);
    this.#size += 1;
    if (line.parkedAtGrants === undefined) this.#activeCount += 1;
    if (!known) this.#refresh(line.strand);
  }

  delete(waiter: Waiter): void {
    const { line } = waiter;
    if (!line) return;
    const { strand } = line;
    line.waiters.delete(waiter);
    waiter.line = undefined;
    this.#size -= 1;
    if (line.parkedAtGrants === undefined) this.#activeCount -= 1;
    this.#order.delete(line);
    if (line.waiters.size === 0) {
      this.#lines.delete(line);
      this.#counts.delete(line);
      line.session.lines.delete(line);
      strand.lines.delete(line);
    }
    this.#refresh(strand);
    if (strand.lines.size === 0) this.#forget(strand);
  }

  /** Its session is suspended: it keeps its place and is passed over. */
  park(line: Line): void {
    if (line.parkedAtGrants !== undefined) return;
    line.parkedAtGrants = line.resource.grants;
    this.#order.park(line, true);
    this.#activeCount -= line.waiters.size;
    this.#refresh(line.strand);
  }

  /** Its session is back: first of all, where others were served meanwhile. */
  unpark(line: Line): void {
    if (line.parkedAtGrants === undefined) return;
    line.passedOverKey = passedOverKeyWhenBack(line);
    line.parkedAtGrants = undefined;
    this.#order.park(line, false);
    this.#activeCount += line.waiters.size;
    this.#refresh(line.strand);
  }

  /** The collector was served with `address`: its strands that could have taken it go behind those served longer ago. */
  served(collector: Collector, address: Address, key: number): void {
    for (const { strand } of this.#order.linesOf(collector)) {
      if (strand.key === key || !strand.group.condition.holds(address)) continue;
      this.rekey(strand, key);
    }
  }

  rekey(strand: Strand, key: number): void {
    strand.key = key;
    for (const line of strand.lines) line.passedOverKey = undefined;
    this.#refresh(strand);
  }

  /** Whether who belongs to `tally` is at its bound has been looked at. */
  hold(tally: Tally, isHeld: boolean): void {
    for (const strand of this.#byTally.get(tally) ?? []) {
      if (strand.isHeld === isHeld) continue;
      strand.isHeld = isHeld;
      this.#refresh(strand);
    }
  }

  /** Conditions and bounds have changed with the resource's policy: the waiters are put in anew, keys as they were. */
  regroup(whereOf: (waiter: Waiter) => Where | undefined, isHeld: (tally: Tally) => boolean): void {
    const before = [...this.#lines].flatMap(({ strand, passedOverKey, parkedAtGrants, waiters }) => {
      const standing = { key: strand.key, passedOverKey, parkedAtGrants };
      return Array.from(waiters, (waiter) => ({ waiter, standing }));
    });
    before.sort((one, other) => one.waiter.number - other.waiter.number);
    for (const { waiter } of before) this.delete(waiter);
    for (const { waiter, standing } of before) {
      this.add(waiter, whereOf(waiter), standing, isHeld(waiter.session.tally));
    }
  }

  /** As in WaitingOrder. */
  positionOf(waiter: Waiter): number {
    return this.#order.positionOf(waiter);
  }

  /** The place that a new waiter of `session` would have; `served`: when its collector was, if ever. */
  positionForNext(
    session: Session,
    condition: Condition<Address>,
    isCount: boolean,
    served: number | undefined,
  ): number {
    const group = isCount ? undefined : this.#groups.get(condition.key);
    const line = group && this.#lineOf(session, group);
    const key = line ? keyOf(line) : group?.strands.get(session.collector)?.key;
    return this.#order.positionForNext(session.collector, key ?? served);
  }

  /** The foremost `limit` of those present, in that order. */
  inOrder(limit: number): Waiter[] {
    return this.#order.inOrder(limit);
  }

  #lineOf(session: Session, group: Group): Line | undefined {
    for (const line of session.lines) if (line.group === group && !line.isCount) return line;
    return undefined;
  }

  #newLine(waiter: Waiter, group: Group, standing: Standing, isHeld: boolean): Line {
    const { session, resource } = waiter;
    const isCount = (waiter.count ?? 1) > 1;
    const known = isCount ? undefined : group.strands.get(session.collector);
    const strand = known ?? this.#newStrand(session, group, isCount, standing.key, isHeld);
    const { parkedAtGrants, passedOverKey } = standing;
    const line = {
      session,
      resource,
      group,
      isCount,
      strand,
      waiters: new Set<Waiter>(),
      parkedAtGrants,
      passedOverKey,
    };
    strand.lines.add(line);
    this.#lines.add(line);
    session.lines.add(line);
    if (isCount) this.#counts.add(line);
    return line;
  }

  #newStrand({ collector, tally }: Session, group: Group, isCount: boolean, key: number, isHeld: boolean): Strand {
    const lines = new Set<Line>();
    const strand = { collector, tally, group, isCount, key, lines, first: undefined, isHeld, place: NOT_IN_HEAP };
    group.strandCount += 1;
    if (!isCount) group.strands.set(collector, strand);
    const others = this.#byTally.get(tally);
    if (others) others.add(strand);
    else this.#byTally.set(tally, new Set([strand]));
    return strand;
  }

  /** Of a strand without lines. */
  #forget(strand: Strand): void {
    const { collector, tally, group, isCount } = strand;
    const others = this.#byTally.get(tally)!;
    others.delete(strand);
    if (others.size === 0) this.#byTally.delete(tally);
    if (!isCount) group.strands.delete(collector);
    group.strandCount -= 1;
    if (group.strandCount > 0) return;
    this.#groups.delete(group.condition.key);
    this.#pool.unpin(group.condition);
  }

  /** Puts the strand where what has changed of it wants it. */
  #refresh(strand: Strand): void {
    let first: Line | undefined;
    for (const line of strand.lines) {
      if (line.parkedAtGrants === undefined && (!first || isBefore(line, first))) first = line;
    }
    strand.first = first;
    const { ready } = strand.group;
    if (!first || strand.isHeld || strand.isCount) ready.delete(strand);
    else ready.set(strand, keyOf(first));
  }

  #groupFor(where: Where | undefined): Group {
    const condition = this.#pool.condition(where);
    let group = this.#groups.get(condition.key);
    if (!group) {
      const ready = new IndexedHeap<Strand>({
        get: (strand) => strand.place,
        set: (strand, index) => {
          strand.place = index;
        },
      });
      group = { condition: this.#pool.pin(where), ready, strands: new Map(), strandCount: 0 };
      this.#groups.set(condition.key, group);
    }
    return group;
  }
}
