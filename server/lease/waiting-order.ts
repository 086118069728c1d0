/**
 * In which order those who wait for a resource will be served, as far as anybody can say: as if every address fitted
 * every one of them. Then the collectors go in turn, each with its next, and once a collector has been served all its
 * lines are alike, so that its oldest request goes on.
 */
import type { Collector } from './collectors.ts';
import type { Session } from './state.ts';
import type { Line, Waiter } from './waiting.ts';

/** Keys of lines that were passed over while their session was away begin here: before all others, first come first. */
const PASSED_OVER_KEY = -(2 ** 52);

/** All that one collector waits for on the resource. */
interface Waits {
  readonly lines: Set<Line>;
  /** Waiters of present sessions. */
  size: number;
}

export class WaitingOrder {
  readonly #collectors = new Map<Collector, Waits>();
  /** Collectors of which somebody is present. */
  #presentCount = 0;

  linesOf(collector: Collector): Iterable<Line> {
    return this.#collectors.get(collector)?.lines ?? NO_LINES;
  }

  /** One more waits in the line. */
  add(line: Line): void {
    const { collector } = line.session;
    let waits = this.#collectors.get(collector);
    if (!waits) {
      waits = { lines: new Set(), size: 0 };
      this.#collectors.set(collector, waits);
    }
    waits.lines.add(line);
    if (line.parkedAtGrants === undefined) this.#count(waits, 1);
  }

  /** One less waits in the line. */
  delete(line: Line): void {
    const { collector } = line.session;
    const waits = this.#collectors.get(collector)!;
    if (line.waiters.size === 0) waits.lines.delete(line);
    if (line.parkedAtGrants === undefined) this.#count(waits, -1);
    if (waits.lines.size === 0) this.#collectors.delete(collector);
  }

  park({ session, waiters }: Line, isParked: boolean): void {
    this.#count(this.#collectors.get(session.collector)!, isParked ? -waiters.size : waiters.size);
  }

  /** From 1, among those present; of a session that is away as if it were here, which it is about to be. */
  positionOf(waiter: Waiter): number {
    const { session } = waiter;
    const own = this.#collectors.get(session.collector)!;
    const first = firstOf(own, session)!;
    return this.#place(own, aheadOf(waiter, own, headOf(first)), (other) => isBefore(other, first));
  }

  /**
   * The place that a new waiter of `collector` would have, whose line has the key `key` or will begin with it; without one
   * it is a newcomer's.
   */
  positionForNext(collector: Collector, key: number | undefined): number {
    const own = this.#collectors.get(collector);
    const first = own && firstOf(own);
    // A newcomer comes behind everybody's first.
    if (!first && key === undefined) return 1 + this.#presentCount;
    // Of one age, whoever has come is before whoever comes.
    if (!first || key! < keyOf(first)) return this.#place(own, 0, (other) => keyOf(other) <= key!);
    return this.#place(own, own!.size, (other) => isBefore(other, first));
  }

  /** The foremost `limit` of those present, in that order. */
  inOrder(limit: number): Waiter[] {
    const present = [...this.#collectors.values()].flatMap((waits) => {
      const first = firstOf(waits);
      return first ? { waits, first } : [];
    });
    present.sort((one, other) => (isBefore(one.first, other.first) ? -1 : 1));
    let round = present.map(({ waits, first }) => inTurn(waits, first));
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

  #count(waits: Waits, step: number): void {
    const before = waits.size;
    waits.size += step;
    this.#presentCount += Number(waits.size > 0) - Number(before > 0);
  }

  /** With `ahead` of its own collector's before it; `precedes` tells which other collectors' first is before its own's. */
  #place(own: Waits | undefined, ahead: number, precedes: (first: Line) => boolean): number {
    let position = 1 + ahead;
    for (const other of this.#collectors.values()) {
      const first = other === own ? undefined : firstOf(other);
      if (first) position += Math.min(other.size, ahead + (precedes(first) ? 1 : 0));
    }
    return position;
  }
}

const NO_LINES: readonly Line[] = [];

export function keyOf({ passedOverKey, strand }: Line): number {
  return passedOverKey ?? strand.key;
}

/** The key of its own that a line will have when its session is back; undefined: it goes by its strand's. */
export function passedOverKeyWhenBack(line: Line): number | undefined {
  const { parkedAtGrants, resource, passedOverKey } = line;
  const isPassedOver = parkedAtGrants !== undefined && resource.grants > parkedAtGrants;
  return isPassedOver ? PASSED_OVER_KEY + headOf(line).number : passedOverKey;
}

/** The next of a line to be served; a line without waiters doesn't exist. */
export function headOf(line: Line): Waiter {
  return line.waiters.values().next().value!;
}

export function isBefore(one: Line, other: Line): boolean {
  const key = passedOverKeyWhenBack(one) ?? one.strand.key;
  const otherKey = passedOverKeyWhenBack(other) ?? other.strand.key;
  return key === otherKey ? headOf(one).number < headOf(other).number : key < otherKey;
}

/** Whether the line's session is there, or is `session`. */
function isPresent(line: Line, session?: Session): boolean {
  return line.parkedAtGrants === undefined || line.session === session;
}

/** The line of a present session, or of `session`, that is served next, whatever comes free. */
function firstOf({ lines }: Waits, session?: Session): Line | undefined {
  let first: Line | undefined;
  for (const line of lines) if (isPresent(line, session) && (!first || isBefore(line, first))) first = line;
  return first;
}

/** How many of its own collector's are served before a waiter. */
function aheadOf(waiter: Waiter, { lines }: Waits, head: Waiter): number {
  if (waiter === head) return 0;
  let ahead = 1;
  for (const line of lines) {
    if (!isPresent(line, waiter.session)) continue;
    for (const other of line.waiters) if (other !== head && other.number < waiter.number) ahead += 1;
  }
  return ahead;
}

function inTurn({ lines }: Waits, first: Line): Iterator<Waiter, undefined> {
  if (lines.size === 1) return first.waiters.values();
  const head = headOf(first);
  const others = [...lines].flatMap((line) => (isPresent(line) ? [...line.waiters] : [])).filter((it) => it !== head);
  return [head, ...others.sort((one, other) => one.number - other.number)].values();
}
