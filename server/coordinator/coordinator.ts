import { BatchBuilder } from './batch-builder.ts';
import type { AnswersTo, AnyDomain, Domain } from './domain.ts';
import type { DomainPort } from './domain-port.ts';
import { type Batch, COORDINATOR_DOMAIN, type EventLog } from './event-log.ts';
import { Gathering } from './gathering.ts';
import { OutputGate } from './output-gate.ts';
import type { Replica } from './replica.ts';
import type { Clock, Scheduler } from './scheduler.ts';

/** Beyond so many bytes that wait for the disk … */
const BACKLOG_BYTES_MAX = 64 * 1_048_576;
/** … or while one append has been seen unfinished by so many looks, new requests are answered `overloaded`. */
const OVERLOADED_LOOKS = 4;
/** An append that has been seen unfinished by so many looks stops the process. */
const HUNG_LOOKS = 60;
/** Time between looks: 2 s and 30 s in all. Looks are counted, not time, so that a pause of the process counts once. */
const LOOK_MS = 500;
/** A process that did nothing for so long, not even look at the disk, stood still. */
const PAUSE_MS = 3 * LOOK_MS;
/** No timer is set further ahead; it is set anew when it fires. */
const TIMER_MS_MAX = 3_600_000;

/** Why the coordinator stopped on its own. Nothing was acknowledged after it. */
export interface Failure {
  /** `bug`: memory may be ahead of what will ever be written. */
  readonly kind: 'storage' | 'deposed' | 'bug';
  readonly message: string;
}

export interface CoordinatorOptions {
  readonly replica: Replica;
  readonly log: EventLog;
  /** Last position in the log; the replica is at it. */
  readonly position: number;
  readonly epoch: number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called once; no output leaves afterwards. */
  onFailure(failure: Failure): void;
}

interface Part {
  readonly domain: AnyDomain;
  readonly state: unknown;
  /** Its first command says that a new run has begun; before it nothing falls due: it would belong to no run. */
  hasBegun: boolean;
  notify: (notice: unknown) => void;
}

interface Continuation {
  readonly part: Part;
  readonly command: unknown;
  readonly released: (answer: unknown) => void;
  readonly decided: ((answer: unknown) => void) | undefined;
}

/**
 * The one loop: decides, applies, hands batches to the log one at a time, and lets answers go when they are durable.
 * What arrives while a batch is in flight is the next batch.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #parts: Part[] = [];
  readonly #builder: BatchBuilder;
  readonly #gate: OutputGate;
  readonly #gathering = new Gathering();
  readonly #afterRelease: (() => void)[] = [];
  readonly #onDurable: ((batch: Batch) => void)[] = [];
  readonly #idle: (() => void)[] = [];
  /** Continuations of long commands, each decided in a turn of its own. */
  readonly #continuations: Continuation[] = [];
  /** Invariant: durable <= appended <= position. */
  #durable: number;
  #appended: number;
  #position: number;
  #isAppending = false;
  /** Looks at the append in flight so far. */
  #looks = 0;
  #turnDeferred = false;
  #lastClockWrittenMs: number;
  /** When the process was last seen running. */
  #aliveMs: number;
  #timer: { readonly atMs: number; cancel(): void } | undefined;
  #cancelWatch: (() => void) | undefined;
  #stopped = false;
  /** One for all turns. */
  readonly #deferredTurn = () => {
    this.#turnDeferred = false;
    this.#turn();
  };

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#builder = new BatchBuilder(options.log.batchBytesMax, options.log.batchEventsMax);
    this.#gate = new OutputGate(options.position);
    this.#durable = options.position;
    this.#appended = options.position;
    this.#position = options.position;
    this.#lastClockWrittenMs = options.clock.nowMs();
    this.#aliveMs = this.#lastClockWrittenMs;
    this.#watch();
  }

  get epoch(): number {
    return this.#options.epoch;
  }

  /** Events decided so far; those above `durablePosition` may still be lost. */
  get position(): number {
    return this.#position;
  }

  get durablePosition(): number {
    return this.#durable;
  }

  /** Encoded bytes of events that the log has not been handed yet. */
  get backlogBytes(): number {
    return this.#builder.bytes;
  }

  /** Whether the disk is so far behind that new requests are to be turned away. */
  get isOverloaded(): boolean {
    return this.#builder.bytes > BACKLOG_BYTES_MAX || this.#looks >= OVERLOADED_LOOKS;
  }

  mount<State, Command extends { readonly type: string }, Event, Answers extends AnswersTo<Command>, Notice>(
    domain: Domain<State, Command, Event, Answers, Notice>,
  ): DomainPort<State, Command, Answers, Notice> {
    const part: Part = { domain, state: this.#options.replica.state(domain.name), hasBegun: false, notify: () => {} };
    this.#parts.push(part);
    return {
      execute: (command, released, decided) => {
        if (this.#stopped) return;
        this.#runDue();
        part.hasBegun = true;
        this.#gathering.requestCame();
        this.#decide({
          part,
          command,
          released: released as (answer: unknown) => void,
          decided: decided as ((answer: unknown) => void) | undefined,
        });
        this.#deferTurn();
      },
      read: (query, released) => this.inOrder(released, query(part.state as State, this.#options.clock.nowMs())),
      onNotice: (listener) => {
        const { notify } = part;
        part.notify = (notice) => {
          notify(notice);
          listener(notice as Notice);
        };
      },
    };
  }

  /** `receiver` gets `value` behind every output decided so far. */
  inOrder<Value>(receiver: (value: Value) => void, value: Value): void {
    if (this.#stopped) return;
    this.#gate.hold(this.#position, receiver, value);
    this.#deferTurn();
  }

  /** Calls back after each group of outputs that left together: the place to write them to sockets. */
  onReleased(listener: () => void): void {
    this.#afterRelease.push(listener);
  }

  /** Tells of each batch once it is durable and the outputs that waited for it have left. */
  onDurable(listener: (batch: Batch) => void): void {
    this.#onDurable.push(listener);
  }

  /**
   * Everything decided is durable and has left when this resolves, unless the coordinator failed on its own meanwhile.
   * Commands given afterwards are passed over.
   */
  async stop(): Promise<void> {
    if (!this.#isIdle && !this.#stopped) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#halt();
  }

  get #isIdle(): boolean {
    return this.#durable === this.#position && this.#gate.size === 0 && this.#continuations.length === 0;
  }

  /** Throws on a bug of a domain's, and stops the coordinator: memory may be ahead of what will ever be written. */
  #decide(given: Continuation): void {
    try {
      let next: unknown = given.command;
      while (next !== undefined && !this.#stopped) next = this.#decideOnce(given, next);
    } catch (error) {
      this.#fail({ kind: 'bug', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      throw error;
    }
  }

  /** Returns the command that is to be decided in its place, at once. */
  #decideOnce({ part, released, decided }: Continuation, command: unknown): unknown {
    const { clock, random } = this.#options;
    const { domain, state } = part;
    const nowMs = clock.nowMs();
    const decision = domain.decide(state, command, { nowMs, utcMs: clock.utcMs(), random });
    const { events, answer, notices, next } = decision;
    if (events.length > 0) {
      const records = [];
      for (const event of events) {
        domain.apply(state, event);
        if (domain.isDurable(event)) records.push(domain.encodeEvent(event));
      }
      this.#builder.add(records);
      this.#position += records.length;
    }
    if (answer !== undefined) this.#gate.hold(this.#position, released, answer);
    if (notices) for (const notice of notices) this.#gate.hold(this.#position, part.notify, notice);
    if (next !== undefined) {
      this.#continuations.push(answer === undefined ? { part, command: next, released, decided } : silent(part, next));
    }
    // Last, since it may give the next command.
    if (answer !== undefined) decided?.(answer);
    return decision.again;
  }

  /** One slice of what is due in each domain: its events come before any decision that could see it undone. */
  #runDue(): void {
    const nowMs = this.#options.clock.nowMs();
    this.#noticePause(nowMs);
    for (const part of this.#parts) {
      if (dueMsOf(part) <= nowMs) this.#decide(silent(part, part.domain.dueCommand));
    }
  }

  /** The looks at the disk come twice a second: where neither they nor anything else came for long, the process stood still. */
  #noticePause(nowMs: number): void {
    const byMs = Math.floor(nowMs - this.#aliveMs);
    this.#aliveMs = nowMs;
    if (byMs < PAUSE_MS) return;
    for (const part of this.#parts) {
      const command: unknown = part.hasBegun ? part.domain.pauseCommand?.(byMs) : undefined;
      if (command === undefined) continue;
      this.#decide(silent(part, command));
      this.#deferTurn();
    }
  }

  /** The rest of the turn's work comes when everything that is ready to be read has been decided. */
  #deferTurn(): void {
    if (this.#turnDeferred || this.#stopped) return;
    this.#turnDeferred = true;
    this.#gathering.workBegan(this.#options.clock.nowMs());
    this.#options.scheduler.defer(this.#deferredTurn);
  }

  #turn(): void {
    if (this.#stopped) return;
    this.#runDue();
    const continuation = this.#continuations.shift();
    if (continuation) {
      this.#decide(continuation);
      this.#runDue();
    }
    this.#appendGathered();
    this.#release();
    const dueMs = this.#dueMs();
    const nowMs = this.#options.clock.nowMs();
    this.#gathering.workEnded(nowMs);
    this.#armTimer(dueMs);
    if (this.#continuations.length > 0 || dueMs <= nowMs) this.#deferTurn();
  }

  /** Unless more is about to come that belongs to it. */
  #appendGathered(): void {
    if (this.#isAppending || this.#builder.isEmpty || this.#stopped) return;
    if (this.#gathering.isWorthALook(this.#options.clock.nowMs())) this.#deferTurn();
    else this.#append();
  }

  #append(): void {
    if (this.#isAppending || this.#stopped) return;
    const pending = this.#builder.take();
    if (!pending) return;
    const { clock, log, epoch } = this.#options;
    const clockMs = clock.nowMs();
    const expectedPosition = this.#appended;
    const batch = {
      position: expectedPosition + 1,
      eventCount: pending.eventCount,
      epoch,
      clockMs,
      utcMs: clock.utcMs(),
      payload: pending.payload,
    };
    this.#appended += pending.eventCount;
    this.#lastClockWrittenMs = clockMs;
    this.#isAppending = true;
    this.#looks = 0;
    this.#gathering.commitBegins(clockMs);
    void log.append(batch, expectedPosition).then((result) => {
      if (this.#stopped) return;
      this.#isAppending = false;
      this.#looks = 0;
      if (result.outcome !== 'durable') {
        const message = result.outcome === 'deposed' ? 'another coordinator has taken over' : result.error.message;
        this.#fail({ kind: result.outcome === 'deposed' ? 'deposed' : 'storage', message });
        return;
      }
      this.#durable = expectedPosition + batch.eventCount;
      const endedMs = clock.nowMs();
      const isGathering = this.#gathering.commitEnded(endedMs);
      this.#gathering.workBegan(endedMs);
      if (!isGathering) this.#append();
      else if (!this.#builder.isEmpty) this.#deferTurn();
      this.#gathering.answersLeft(this.#release());
      this.#gathering.workEnded(clock.nowMs());
      for (const listener of this.#onDurable) listener(batch);
      this.#armTimer(this.#dueMs());
    });
  }

  /** Returns how many outputs have left. */
  #release(): number {
    const left = this.#gate.release(this.#durable);
    if (left > 0) for (const listener of this.#afterRelease) listener();
    if (this.#idle.length > 0 && this.#isIdle && !this.#stopped) for (const resolve of this.#idle.splice(0)) resolve();
    return left;
  }

  /** Asked for in every turn: hence no array of them. */
  #dueMs(): number {
    let dueMs = Infinity;
    for (const part of this.#parts) dueMs = Math.min(dueMs, dueMsOf(part));
    return dueMs;
  }

  /** When the clock has to be on disk again, so that no restart prolongs anything. */
  #clockMarkDueMs(): number {
    if (this.#isAppending) return Infinity;
    let markMs = Infinity;
    for (const { domain, state } of this.#parts) markMs = Math.min(markMs, domain.clockMarkMs(state) ?? Infinity);
    return this.#lastClockWrittenMs + markMs;
  }

  #armTimer(dueMs: number): void {
    if (this.#stopped) return;
    const atMs = Math.min(dueMs, this.#clockMarkDueMs());
    if (this.#timer && this.#timer.atMs <= atMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === Infinity) return;
    const delayMs = Math.min(Math.max(Math.ceil(atMs - this.#options.clock.nowMs()), 0), TIMER_MS_MAX);
    const cancel = this.#options.scheduler.setTimer(delayMs, () => {
      this.#timer = undefined;
      if (this.#builder.isEmpty && !this.#isAppending && this.#clockMarkDueMs() <= this.#options.clock.nowMs()) {
        this.#builder.add([[COORDINATOR_DOMAIN, 'ClockMarked', 1]]);
        this.#position += 1;
      }
      this.#turn();
    });
    this.#timer = { atMs, cancel };
  }

  #watch(): void {
    this.#cancelWatch = this.#options.scheduler.setTimer(LOOK_MS, () => {
      this.#noticePause(this.#options.clock.nowMs());
      if (this.#isAppending) this.#looks += 1;
      if (this.#looks >= HUNG_LOOKS) {
        this.#fail({ kind: 'storage', message: `a write to the journal has hung for ${HUNG_LOOKS * LOOK_MS} ms` });
      } else this.#watch();
    });
  }

  #fail(failure: Failure): void {
    this.#halt();
    this.#options.onFailure(failure);
  }

  #halt(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#cancelWatch?.();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function dueMsOf({ domain, state, hasBegun }: Part): number {
  return hasBegun ? (domain.dueMs(state) ?? Infinity) : Infinity;
}

function silent(part: Part, command: unknown): Continuation {
  return { part, command, released: ignore, decided: undefined };
}

function ignore(): void {}
