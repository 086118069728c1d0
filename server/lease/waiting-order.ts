/**
 * In which order those who wait for a resource will be served, as far as anybody can say: as if every address fitted
 * every one of them. Then the collectors go in turn, each with its next, and once a collector has been served all its
 * lines are alike, so that its oldest request goes on.
 */
import type { Session } from './state.ts';
import type { Line, Waiter } from './waiting.ts';

/** Keys of lines that were passed over while their session was away begin here: before all others, first come first. */
const PASSED_OVER_KEY = -(2 ** 52);

/** All that one session waits for on the resource; its lines are parked together. */
interface Collector {
  readonly lines: Set<Line>;
  size: number;
  isParked: boolean;
}

export class WaitingOrder {
  readonly #collectors = new Map<Session, Collector>();
  #presentCount = 0;

  /** One more waits in the line. */
  add(line: Line): void {
    let collector = this.#collectors.get(line.session);
    if (!collector) {
      collector = { lines: new Set(), size: 0, isParked: line.parkedAtGrants !== undefined };
      this.#collectors.set(line.session, collector);
      if (!collector.isParked) this.#presentCount += 1;
    }
    collector.lines.add(line);
    collector.size += 1;
  }

  /** One less waits in the line. */
  delete(line: Line): void {
    const collector = this.#collectors.get(line.session)!;
    if (line.waiters.size === 0) collector.lines.delete(line);
    collector.size -= 1;
    if (collector.size > 0) return;
    this.#collectors.delete(line.session);
    if (!collector.isParked) this.#presentCount -= 1;
  }

  park({ session }: Line, isParked: boolean): void {
    const collector = this.#collectors.get(session)!;
    if (collector.isParked === isParked) return;
    collector.isParked = isParked;
    this.#presentCount += isParked ? -1 : 1;
  }

  /** From 1, among those present; of a session that is away as if it were here, which it is about to be. */
  positionOf(waiter: Waiter): number {
    const own = this.#collectors.get(waiter.session)!;
    const first = firstOf(own);
    return this.#place(own, aheadOf(waiter, own, headOf(first)), (other) => isBefore(other, first));
  }

  /**
   * The place that a new waiter of `session` would have, whose line has the key `key` or will begin with it; without one
   * it is a newcomer's.
   */
  positionForNext(session: Session, key: number | undefined): number {
    const own = this.#collectors.get(session);
    const first = own && firstOf(own);
    // A newcomer comes behind everybody's first.
    if (!first && key === undefined) return 1 + this.#presentCount;
    // Of one age, whoever has come is before whoever comes.
    if (!first || key! < first.key) return this.#place(own, 0, (other) => other.key <= key!);
    return this.#place(own, own.size, (other) => isBefore(other, first));
  }

  /** The foremost `limit` of those present, in that order. */
  inOrder(limit: number): Waiter[] {
    const present = [...this.#collectors.values()].flatMap((collector) =>
      collector.isParked ? [] : { collector, first: firstOf(collector) },
    );
    present.sort((one, other) => (isBefore(one.first, other.first) ? -1 : 1));
    let round = present.map(({ collector, first }) => inTurn(collector, first));
    const order: Waiter[] = [];
    while (round.length > 0) {
      const rest: typeof round = [];
      for (const waiters of round) {
        const next = waiters.next();
        if (next.done) continue;
        if (order.push(next.value) === limit) return order;
        rest.push(waiters);
      }
      round = rest;
    }
    return order;
  }

  /** With `ahead` of its own collector's before it; `precedes` tells which other collectors' first is before its own's. */
  #place(own: Collector | undefined, ahead: number, precedes: (first: Line) => boolean): number {
    let position = 1 + ahead;
    for (const other of this.#collectors.values()) {
      if (other === own || other.isParked) continue;
      position += Math.min(other.size, ahead + (precedes(firstOf(other)) ? 1 : 0));
    }
    return position;
  }
}

/** Of a line that is passed over: the key that it will have when its session is back. */
export function keyWhenBack(line: Line): number {
  const { parkedAtGrants, resource, key } = line;
  const isPassedOver = parkedAtGrants !== undefined && resource.grants > parkedAtGrants;
  return isPassedOver ? PASSED_OVER_KEY + headOf(line).number : key;
}

/** The next of a line to be served; a line without waiters doesn't exist. */
export function headOf(line: Line): Waiter {
  return line.waiters.values().next().value!;
}

export function isBefore(one: Line, other: Line): boolean {
  const key = keyWhenBack(one);
  const otherKey = keyWhenBack(other);
  return key === otherKey ? headOf(one).number < headOf(other).number : key < otherKey;
}

/** The one of its lines that is served next, whatever comes free. */
function firstOf({ lines }: Collector): Line {
  let first: Line | undefined;
  for (const line of lines) if (!first || isBefore(line, first)) first = line;
  return first!;
}

/** How many of its own collector's are served before a waiter. */
function aheadOf(waiter: Waiter, { lines }: Collector, head: Waiter): number {
  if (waiter === head) return 0;
  let ahead = 1;
  for (const { waiters } of lines) {
    for (const other of waiters) if (other !== head && other.number < waiter.number) ahead += 1;
  }
  return ahead;
}

function inTurn({ lines }: Collector, first: Line): Iterator<Waiter, undefined> {
  if (lines.size === 1) return first.waiters.values();
  const head = headOf(first);
  const others = [...lines].flatMap(({ waiters }) => [...waiters]).filter((waiter) => waiter !== head);
  return [head, ...others.sort((one, other) => one.number - other.number)].values();
}
