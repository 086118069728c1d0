/**
 * The port between the coordinator's loop and what it coordinates: a pure state machine.
 *
 *   command → decide → events → apply → journal → outputs released
 *
 * Invariants that every domain keeps:
 * - `decide` changes nothing, waits for nothing, and knows only the state, the command and the context.
 * - `apply` is the only way state changes. Replay calls it with the events of the journal and nothing else, so it never
 *   depends on time, chance or decision code: whatever it needs stands in the event.
 * - Memory may run ahead of the disk; answers and notices may not (output-gate.ts).
 */

/** Room for events: `low`: only what is kept for ends and the next snapshot; `least`: only for ends. */
export type StorageLevel = 'ample' | 'low' | 'least';

/** What a decision may know beside state and command. */
export interface DecisionContext {
  /** The coordinator's clock: fractional ms, monotonic, continuing over restarts. */
  readonly nowMs: number;
  /** Wall clock, ms since 1970. For days and for people; no deadline is computed from it. */
  readonly utcMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface Decision<Command, Event, Answer, Notice> {
  /** At most EVENTS_PER_DECISION_MAX; they enter one batch together, in this order. */
  readonly events: readonly Event[];
  /** To whoever gave the command; absent where `next` will answer. */
  readonly answer?: Answer;
  /** To others, e.g. the session whose lease ended. */
  readonly notices?: readonly Notice[] | undefined;
  /** Decided at once, in the place of this one, on the state that these events make: the same command, or what remains of it. */
  readonly again?: Command;
  /** What remains of a long command: decided in a later turn, when others have had theirs. */
  readonly next?: Command;
}

/** Data of a kind or version that this build doesn't know: a newer program wrote it. Nothing of it may be passed over. */
export class NewerDataError extends Error {
  override readonly name = 'NewerDataError';

  constructor(what: string) {
    super(`unknown ${what}: was this data written by a newer version?`);
  }
}

/** A batch takes at most 1,000 events; a decision that needs more goes on in `next`. */
export const EVENTS_PER_DECISION_MAX = 1_000;

/** An event as the journal holds it: domain, event, version, then the fields in the order that the version fixes. */
export type EventRecord = readonly [domain: string, event: string, version: number, ...fields: unknown[]];

/** What each command is answered, by the command's type. */
export type AnswersTo<Command extends { readonly type: string }> = { readonly [Type in Command['type']]: unknown };

export interface Domain<
  State,
  Command extends { readonly type: string },
  Event,
  Answers extends AnswersTo<Command>,
  Notice,
> {
  /** First element of each of its records in the journal; never changes. */
  readonly name: string;
  create(): State;

  decide(
    state: State,
    command: Command,
    context: DecisionContext,
  ): Decision<Command, Event, Answers[keyof Answers], Notice>;
  apply(state: State, event: Event): void;

  /** False for what is applied but not written, since it dies with the process (leases of the gateway, notices sent). */
  isDurable(event: Event): boolean;
  /** The clock reading at which `dueCommand` has something to do, if ever. */
  dueMs(state: State): number | undefined;
  readonly dueCommand: Command;
  /** What is to be done about it that the process stood still for `byMs`, before anything else. */
  pauseCommand?(byMs: number): Command;
  /** How long the journal may go without a clock reading before a restart could prolong something; undefined: for ever. */
  clockMarkMs(state: State): number | undefined;

  /** How many things live that an event must end some day: the journal keeps room for that many ends. */
  liveCount(state: State): number;

  encodeEvent(event: Event): EventRecord;
  /** Throws on an event or version that this build doesn't know. */
  decodeEvent(record: EventRecord): Event;

  /** The durable state as a stream of small values, and back: `restore` takes them one by one in the same order. */
  encode(state: State): Iterable<unknown>;
  restore(state: State, record: unknown): void;

  /**
   * From here to `endReplay` nothing but `restore`, `apply` and `encode` is asked of the new `state`: what only decisions
   * look at need not follow each event, and is made at the end.
   */
  beginReplay?(state: State): void;
  endReplay?(state: State): void;
}

/** Any domain, where its types don't matter: the journal and replay. */
// oxlint-disable-next-line typescript/no-explicit-any -- the one place where the parameters really are free.
export type AnyDomain = Domain<any, any, any, any, any>;
