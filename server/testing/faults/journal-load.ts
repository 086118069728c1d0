/** What a journal is given to write: batches of a domain, decided on its own state, small and of many sizes. */
import type { AnyDomain, EventRecord } from '../../coordinator/domain.ts';
import type { Replica } from '../../coordinator/replica.ts';
import { packValue } from '../../journal/msgpack.ts';
import type { LeaseCommand } from '../../lease/commands.ts';
import type { Holder } from '../../lease/holder.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import type { LeaseState } from '../../lease/state.ts';
import { type CounterState, counterDomain } from '../counter-domain.ts';
import type { Random } from '../simulation/random.ts';

/** A wall clock that stands still: what must not go back may not lean on it. */
export const STILL_UTC_MS = Date.UTC(2025, 0, 1);

export interface LoadContext {
  /** Of the run. */
  readonly epoch: number;
  readonly nowMs: number;
  readonly random: Random;
}

export interface LoadBatch {
  readonly eventCount: number;
  readonly payload: Uint8Array;
  /** Tokens that it grants, in their order. */
  readonly tokens: readonly number[];
}

export interface JournalLoad {
  readonly domain: AnyDomain;
  /** With it a run begins. */
  first(replica: Replica, context: LoadContext): LoadBatch;
  next(replica: Replica, context: LoadContext): LoadBatch;
  /** The least that shows, at the beginning of a run, that it goes on: where there are leases, one is granted. */
  short(replica: Replica, context: LoadContext): LoadBatch;
}

const COUNTERS = ['a', 'b', 'c'];
const FILLER = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(28);

/** Events of one counter, some of a few bytes, some over several sectors. */
export const counterLoad: JournalLoad = {
  domain: counterDomain,
  first: (replica, context) => counterLoad.next(replica, context),
  next(replica, { random }) {
    const { counters } = replica.state(counterDomain.name) as CounterState;
    const records = Array.from({ length: 1 + random.below(3) }, () => {
      const length = random.below(3) === 0 ? random.below(700) : 0;
      // What fills the batch stands behind the name and is of no account: the state stays small.
      const event = { counter: COUNTERS[random.below(COUNTERS.length)]!, by: 1 + random.below(1_000) };
      counterDomain.apply({ counters }, event);
      return [...counterDomain.encodeEvent(event), FILLER.slice(0, length)] as unknown as EventRecord;
    });
    return batchOf(records);
  },
  short: (replica, context) => counterLoad.next(replica, context),
};

const RESOURCES = [7, 8];
const ADDRESSES = 5;
const TTL_MIN_MS = 200;
const TTL_MAX_MS = 86_400_000;
const SESSIONS = ['anna', 'bert'];
const SUSPEND_MS = 20_000;
/** Steps of one command: more would be a loop. */
const STEPS_MAX = 100;

export const leaseLoad: JournalLoad = {
  domain: leaseDomain,
  first(replica, context) {
    const decisions = new LeaseDecisions(replica, context);
    decisions.begin();
    return decisions.batch();
  },
  next(replica, context) {
    const decisions = new LeaseDecisions(replica, context);
    decisions.decide({ type: 'Due' });
    for (let count = 1 + context.random.below(2); count > 0; count -= 1) decisions.decideAny();
    // Whatever else was refused: a batch is never empty.
    if (decisions.isEmpty) decisions.decide({ type: 'OpenSession', ...sessionOf(`s${context.nowMs}`) });
    return decisions.batch();
  },
  short(replica, context) {
    const decisions = new LeaseDecisions(replica, context);
    decisions.begin();
    const session = `of epoch ${context.epoch}`;
    decisions.decide({ type: 'OpenSession', ...sessionOf(session) });
    // Where all of them are held, one is given back.
    const [lease] = decisions.state.leases.values();
    if (lease) decisions.decide({ type: 'ReleaseLease', holder: lease.holder, lease: lease.token });
    decisions.acquire({ kind: 'session', session }, lease?.resource);
    return decisions.batch();
  },
};

/** Decides and applies as the coordinator's loop does, and keeps what goes to the journal. */
class LeaseDecisions {
  readonly state: LeaseState;
  readonly #context: LoadContext;
  readonly #records: EventRecord[] = [];
  readonly #tokens: number[] = [];

  constructor(replica: Replica, context: LoadContext) {
    this.state = replica.state(leaseDomain.name) as LeaseState;
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  batch(): LoadBatch {
    return batchOf(this.#records, this.#tokens);
  }

  begin(): void {
    this.decide({ type: 'StartEpoch', epoch: this.#context.epoch, tokenFloor: 0, suspendMs: SUSPEND_MS });
    const defaultPolicy = { ttlMinMs: TTL_MIN_MS, ttlMaxMs: TTL_MAX_MS };
    this.decide({ type: 'Configure', defaultPolicy, policies: new Map() });
    if (this.state.addresses.size > 0) return;
    const records = Array.from({ length: ADDRESSES }, (_, index) => ({
      address: `10.0.0.${index}:80`,
      country: 'US',
      rpw: index,
      resource_ids: [...RESOURCES],
    }));
    this.decide({ type: 'ImportPool', records, replace: false });
  }

  decideAny(): void {
    const { random } = this.#context;
    const session = SESSIONS[random.below(SESSIONS.length)]!;
    const holder = { kind: 'session', session } as const;
    const open = this.state.sessions.get(session);
    if (!open || open.suspendedUntilMs !== undefined) {
      const resume = open ? { resume: { session, secretHash: open.secretHash } } : {};
      return this.decide({ type: 'OpenSession', ...sessionOf(session), ...resume });
    }
    const held = [...open.leases];
    const lease = held[random.below(held.length)]?.token;
    const dice = random.below(10);
    if (dice < 5 || lease === undefined) return this.acquire(holder);
    if (dice < 7) return this.decide({ type: 'ReleaseLease', holder, lease, requests: random.below(50) });
    if (dice < 9) return this.decide({ type: 'RenewLeases', holder, leases: [lease], ttlMs: 1_000 });
    return this.decide({ type: 'DropSession', session, suspendMs: 0 });
  }

  acquire(holder: Holder, resource = RESOURCES[this.#context.random.below(RESOURCES.length)]!): void {
    const { random, nowMs } = this.#context;
    const ttlMs = 200 + random.below(2_000);
    this.decide({ type: 'AcquireLease', holder, resource, ttlMs, request: Math.floor(nowMs) });
  }

  decide(command: LeaseCommand): void {
    const { nowMs, random } = this.#context;
    const steps: LeaseCommand[] = [command];
    for (let count = 0; steps.length > 0; count += 1) {
      if (count > STEPS_MAX) throw new Error(`${command.type} never comes to an end`);
      const context = { nowMs, utcMs: STILL_UTC_MS, random: () => random.next() };
      const decision = leaseDomain.decide(this.state, steps.shift()!, context);
      for (const event of decision.events) {
        leaseDomain.apply(this.state, event);
        if (leaseDomain.isDurable(event)) this.#records.push(leaseDomain.encodeEvent(event));
        if (event.type === 'LeaseGranted') this.#tokens.push(event.lease);
      }
      if (decision.again) steps.unshift(decision.again);
      if (decision.next) steps.push(decision.next);
    }
  }
}

function sessionOf(session: string) {
  return { session, secretHash: `hash of ${session}`, resumeWindowMs: 60_000, sessionsMax: 1_000 };
}

function batchOf(records: readonly EventRecord[], tokens: readonly number[] = []): LoadBatch {
  return { eventCount: records.length, payload: Buffer.concat(records.map(packValue)), tokens };
}
