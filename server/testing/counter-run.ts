import { Coordinator } from '../coordinator/coordinator.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { Replica } from '../coordinator/replica.ts';
import type { CounterAnswers, CounterCommand } from '../counters/commands.ts';
import { counterDomain } from '../counters/counter-domain.ts';
import type { CounterState } from '../counters/state.ts';
import { buildSnapshot } from '../journal/build-snapshot.ts';
import { nodeDisk } from '../journal/disk.ts';
import { type Journal, openJournal } from '../journal/journal.ts';
import { recover } from '../journal/recover.ts';
import { SEGMENT_BYTES_MIN } from '../journal/segment.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { realScheduler } from './real-scheduler.ts';
import { VirtualClock } from './virtual-time.ts';

function newReplica(): Replica {
  return new Replica([leaseDomain, counterDomain]);
}

/** A run of a coordinator that counts, over the real journal, in a time that stands still. It crashes by being left alone. */
export class CounterRun {
  readonly state: CounterState;
  readonly #counters: DomainPort<CounterState, CounterCommand, CounterAnswers, never>;
  readonly #coordinator: Coordinator;
  readonly #journal: Journal;

  /** The folder is there. */
  static async start(dir: string): Promise<CounterRun> {
    const replica = newReplica();
    replica.beginReplay();
    const recovered = await recover(nodeDisk, dir, replica);
    replica.endReplay();
    const epoch = recovered.epoch + 1;
    const clock = new VirtualClock({ nowMs: recovered.clockMs });
    const journal = await openJournal({
      disk: nodeDisk,
      dir,
      recovered,
      epoch,
      scheduler: realScheduler,
      randomBytes: (count) => new Uint8Array(count).fill(7),
      clock,
      log: { info: () => undefined, warn: () => undefined },
      segmentBytes: SEGMENT_BYTES_MIN,
      takeSnapshot: ({ upToPosition }) => buildSnapshot(nodeDisk, dir, newReplica(), upToPosition),
    });
    const coordinator = new Coordinator({
      replica,
      log: journal,
      position: recovered.position,
      epoch,
      clock,
      scheduler: realScheduler,
      random: () => 0.5,
      onFailure({ message }) {
        throw new Error(message);
      },
    });
    return new CounterRun(replica, coordinator, journal);
  }

  private constructor(replica: Replica, coordinator: Coordinator, journal: Journal) {
    this.state = replica.state(counterDomain.name) as CounterState;
    this.#counters = coordinator.mount(counterDomain);
    this.#coordinator = coordinator;
    this.#journal = journal;
  }

  count(counter: string, by: number, key?: string): Promise<CounterAnswers['AddToCounter']> {
    const command = { type: 'AddToCounter', holder: 'session a', counter, by, key } as const;
    return new Promise((resolve) => this.#counters.execute(command, resolve));
  }

  delete(counter: string): Promise<CounterAnswers['DeleteCounter']> {
    return new Promise((resolve) => this.#counters.execute({ type: 'DeleteCounter', counter }, resolve));
  }

  get position(): number {
    return this.#coordinator.durablePosition;
  }

  snapshot(): Promise<void> {
    return this.#journal.snapshotNow();
  }

  async stop(): Promise<void> {
    await this.#coordinator.stop();
    await this.#journal.close();
  }
}
