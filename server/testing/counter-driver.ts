import { Packr } from 'msgpackr';
import type { EventRecord } from '../coordinator/domain.ts';
import type { CounterAnswer, CounterCommand } from '../counters/commands.ts';
import { counterDomain } from '../counters/counter-domain.ts';
import type { CounterEvent } from '../counters/events.ts';
import type { CounterState } from '../counters/state.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** The counters without a disk or sockets: decides and applies in the order of the coordinator's loop. */
export class CounterDriver {
  state: CounterState = counterDomain.create();
  nowMs = 1_000.5;
  /** Durable events since the beginning, in bytes. */
  readonly journal: Uint8Array[] = [];

  /** All that is due, and then the command. */
  execute(command: CounterCommand): CounterAnswer {
    this.runDue();
    return this.#decide(command).answer!;
  }

  count(counter: string, by: number, key?: string, holder = 'session a'): CounterAnswer {
    return this.execute({ type: 'AddToCounter', holder, counter, by, key });
  }

  runDue(): void {
    while ((counterDomain.dueMs(this.state) ?? Infinity) <= this.nowMs) this.#decide(counterDomain.dueCommand);
  }

  get values(): Record<string, number> {
    return Object.fromEntries(this.state.values);
  }

  /** The durable state as a snapshot holds it: values that have been through bytes. */
  snapshot(): unknown[] {
    return Array.from(counterDomain.encode(this.state), (record) => packr.unpack(packr.pack(record)) as unknown);
  }

  /** Goes on with what a snapshot or the journal makes of the state, as a restart does. */
  restart(from: 'snapshot' | 'journal'): void {
    const records = from === 'snapshot' ? this.snapshot() : [];
    const events = from === 'journal' ? this.journal : [];
    this.state = counterDomain.create();
    counterDomain.beginReplay!(this.state);
    for (const record of records) counterDomain.restore(this.state, record);
    for (const bytes of events) {
      counterDomain.apply(this.state, counterDomain.decodeEvent(packr.unpack(bytes) as EventRecord));
    }
    counterDomain.endReplay!(this.state);
  }

  #decide(command: CounterCommand): { readonly events: readonly CounterEvent[]; readonly answer?: CounterAnswer } {
    const decision = counterDomain.decide(this.state, command, { nowMs: this.nowMs, utcMs: 0, random: () => 0.5 });
    for (const event of decision.events) {
      counterDomain.apply(this.state, event);
      if (counterDomain.isDurable(event)) this.journal.push(packr.pack(counterDomain.encodeEvent(event)));
    }
    return decision;
  }
}
