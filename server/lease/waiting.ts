/**
 * Who waits for a resource, and in which order they are served.
 *
 * A line is one collector's waiters under one condition, first come first. Its key says when that collector was last
 * served with an address that the line could have taken, by a clock that counts services and newcomers: the least key is
 * next. So a service counts against those of a collector's lines that it could have gone to, and against no other: a
 * narrow condition is not starved by its own collector's broad ones.
 *
 * Waiters for a count have lines of their own and stay out of the conditions' heaps: they need several at once.
 */
import type { Strategy } from '../../protocol/codes.ts';
import { WAITING_CONDITIONS_MAX } from '../../protocol/limits.ts';
import type { Where } from '../../protocol/where.ts';
import type { Address } from './address.ts';
import { IndexedHeap, NOT_IN_HEAP } from './indexed-heap.ts';
import type { Condition, ResourcePool } from './resource-pool.ts';
import type { Resource, Session } from './state.ts';
import { headOf, keyWhenBack, WaitingOrder } from './waiting-order.ts';

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
  key: number;
  readonly waiters: Set<Waiter>;
  /** Of a suspended session: the resource's grants at that moment. */
  parkedAtGrants: number | undefined;
  place: number;
}

/** Lines under one condition. */
export interface Group {
  readonly condition: Condition<Address>;
  /** Those with a present holder, without the counts. */
  readonly ready: IndexedHeap<Line>;
  lineCount: number;
}

export class ResourceQueue {
  readonly #pool: ResourcePool<Address>;
  readonly #groups = new Map<string, Group>();
  readonly #lines = new Set<Line>();
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

  /** Waiters that may be served: their session isn't suspended. */
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

  /** Puts a waiter at the end of its line; one that has to be made begins at `key`. */
  add(waiter: Waiter, where: Where | undefined, key: number, parkedAtGrants: number | undefined): void {
    const group = this.#groupFor(where);
    const isCount = (waiter.count ?? 1) > 1;
    let line = isCount ? undefined : this.#lineOf(waiter.session, group);
    if (!line) {
      const { session, resource } = waiter;
      line = { session, resource, group, isCount, key, waiters: new Set(), parkedAtGrants, place: NOT_IN_HEAP };
      group.lineCount += 1;
      this.#lines.add(line);
      session.lines.add(line);
      if (isCount) this.#counts.add(line);
      else if (parkedAtGrants === undefined) group.ready.set(line, key);
    }
    line.waiters.add(waiter);
    waiter.line = line;
    this.#order.add(line);
    this.#size += 1;
    if (line.parkedAtGrants === undefined) this.#activeCount += 1;
  }

  delete(waiter: Waiter): void {
    const { line } = waiter;
    if (!line) return;
    line.waiters.delete(waiter);
    waiter.line = undefined;
    this.#size -= 1;
    if (line.parkedAtGrants === undefined) this.#activeCount -= 1;
    this.#order.delete(line);
    if (line.waiters.size > 0) return;
    const { group } = line;
    this.#lines.delete(line);
    this.#counts.delete(line);
    line.session.lines.delete(line);
    group.ready.delete(line);
    group.lineCount -= 1;
    if (group.lineCount > 0) return;
    this.#groups.delete(group.condition.key);
    this.#pool.unpin(group.condition);
  }

  /** Its session is suspended: it keeps its place and is passed over. */
  park(line: Line): void {
    if (line.parkedAtGrants !== undefined) return;
    line.parkedAtGrants = line.resource.grants;
    line.group.ready.delete(line);
    this.#order.park(line, true);
    this.#activeCount -= line.waiters.size;
  }

  /** Its session is back: first of all, where others were served meanwhile. */
  unpark(line: Line): void {
    if (line.parkedAtGrants === undefined) return;
    line.key = keyWhenBack(line);
    line.parkedAtGrants = undefined;
    if (!line.isCount) line.group.ready.set(line, line.key);
    this.#order.park(line, false);
    this.#activeCount += line.waiters.size;
  }

  /** The line's collector was served with what it could have taken. */
  rekey(line: Line, key: number): void {
    line.key = key;
    if (!line.isCount && line.parkedAtGrants === undefined) line.group.ready.set(line, key);
  }

  /** Conditions have changed with the resource's policy: the waiters are put into their lines anew, keys as they were. */
  regroup(whereOf: (waiter: Waiter) => Where | undefined): void {
    const waiters = [...this.#lines].flatMap((line) => Array.from(line.waiters, (waiter) => ({ waiter, line })));
    waiters.sort((one, other) => one.waiter.number - other.waiter.number);
    const before = waiters.map(({ waiter, line }) => ({ waiter, key: line.key, parkedAtGrants: line.parkedAtGrants }));
    for (const { waiter } of before) this.delete(waiter);
    for (const { waiter, key, parkedAtGrants } of before) this.add(waiter, whereOf(waiter), key, parkedAtGrants);
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
    const group = this.#groups.get(condition.key);
    const line = group && !isCount ? this.#lineOf(session, group) : undefined;
    return this.#order.positionForNext(session, line?.key ?? served);
  }

  /** The foremost `limit` of those present, in that order. */
  inOrder(limit: number): Waiter[] {
    return this.#order.inOrder(limit);
  }

  #lineOf(session: Session, group: Group): Line | undefined {
    for (const line of session.lines) if (line.group === group && !line.isCount) return line;
    return undefined;
  }

  #groupFor(where: Where | undefined): Group {
    const condition = this.#pool.condition(where);
    let group = this.#groups.get(condition.key);
    if (!group) {
      const ready = new IndexedHeap<Line>({
        get: (line) => line.place,
        set: (line, index) => {
          line.place = index;
        },
      });
      group = { condition: this.#pool.pin(where), ready, lineCount: 0 };
      this.#groups.set(condition.key, group);
    }
    return group;
  }
}
