import { Packr } from 'msgpackr';
import { type DecisionContext, EVENTS_PER_DECISION_MAX, type EventRecord } from '../coordinator/domain.ts';
import type { LeaseAnswer, LeaseCommand, LeaseNotice } from '../lease/commands.ts';
import type { LeaseEvent } from '../lease/events.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import type { LeaseState } from '../lease/state.ts';

export type LeaseDomain = typeof leaseDomain;

/** One decision, as far as a test wants to know. */
export interface Decided {
  readonly atMs: number;
  /** What was asked for or what fell due, and each decision more that the one before it asked for. */
  readonly kind: 'command' | 'due' | 'again';
  readonly events: readonly LeaseEvent[];
  readonly notices: readonly LeaseNotice[];
  /** Only where somebody gets it: a command has one. */
  readonly answer: LeaseAnswer | undefined;
}

/** What remains of a long command; silent where the answer has been given. */
interface Continuation {
  readonly command: LeaseCommand;
  readonly isSilent: boolean;
}

/** A long command that goes on for longer, or a `Due` that never has done. */
const DECISIONS_MAX = 20_000;
export const START_MS = 1_000;
export const START_UTC_MS = Date.UTC(2026, 0, 5);

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/**
 * The lease domain without a disk or sockets: decides and applies in the order of the coordinator's loop
 * (coordinator.ts), and keeps what a journal would.
 */
export class LeaseDriver {
  readonly domain: LeaseDomain;
  state: LeaseState;
  nowMs = START_MS;
  utcMs = START_UTC_MS;
  random: () => number;
  /** Durable events since the beginning, in bytes. */
  readonly journal: Uint8Array[] = [];
  #continuations: Continuation[] = [];
  /** How long the process has stood still since it last decided something. */
  #pausedMs = 0;
  /** Nothing is due before a run's first command has been decided. */
  #hasBegun = false;
  /** Taken out of the loop, to come back when a test says so. */
  readonly #held: Continuation[] = [];

  constructor(domain: LeaseDomain = leaseDomain, random: () => number = () => 0.5) {
    this.domain = domain;
    this.state = domain.create();
    this.random = random;
  }

  /**
   * One slice of what is due, the command, and the turns that follow it until nothing of the command remains; or until
   * `isEnough` says so: the rest is held then. What is due in more slices than these is left to the next.
   */
  execute(command: LeaseCommand, isEnough: (decisions: readonly Decided[]) => boolean = () => false): Decided[] {
    const decisions: Decided[] = [];
    if (this.#hasBegun) this.#dueSlice(decisions);
    this.#hasBegun = true;
    this.#decide({ command, isSilent: false }, 'command', decisions);
    this.#turns(decisions, isEnough);
    return decisions;
  }

  /** What was held back of the long commands. */
  resume(): Decided[] {
    const decisions: Decided[] = [];
    this.#continuations = this.#held.splice(0);
    this.#turns(decisions);
    return decisions;
  }

  /** Everything that is due by now, slice by slice. */
  runDue(): Decided[] {
    const decisions: Decided[] = [];
    if (this.#pausedMs > 0) this.#dueSlice(decisions);
    while ((this.domain.dueMs(this.state) ?? Infinity) <= this.nowMs) this.#turns(decisions);
    return decisions;
  }

  /** Time goes on, and what falls due on the way happens at its own time. */
  advance(ms: number): Decided[] {
    const decisions = this.#pausedMs > 0 ? this.runDue() : [];
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.domain.dueMs(this.state) ?? Infinity;
      if (dueMs > endMs) break;
      this.#pass(Math.max(0, dueMs - this.nowMs));
      decisions.push(...this.runDue());
    }
    this.#pass(endMs - this.nowMs);
    return decisions;
  }

  /** The process stands still: time goes on, nobody looks, and the first decision afterwards is about the pause. */
  pause(ms: number): void {
    this.#pass(ms);
    this.#pausedMs += ms;
  }

  /** The durable state as a snapshot holds it: values that have been through bytes. */
  snapshot(): unknown[] {
    return Array.from(this.domain.encode(this.state), (record) => packr.unpack(packr.pack(record)));
  }

  /** Goes on with a state that was read from a snapshot of this one; what was held is lost, as in a crash. */
  reload(): void {
    this.#held.length = 0;
    this.#continuations = [];
    this.#pausedMs = 0;
    this.#hasBegun = false;
    const records = this.snapshot();
    this.state = this.domain.create();
    this.domain.beginReplay?.(this.state);
    for (const record of records) this.domain.restore(this.state, record);
    this.domain.endReplay?.(this.state);
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

  #turns(decisions: Decided[], isEnough: (decisions: readonly Decided[]) => boolean = () => false): void {
    do {
      this.#dueSlice(decisions);
      if (isEnough(decisions)) this.#held.push(...this.#continuations.splice(0));
      const continuation = this.#continuations.shift();
      if (continuation) {
        this.#decide(continuation, 'again', decisions);
        this.#dueSlice(decisions);
      }
    } while (this.#continuations.length > 0);
  }

  #pass(ms: number): void {
    this.nowMs += ms;
    this.utcMs += ms;
  }

  #dueSlice(decisions: Decided[]): void {
    const pause = this.#pausedMs > 0 ? this.domain.pauseCommand?.(Math.floor(this.#pausedMs)) : undefined;
    this.#pausedMs = 0;
    if (pause) this.#decide({ command: pause, isSilent: true }, 'due', decisions);
    if ((this.domain.dueMs(this.state) ?? Infinity) > this.nowMs) return;
    this.#decide({ command: this.domain.dueCommand, isSilent: true }, 'due', decisions);
  }

  /** A decision, and those that it asks for at once. */
  #decide({ command, isSilent }: Continuation, kind: Decided['kind'], decisions: Decided[]): void {
    let again: LeaseCommand | undefined = command;
    for (let nextKind = kind; again !== undefined; nextKind = 'again') {
      if (decisions.length >= DECISIONS_MAX) throw new Error(`${command.type} never comes to an end`);
      const context: DecisionContext = { nowMs: this.nowMs, utcMs: this.utcMs, random: this.random };
      const decision = this.domain.decide(this.state, again, context);
      if (decision.events.length > EVENTS_PER_DECISION_MAX) throw new Error(`${again.type} decides too much at once`);
      for (const event of decision.events) {
        this.domain.apply(this.state, event);
        if (this.domain.isDurable(event)) this.journal.push(packr.pack(this.domain.encodeEvent(event)));
      }
      const { events, notices = [], answer, next } = decision;
      decisions.push({ atMs: this.nowMs, kind: nextKind, events, notices, answer: isSilent ? undefined : answer });
      if (next) this.#continuations.push({ command: next, isSilent: isSilent || answer !== undefined });
      again = decision.again;
    }
  }
}
