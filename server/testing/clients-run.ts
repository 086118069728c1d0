import { Packr } from 'msgpackr';
import { Access, type AccessOptions } from '../clients/access.ts';
import { newKey } from '../clients/api-key.ts';
import { clientsDomain } from '../clients/clients-domain.ts';
import type { ClientsAnswers, ClientsCommand, ClientsNotice } from '../clients/commands.ts';
import type { ClientsState } from '../clients/state.ts';
import { Coordinator } from '../coordinator/coordinator.ts';
import type { EventRecord } from '../coordinator/domain.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { Replica, type SnapshotRecord } from '../coordinator/replica.ts';
import { MemoryEventLog } from './memory-event-log.ts';
import { VirtualClock, VirtualScheduler } from './virtual-time.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** The clients domain under a coordinator in virtual time, over a log in memory. */
export class ClientsRun {
  readonly clock: VirtualClock;
  readonly scheduler: VirtualScheduler;
  readonly log = new MemoryEventLog();
  readonly replica: Replica;
  readonly state: ClientsState;
  readonly clients: DomainPort<ClientsState, ClientsCommand, ClientsAnswers, ClientsNotice>;
  readonly notices: ClientsNotice[] = [];
  readonly #options: Partial<AccessOptions>;
  #access: Access;
  #keys = 0;

  /** Goes on from what `replica` holds. */
  constructor(
    options: Partial<AccessOptions> = {},
    replica = new Replica([clientsDomain]),
    clock = new VirtualClock(),
  ) {
    this.#options = options;
    this.clock = clock;
    this.scheduler = new VirtualScheduler(clock);
    this.replica = replica;
    this.state = replica.state(clientsDomain.name) as ClientsState;
    const coordinator = new Coordinator({
      replica,
      log: this.log,
      position: 0,
      epoch: 1,
      clock,
      scheduler: this.scheduler,
      random: () => 0.5,
      onFailure: ({ message }) => {
        throw new Error(message);
      },
    });
    this.clients = coordinator.mount(clientsDomain);
    this.clients.onNotice((notice) => this.notices.push(notice));
    this.clients.execute({ type: 'SetStorage', level: 'ample' }, () => {});
    this.#access = this.#makeAccess();
  }

  get access(): Access {
    return this.#access;
  }

  /** The answer, decided at once. */
  do<Given extends ClientsCommand>(command: Given): ClientsAnswers[Given['type']] {
    let answer: ClientsAnswers[Given['type']] | undefined;
    this.clients.execute(
      command,
      () => {},
      (decided) => {
        answer = decided;
      },
    );
    return answer!;
  }

  /** A client with a key, which is returned as its owner has it. */
  issue(client: string, role: 'collector' | 'operator' = 'collector'): { readonly text: string; readonly key: string } {
    if (!this.state.clients.has(client)) this.do({ type: 'CreateClient', client });
    const { text, key, secretHash } = this.makeKey();
    const answer = this.do({ type: 'IssueKey', client, role, key, secretHash });
    if (answer.type !== 'done') throw new Error(answer.message);
    return { text, key };
  }

  makeKey() {
    this.#keys += 1;
    return newKey((size) => Buffer.alloc(size, this.#keys));
  }

  /** What a restart finds by the journal, and by a snapshot of that: both as written on disk. */
  async restart(): Promise<ClientsRun> {
    await this.scheduler.advance(10);
    const byJournal = new Replica([clientsDomain]);
    for await (const { payload } of this.log.readFrom(1)) {
      for (const record of packr.unpackMultiple(payload) as EventRecord[]) {
        if (record[0] === clientsDomain.name) byJournal.apply(record);
      }
    }
    const bySnapshot = new Replica([clientsDomain]);
    for (const record of byJournal.encode()) {
      bySnapshot.restore(packr.unpack(packr.pack(record)) as SnapshotRecord);
    }
    return new ClientsRun(this.#options, bySnapshot, this.clock);
  }

  #makeAccess(): Access {
    return new Access({
      state: () => this.state,
      needsKey: false,
      defaultLimit: undefined,
      adminKey: undefined,
      clock: this.clock,
      ...this.#options,
    });
  }
}
