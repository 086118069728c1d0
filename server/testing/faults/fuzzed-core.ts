import { Packr } from 'msgpackr';
import type { AddressRecord } from '../../../protocol/frames.ts';
import { Coordinator } from '../../coordinator/coordinator.ts';
import type { EventRecord } from '../../coordinator/domain.ts';
import { type Batch, COORDINATOR_DOMAIN, type EventLog } from '../../coordinator/event-log.ts';
import { Replica } from '../../coordinator/replica.ts';
import { counterDomain } from '../../counters/counter-domain.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import type { LeaseState } from '../../lease/state.ts';
import { NO_METRICS } from '../../metrics/metrics.ts';
import { SessionHub } from '../../sessions/session-hub.ts';
import { checkIndexes } from '../lease-invariants.ts';
import { openAccess } from '../open-access.ts';
import type { Random } from '../simulation/random.ts';
import { VirtualClock, VirtualScheduler } from '../virtual-time.ts';

const ADDRESSES = 40;
const HEARTBEAT_MS = 1_000;
const TTL_MAX_MS = 60_000;
export const SESSIONS_MAX = 200;

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** All between the socket port and the event log port, with a follower of the log beside it. */
export class FuzzedCore {
  readonly clock = new VirtualClock();
  readonly scheduler = new VirtualScheduler(this.clock);
  readonly hub: SessionHub;
  readonly state: LeaseState;
  /** Why the coordinator gave up, if it did. */
  failure: string | undefined;
  readonly #replica = new Replica([leaseDomain, counterDomain]);
  readonly #follower = new Replica([leaseDomain, counterDomain]);

  constructor(random: Random) {
    const coordinator = new Coordinator({
      replica: this.#replica,
      log: this.#log(),
      position: 0,
      epoch: 1,
      clock: this.clock,
      scheduler: this.scheduler,
      random: () => random.next(),
      onFailure: ({ message }) => {
        this.failure ??= message;
      },
    });
    const leases = coordinator.mount(leaseDomain);
    this.state = this.#replica.state(leaseDomain.name) as LeaseState;
    this.hub = new SessionHub({
      coordinator,
      leases,
      counters: coordinator.mount(counterDomain),
      access: openAccess(this.clock),
      scheduler: this.scheduler,
      log: { debug() {}, info() {} },
      metrics: NO_METRICS,
      random: () => random.next(),
      randomBytes: (size) => random.bytes(size),
      limits: {
        heartbeatMs: HEARTBEAT_MS,
        helloTimeoutMs: HEARTBEAT_MS,
        closeTimeoutMs: HEARTBEAT_MS,
        resumeWindowMaxMs: HEARTBEAT_MS,
        noticeMs: undefined,
        sessionsMax: SESSIONS_MAX,
        sessionsPerClientMax: undefined,
        socketsPerIpMax: SESSIONS_MAX,
        outboxBytesMax: 1_048_576,
        ttlMinMs: 200,
        ttlMaxMs: TTL_MAX_MS,
      },
    });
    const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: TTL_MAX_MS };
    leases.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 2 * HEARTBEAT_MS }, () => {});
    leases.execute({ type: 'Configure', defaultPolicy, policies: new Map() }, () => {});
    leases.execute({ type: 'ImportPool', records: pool(), replace: false }, () => {});
  }

  /** What is wrong with the state: within itself, or beside what the journal makes of it. */
  fault(): string | undefined {
    if (this.failure !== undefined) return this.failure;
    try {
      checkIndexes(this.state);
    } catch (error) {
      return (error as Error).message;
    }
    const isSame = snapshotOf(this.#replica).equals(snapshotOf(this.#follower));
    return isSame ? undefined : 'the journal gives another state than the live one';
  }

  /** Answers at once, and applies what is written as recovery would: what can't be read again is found at once. */
  #log(): EventLog {
    return {
      batchBytesMax: 1_048_576,
      batchEventsMax: 1_000,
      append: ({ payload }: Batch) => {
        for (const record of packr.unpackMultiple(payload) as EventRecord[]) {
          if (record[0] !== COORDINATOR_DOMAIN) this.#follower.apply(record);
        }
        return Promise.resolve({ outcome: 'durable' });
      },
      readFrom: () => {
        throw new Error('the follower reads for everybody');
      },
      close: () => Promise.resolve(),
    };
  }
}

function pool(): AddressRecord[] {
  return Array.from({ length: ADDRESSES }, (_, index) => ({
    address: `10.0.0.${index}:8080`,
    country: index % 2 === 0 ? 'US' : 'DE',
    rpw: index,
    resource_ids: [1 + (index % 3), 1 + ((index + 1) % 3)],
    ...(index % 3 === 0 ? { labels: { tier: 'a' } } : {}),
  }));
}

function snapshotOf(replica: Replica): Buffer {
  return Buffer.concat(Array.from(replica.encode(), (record) => Buffer.from(packr.pack(record))));
}
