/**
 * Which targets of a pool take requests. One that refuses connections, stays silent, or breaks off answer after answer is out
 * until a probe finds it well again: it can't be used, so no bound keeps it in. One that answers badly or slowly is ejected
 * for a time that grows, and only as long as enough others are left: it could be used where there is nothing better.
 */
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import type { ProbeResult } from './prober.ts';
import { Streak } from './thresholds.ts';

/** Why a target is out. The last two are ejections. */
export const OUT_CAUSES = ['refused', 'silent', 'broken', 'probe', 'status', 'latency'] as const;
export type OutCause = (typeof OUT_CAUSES)[number];

export interface Out {
  readonly cause: OutCause;
  /** A word for what was found: `timeout`, `status_503`. */
  readonly reason: string;
}

/** Durations in ms. */
export interface HealthPolicy {
  /** Good probes in a row that bring a target back, and bad ones that take it out. */
  readonly probeUp: number;
  readonly probeDown: number;
  /** Answers in a row that are 5xx, broken or too slow, after which a target is ejected; 0: never. */
  readonly ejectAfter: number;
  /** Head of the response later than that: too slow. Absent: nothing is. */
  readonly ejectSlowerThanMs?: number;
  /** Doubles with each ejection, up to `ejectMaxMs`. */
  readonly ejectMs: number;
  readonly ejectMaxMs: number;
  /** An ejection never makes this share of the targets, or more, be out. */
  readonly ejectShareMax: number;
}

export interface TargetHealthOptions<Item> {
  readonly items: readonly Item[];
  readonly policy: HealthPolicy;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** `out` undefined: it is in again, after having been out for `before`. */
  readonly onChange: (item: Item, out: Out | undefined, before: Out | undefined) => void;
}

/** Good answers in a row that take one doubling of the ejection time back. */
const GOOD_STREAK = 100;

interface Record {
  out: Out | undefined;
  readonly probes: Streak;
  /** Bad answers since the last good one, and good ones since the last bad one. */
  bad: number;
  good: number;
  slow: number;
  broken: number;
  /** How often it was ejected, less what good answers have taken back. */
  level: number;
  backMs: number;
  cancelReturn: () => void;
}

export class TargetHealth<Item extends object> {
  readonly #options: TargetHealthOptions<Item>;
  readonly #records: Map<Item, Record>;
  #outCount = 0;

  constructor(options: TargetHealthOptions<Item>) {
    this.#options = options;
    this.#records = new Map(options.items.map((item) => [item, freshRecord()]));
  }

  /** Undefined: it is in. */
  outOf(item: Item): Out | undefined {
    return this.#of(item).out;
  }

  /** When it last came back, by the clock; -Infinity: it was never out. */
  backSinceMs(item: Item): number {
    return this.#of(item).backMs;
  }

  /** No connection could be made: out at once. */
  refused(item: Item, reason: string): void {
    this.#takeOut(item, { cause: 'refused', reason });
  }

  /** A request reached it and nothing came back in its time: out at once. */
  silent(item: Item): void {
    this.#takeOut(item, { cause: 'silent', reason: 'timeout' });
  }

  /** It broke off what it had begun or been asked. A target that restarts does so to all that is under way. */
  broke(item: Item, reason: string): void {
    const record = this.#of(item);
    record.broken += 1;
    record.good = 0;
    const { ejectAfter } = this.#options.policy;
    if (ejectAfter > 0 && record.broken >= ejectAfter) this.#takeOut(item, { cause: 'broken', reason });
  }

  /** The head of an answer came. `wasOut`: it was asked although it was out, since nobody else was left. */
  answered(item: Item, status: number, ms: number, wasOut: boolean): void {
    const record = this.#of(item);
    const { ejectAfter, ejectSlowerThanMs } = this.#options.policy;
    record.broken = 0;
    if (wasOut && record.out && !isEjection(record.out) && record.out.cause !== 'probe') this.#takeBack(item);
    if (status < 500 && (ejectSlowerThanMs === undefined || ms <= ejectSlowerThanMs)) {
      record.bad = 0;
      record.slow = 0;
      if (record.level > 0 && ++record.good % GOOD_STREAK === 0) record.level -= 1;
      return;
    }
    record.good = 0;
    if (status >= 500) record.bad += 1;
    else record.slow += 1;
    if (ejectAfter === 0) return;
    if (record.bad >= ejectAfter) this.#eject(item, { cause: 'status', reason: `status_${status}` });
    else if (record.slow >= ejectAfter) this.#eject(item, { cause: 'latency', reason: 'slow' });
  }

  probed(item: Item, result: ProbeResult): void {
    const { probeUp, probeDown } = this.#options.policy;
    const record = this.#of(item);
    const ejected = record.out !== undefined && isEjection(record.out);
    const isIn = record.probes.take(result.ok, ejected || !record.out, { up: probeUp, down: probeDown });
    if (!isIn && !result.ok && (!record.out || ejected)) {
      this.#takeOut(item, { cause: 'probe', reason: result.reason });
    } else if (isIn && record.out && !ejected) {
      this.#takeBack(item);
    }
  }

  /** Calls off what is to come back by time. */
  stop(): void {
    for (const record of this.#records.values()) record.cancelReturn();
  }

  #of(item: Item): Record {
    return this.#records.get(item)!;
  }

  #eject(item: Item, out: Out): void {
    const { policy, clock, scheduler } = this.#options;
    const record = this.#of(item);
    if (record.out || this.#outCount + 1 > policy.ejectShareMax * this.#records.size) return;
    record.level += 1;
    const ms = Math.min(policy.ejectMs * 2 ** (record.level - 1), Math.max(policy.ejectMs, policy.ejectMaxMs));
    this.#change(item, out);
    const backAtMs = clock.nowMs() + ms;
    // A timer may come early by a fraction of a millisecond.
    const wait = () => {
      const leftMs = backAtMs - clock.nowMs();
      if (leftMs > 0) record.cancelReturn = scheduler.setTimer(leftMs, wait);
      else this.#takeBack(item);
    };
    wait();
  }

  #takeOut(item: Item, out: Out): void {
    const record = this.#of(item);
    // What was found first stands, but for an ejection: that would end by itself.
    if (record.out && !isEjection(record.out)) return;
    record.cancelReturn();
    record.probes.forget();
    this.#change(item, out);
  }

  #takeBack(item: Item): void {
    const record = this.#of(item);
    record.cancelReturn();
    record.backMs = this.#options.clock.nowMs();
    this.#change(item, undefined);
  }

  #change(item: Item, out: Out | undefined): void {
    const record = this.#of(item);
    const before = record.out;
    record.out = out;
    record.bad = 0;
    record.slow = 0;
    record.good = 0;
    record.broken = 0;
    this.#outCount += Number(out !== undefined) - Number(before !== undefined);
    this.#options.onChange(item, out, before);
  }
}

export function isEjection({ cause }: Out): boolean {
  return cause === 'status' || cause === 'latency';
}

function freshRecord(): Record {
  return {
    out: undefined,
    probes: new Streak(),
    bad: 0,
    good: 0,
    slow: 0,
    broken: 0,
    level: 0,
    backMs: -Infinity,
    cancelReturn: () => {},
  };
}
