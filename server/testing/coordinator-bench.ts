import { Packr } from 'msgpackr';
import { Coordinator, type Failure } from '../coordinator/coordinator.ts';
import type { EventRecord } from '../coordinator/domain.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { Batch } from '../coordinator/event-log.ts';
import { Replica } from '../coordinator/replica.ts';
import { type BenchAnswers, type BenchCommand, type BenchState, benchDomain } from './bench-domain.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { VirtualClock, VirtualScheduler } from './virtual-time.ts';

const packr = new Packr({ useRecords: false, int64AsType: 'number' });

/** A coordinator on a log and a clock that are the test's, and everything that it lets out. */
export class Bench {
  readonly clock = new VirtualClock({ nowMs: 1_000 });
  readonly scheduler = new VirtualScheduler(this.clock);
  readonly log: MemoryEventLog;
  readonly replica = new Replica([benchDomain]);
  readonly coordinator: Coordinator;
  readonly port: DomainPort<BenchState, BenchCommand, BenchAnswers, string>;
  /** Answers, notices and reads, in the order in which they left. */
  readonly left: string[] = [];
  readonly failures: Failure[] = [];

  constructor(log = new MemoryEventLog()) {
    this.log = log;
    this.coordinator = new Coordinator({
      replica: this.replica,
      log,
      position: 0,
      epoch: 3,
      clock: this.clock,
      scheduler: this.scheduler,
      random: () => 0.5,
      onFailure: (failure) => this.failures.push(failure),
    });
    this.port = this.coordinator.mount(benchDomain);
    this.port.onNotice((notice) => this.left.push(`notice ${notice}`));
  }

  get state(): BenchState {
    return this.replica.state('bench') as BenchState;
  }

  execute(command: BenchCommand): void {
    this.port.execute(command, (answer) => this.left.push(answer));
  }

  write(text: string, events = 1): void {
    this.execute({ type: 'Write', text, events });
  }

  /** From now on an append waits for the test; resolves to the first. */
  async held(text: string): Promise<Batch> {
    this.log.hold();
    this.write(text);
    await this.scheduler.runTurns();
    return this.log.whenHeld();
  }

  async settle(): Promise<void> {
    await this.scheduler.runTurns();
  }
}

export function recordsOf(payload: Uint8Array): EventRecord[] {
  return packr.unpackMultiple(payload) as EventRecord[];
}

/** Of the bench's events the text, of others the name. */
export function textsOf({ payload }: Batch): unknown[] {
  return recordsOf(payload).map(([domain, event, , text]) => text ?? `${domain}/${event}`);
}
