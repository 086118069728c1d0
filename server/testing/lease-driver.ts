import { Packr } from 'msgpackr';
import type { DecisionContext, EventRecord } from '../coordinator/domain.ts';
import type { LeaseAnswer, LeaseCommand, LeaseNotice } from '../lease/commands.ts';
import type { LeaseEvent } from '../lease/events.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import type { LeaseState } from '../lease/state.ts';

export type LeaseDomain = typeof leaseDomain;

/** One decision, as far as a test wants to know. */
export interface Decided {
  readonly atMs: number;
  readonly events: readonly LeaseEvent[];
  readonly notices: readonly LeaseNotice[];
  readonly answer: LeaseAnswer | undefined;
}

/** A long command that goes on for longer, or a `Due` that never has done. */
const DECISIONS_MAX = 100_000;
export const START_MS = 1_000;
export const START_UTC_MS = Date.UTC(2026, 0, 5);

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** The lease domain without a loop, a disk or sockets: decides, applies, and keeps what a journal would. */
export class LeaseDriver {
  readonly domain: LeaseDomain;
  state: LeaseState;
  nowMs = START_MS;
  utcMs = START_UTC_MS;
  /** Durable events since the beginning, in bytes. */
  readonly journal: Uint8Array[] = [];
  /** What remains of long commands that were held. */
  readonly #held: LeaseCommand[] = [];
  readonly #random: () => number;

  constructor(domain: LeaseDomain = leaseDomain, random: () => number = () => 0.5) {
    this.domain = domain;
    this.state = domain.create();
    this.#random = random;
  }

  /** Decides and follows what remains, to the end or until `isEnough` says so: the rest is held then. */
  execute(command: LeaseCommand, isEnough: (decisions: readonly Decided[]) => boolean = () => false): Decided[] {
    const decisions: Decided[] = [];
    // A command that is to be decided again goes on at once, without a turn in between.
    let next: LeaseCommand | undefined = command;
    while (next !== undefined) {
      if (decisions.length === DECISIONS_MAX) throw new Error(`${command.type} never comes to an end`);
      const context: DecisionContext = { nowMs: this.nowMs, utcMs: this.utcMs, random: this.#random };
      const decision = this.domain.decide(this.state, next, context);
      for (const event of decision.events) {
        this.domain.apply(this.state, event);
        if (this.domain.isDurable(event)) this.journal.push(packr.pack(this.domain.encodeEvent(event)));
      }
      const { events, notices = [], answer } = decision;
      decisions.push({ atMs: this.nowMs, events, notices, answer });
      const { again } = decision;
      if (again) continue;
      next = decision.next;
      if (next !== undefined && isEnough(decisions)) {
        this.#held.push(next);
        break;
      }
    }
    return decisions;
  }

  /** What was held back of the long commands. */
  resume(): Decided[] {
    return this.#held.splice(0).flatMap((command) => this.execute(command));
  }

  /** Everything that is due by now, slice by slice. */
  runDue(): Decided[] {
    const decisions: Decided[] = [];
    while ((this.domain.dueMs(this.state) ?? Infinity) <= this.nowMs) {
      if (decisions.length === DECISIONS_MAX) throw new Error('what is due never comes to an end');
      decisions.push(...this.execute(this.domain.dueCommand));
    }
    return decisions;
  }

  /** Time goes on, and what falls due on the way happens at its own time. */
  advance(ms: number): Decided[] {
    const decisions: Decided[] = [];
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.domain.dueMs(this.state) ?? Infinity;
      if (dueMs > endMs) break;
      this.pause(Math.max(0, dueMs - this.nowMs));
      decisions.push(...this.runDue());
    }
    this.pause(endMs - this.nowMs);
    return decisions;
  }

  /** Time goes on, and nobody looks. */
  pause(ms: number): void {
    this.nowMs += ms;
    this.utcMs += ms;
  }

  /** The durable state as a snapshot holds it: values that have been through bytes. */
  snapshot(): unknown[] {
    return Array.from(this.domain.encode(this.state), (record) => packr.unpack(packr.pack(record)));
  }

  /** Goes on with a state that was read from a snapshot of this one; what was held is lost, as in a crash. */
  reload(): void {
    this.#held.length = 0;
    const records = this.snapshot();
    this.state = this.domain.create();
    for (const record of records) this.domain.restore(this.state, record);
  }

  /** Applies what a journal holds, without deciding anything. */
  replay(bytes: Uint8Array): void {
    this.domain.apply(this.state, this.domain.decodeEvent(packr.unpack(bytes) as EventRecord));
  }

  /** A fresh state to which the journal was applied: what a recovery without a snapshot comes to. */
  replayed(): unknown[] {
    const standby = new LeaseDriver(this.domain);
    for (const bytes of this.journal) standby.replay(bytes);
    return standby.snapshot();
  }
}
