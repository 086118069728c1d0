/**
 * Sessions of a few clients and IPs, and their requests over HTTP, under `max_leases` and `max_leases_per_client`: what each is
 * answered and who is served next, told from lists that are looked through each time. What only leases, marks and
 * conditions have to do with is for lease-history.ts.
 */
import assert from 'node:assert/strict';
import type { LeaseAnswers } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { Holder, Owner } from '../../lease/holder.ts';
import { type Decided, type LeaseDomain, LeaseDriver } from '../lease-driver.ts';
import { checkIndexes } from '../lease-invariants.ts';
import {
  ADDRESSES,
  COUNTRIES,
  collectorOf,
  fits,
  isBefore,
  type Lease,
  OWNERS,
  type OwnerOperation,
  ownerName,
  type Session,
  tallyOf,
  type Waiter,
} from './owner-records.ts';

const RESOURCE = 7;
const WINDOW_MS = 4_000;
const SESSIONS_MAX = 100;
/** Steps between two comparisons of snapshots. */
const CHECKED_EVERY = 8;

type Acquire = Extract<OwnerOperation, { type: 'acquire' }>;

export function runOwnerHistory(domain: LeaseDomain, operations: readonly OwnerOperation[]): void {
  const history = new OwnerHistory(domain);
  for (const operation of operations) history.step(operation);
  history.checkDurable();
}

class OwnerHistory {
  readonly #driver: LeaseDriver;
  readonly #slots: (string | undefined)[] = [];
  #sessions: Session[] = [];
  #leases: Lease[] = [];
  #waiters: Waiter[] = [];
  /** By collector: its last service. */
  readonly #served = new Map<string, number>();
  #turn = 0;
  #grants = 0;
  #max = Infinity;
  #perClient = Infinity;
  /** Who is behind what is being asked. */
  #asking: Owner | undefined;
  #epoch = 0;
  #names = 0;
  #steps = 0;

  constructor(domain: LeaseDomain) {
    this.#driver = new LeaseDriver(domain);
    this.#start();
    const records = Array.from({ length: ADDRESSES }, (_, index) => {
      return { address: `p${index + 1}`, country: COUNTRIES[index % 2]!, rpw: 0, resource_ids: [RESOURCE] };
    });
    this.#execute({ type: 'Configure', defaultPolicy: { ttlMinMs: 200, ttlMaxMs: 60_000 }, policies: new Map() });
    this.#execute({ type: 'ImportPool', records, replace: false });
  }

  step(operation: OwnerOperation): void {
    this.#do(operation);
    this.#follow(this.#driver.runDue());
    this.#checkSettled();
    checkIndexes(this.#driver.state);
    this.#steps += 1;
    if (this.#steps % CHECKED_EVERY === 0) this.checkDurable();
  }

  /** A state that was read, and one that the journal leads to, are the same as the one that lived. */
  checkDurable(): void {
    const standby = new LeaseDriver(this.#driver.domain);
    const written = this.#driver.snapshot();
    for (const record of written) standby.domain.restore(standby.state, record);
    assert.deepEqual(standby.snapshot(), written, 'another state comes back');
    assert.deepEqual(this.#driver.replayed(), written, 'the journal gives another state');
  }

  #do(operation: OwnerOperation): void {
    switch (operation.type) {
      case 'open':
        this.#names += 1;
        this.#slots[operation.slot] = `s${this.#names}`;
        return this.#open(`s${this.#names}`, OWNERS[operation.owner], undefined);
      case 'resume': {
        this.#names += 1;
        const session = this.#slots[operation.slot];
        return this.#open(`s${this.#names}`, OWNERS[operation.owner], session);
      }
      case 'drop':
      case 'bye': {
        const session = this.#slots[operation.slot] ?? 'nobody';
        this.#execute(
          operation.type === 'bye'
            ? { type: 'EndSession', session }
            : { type: 'DropSession', session, suspendMs: WINDOW_MS },
        );
        return;
      }
      case 'acquire':
        return this.#acquire(operation);
      case 'release': {
        const lease = this.#leases[operation.lease % Math.max(1, this.#leases.length)];
        if (lease) this.#execute({ type: 'ReleaseLease', holder: lease.holder, lease: lease.token });
        return;
      }
      case 'advance':
        return this.#follow(this.#driver.advance(operation.ms));
      case 'configure': {
        const { max, perClient } = operation;
        const bounds = { ...(max && { maxLeases: max }), ...(perClient && { maxLeasesPerClient: perClient }) };
        this.#max = max ?? Infinity;
        this.#perClient = perClient ?? Infinity;
        this.#execute({ type: 'SetPolicy', resource: RESOURCE, policy: bounds });
        return;
      }
      case 'restart':
        this.#driver.reload();
        for (const { reserved } of this.#waiters) reserved.clear();
        return this.#start();
    }
  }

  #start(): void {
    this.#epoch += 1;
    const tokenFloor = this.#driver.state.lastToken;
    this.#execute({ type: 'StartEpoch', epoch: this.#epoch, tokenFloor, suspendMs: WINDOW_MS });
  }

  #open(id: string, owner: Owner | undefined, resumed: string | undefined): void {
    this.#asking = owner;
    const known = this.#sessions.find((session) => session.id === resumed);
    const isOthers =
      known?.owner?.kind === 'client' && !(owner?.kind === 'client' && owner.client === known.owner.client);
    const { answer } = this.#execute<'OpenSession'>({
      type: 'OpenSession',
      session: id,
      secretHash: '',
      resumeWindowMs: WINDOW_MS,
      sessionsMax: SESSIONS_MAX,
      ...(owner && { owner }),
      ...(resumed !== undefined && { resume: { session: resumed, secretHash: '' } }),
    });
    assert.ok(answer.type === 'opened', `a session is ${answer.type}`);
    assert.equal(answer.resumed, known !== undefined && !isOthers, 'whether a session is resumed');
  }

  #acquire({ slot, owner: ownerIndex, ttlMs, waitMs, count, country: countryIndex }: Acquire): void {
    const session = slot === 'http' ? undefined : this.#slots[slot];
    const known = this.#sessions.find(({ id }) => id === session);
    // Who is away asks for nothing.
    if (slot !== 'http' && (!known || known.awaySince !== undefined)) return;
    const owner = OWNERS[ownerIndex];
    this.#asking = owner;
    this.#names += 1;
    const holder: Holder = known
      ? { kind: 'session', session: known.id }
      : owner?.kind === 'client'
        ? owner
        : { kind: 'secret', secretHash: `h${this.#names}` };
    const country = countryIndex === undefined ? undefined : COUNTRIES[countryIndex];
    const terms = {
      holder,
      ...(holder.kind === 'secret' && owner ? { owner } : {}),
      resource: RESOURCE,
      ttlMs,
      waitMs,
      ...(count > 1 && { count }),
      ...(country !== undefined && { where: { country: { eq: country } } }),
    };
    const { answer: explained } = this.#execute<'ExplainAcquire'>({ type: 'ExplainAcquire', ...terms });
    // Nothing was due, so that it is answered as things stand.
    const tally = known ? tallyOf(known) : holder.kind === 'secret' ? ownerName(owner) : ownerName(holder as Owner);
    const bound = this.#boundFor(tally, count);
    const isGranted = bound === undefined && this.#free(country).length >= count;
    const mayWait = known !== undefined && waitMs > 0 && count <= Math.min(this.#max, this.#perClient);
    const { answer } = this.#execute<'AcquireLease'>({ type: 'AcquireLease', ...terms, request: this.#names });
    const expected = isGranted ? 'granted' : mayWait ? 'queued' : 'refused';
    assert.equal(answer.type, expected, `who holds under ${tally} asks for ${count}`);
    assert.ok(explained.type === 'explained');
    assert.equal(explained.would, { granted: 'grant', queued: 'queue', refused: 'refuse' }[expected]);
    if (answer.type !== 'refused') return;
    const { max_leases: max, max_leases_per_client: perClient } = answer.why;
    assert.deepEqual({ max, perClient }, { max: bound?.max, perClient: bound?.perClient }, 'which bound is said');
    assert.equal(answer.reason, bound ? 'max_leases' : 'none_available');
  }

  /** What keeps `count` more from `tally`; `own`: pairs that are kept for it already. */
  #boundFor(tally: string | undefined, count: number, own = 0): { max?: number; perClient?: number } | undefined {
    const reserved = this.#waiters.reduce((sum, waiter) => sum + waiter.reserved.size, 0);
    if (this.#leases.length + reserved - own + count > this.#max) return { max: this.#max };
    const held = tally === undefined ? 0 : this.#held(tally);
    return held - own + count > this.#perClient ? { perClient: this.#perClient } : undefined;
  }

  #held(tally: string): number {
    const kept = this.#waiters.filter(({ session }) => tallyOf(session) === tally);
    const leases = this.#leases.filter((lease) => lease.tally === tally);
    return leases.length + kept.reduce((sum, { reserved }) => sum + reserved.size, 0);
  }

  /** Addresses that anybody could have. */
  #free(country: string | undefined): number[] {
    const taken = new Set(this.#leases.map(({ addressId }) => addressId));
    for (const { reserved } of this.#waiters) for (const id of reserved) taken.add(id);
    const all = Array.from({ length: ADDRESSES }, (_, index) => index + 1);
    return all.filter((id) => !taken.has(id) && fits(country, id));
  }

  #execute<Type extends keyof LeaseAnswers>(
    command: Parameters<LeaseDriver['execute']>[0],
  ): { answer: LeaseAnswers[Type] } {
    const decisions = this.#driver.execute(command);
    this.#follow(decisions);
    const answer = decisions.find((decided) => decided.answer !== undefined)?.answer;
    return { answer: answer as LeaseAnswers[Type] };
  }

  #follow(decisions: readonly Decided[]): void {
    for (const { events } of decisions) {
      const [granted] = events.filter((event) => event.type === 'LeaseGranted');
      if (granted?.waiter !== undefined) this.#checkTurn(granted.waiter, granted.addressId);
      for (const event of events) this.#observe(event);
      for (const tally of new Set(events.flatMap((event) => this.#grantedTo(event)))) {
        assert.ok(this.#held(tally) <= this.#perClient, `${tally} holds more than ${this.#perClient}`);
      }
    }
  }

  #grantedTo(event: LeaseEvent): string[] {
    if (event.type !== 'LeaseGranted') return [];
    return this.#leases.filter(({ token }) => token === event.lease).map(({ tally }) => tally);
  }

  /** Of those that could have had the address, the one whose turn it is has it. */
  #checkTurn(number: number, addressId: number): void {
    const served = this.#waiters.find((waiter) => waiter.number === number)!;
    assert.equal(served.session.awaySince, undefined, 'somebody is served who is away');
    if (served.count > 1) return;
    for (const other of this.#waiters) {
      const isCandidate = other.count === 1 && other.session.awaySince === undefined && fits(other.country, addressId);
      if (!isCandidate || this.#boundFor(tallyOf(other.session), 1)) continue;
      assert.ok(!isBefore(other, served), `waiter ${number} is served before ${other.number}`);
    }
  }

  #checkSettled(): void {
    for (const { number, session, count, country, reserved } of this.#waiters) {
      if (session.awaySince !== undefined) continue;
      const isBound = this.#boundFor(tallyOf(session), count, reserved.size) !== undefined;
      const isToBeHad = this.#free(country).length + reserved.size >= count;
      assert.ok(isBound || !isToBeHad, `waiter ${number} could be served`);
    }
  }

  #observe(event: LeaseEvent): void {
    switch (event.type) {
      case 'EpochStarted':
        for (const session of this.#sessions) this.#away(session);
        return;
      case 'SessionOpened':
        this.#sessions.push({ id: event.session, owner: this.#asking, awaySince: undefined });
        return;
      case 'SessionSuspended':
        return this.#away(this.#session(event.session));
      case 'SessionResumed':
        return this.#back(this.#session(event.session));
      case 'SessionEnded':
        return this.#ended(this.#session(event.session));
      case 'LeaseGranted':
        return this.#granted(event);
      case 'LeaseEnded':
        this.#leases = this.#leases.filter(({ token }) => token !== event.lease);
        return;
      case 'AcquireQueued':
        return this.#queued(event);
      case 'WaitEnded':
        this.#waiters = this.#waiters.filter(({ number }) => number !== event.waiter);
        return;
      case 'PairReserved':
        this.#waiters.find(({ number }) => number === event.waiter)!.reserved.add(event.addressId);
        return;
      case 'ReservationsDropped': {
        const { reserved } = this.#waiters.find(({ number }) => number === event.waiter)!;
        for (const id of event.addressIds) reserved.delete(id);
        return;
      }
      default:
    }
  }

  #queued({ waiter: number, session: id, count = 1, where }: Extract<LeaseEvent, { type: 'AcquireQueued' }>): void {
    const session = this.#session(id);
    const country = (where as { country?: { eq: string } } | undefined)?.country?.eq;
    const collector = collectorOf(session);
    if (!this.#served.has(collector)) this.#served.set(collector, this.#next());
    const alike = this.#waiters.filter((other) => count === 1 && other.count === 1 && other.country === country);
    const [own] = alike.filter((other) => other.session === session);
    const [same] = alike.filter((other) => collectorOf(other.session) === collector);
    const turn = own?.turn ?? same?.turn ?? this.#served.get(collector)!;
    this.#waiters.push({ number, session, count, country, turn, passedOver: own?.passedOver, reserved: new Set() });
  }

  #granted(event: Extract<LeaseEvent, { type: 'LeaseGranted' }>): void {
    const { lease: token, addressId, holder, waiter } = event;
    this.#waiters = this.#waiters.filter(({ number }) => number !== waiter);
    this.#grants += 1;
    const session = holder.kind === 'session' ? this.#session(holder.session) : undefined;
    const owner = holder.kind === 'client' ? holder : holder.kind === 'secret' ? this.#asking : undefined;
    const tally = session ? tallyOf(session) : (ownerName(owner) ?? `lease ${token}`);
    this.#leases.push({ token, addressId, holder, tally });
    const collector = session ? collectorOf(session) : ownerName(owner);
    if (!this.#sessions.some((one) => collectorOf(one) === collector)) return;
    this.#served.set(collector!, this.#next());
    for (const other of this.#waiters) {
      if (collectorOf(other.session) !== collector || !fits(other.country, addressId)) continue;
      Object.assign(other, { turn: this.#turn, passedOver: undefined });
    }
  }

  #away(session: Session): void {
    session.awaySince ??= this.#grants;
    for (const { session: own, reserved } of this.#waiters) if (own === session) reserved.clear();
  }

  #back(session: Session): void {
    const own = this.#waiters.filter((waiter) => waiter.session === session);
    const isPassedOver = this.#grants > (session.awaySince ?? Infinity);
    session.awaySince = undefined;
    if (!isPassedOver) return;
    for (const waiter of own) {
      const line = own.filter(({ count, country }) => count === 1 && waiter.count === 1 && country === waiter.country);
      waiter.passedOver = Math.min(waiter.number, ...line.map(({ number }) => number));
    }
  }

  #ended(session: Session): void {
    this.#sessions = this.#sessions.filter((other) => other !== session);
    this.#waiters = this.#waiters.filter((waiter) => waiter.session !== session);
    const collector = collectorOf(session);
    if (!this.#sessions.some((other) => collectorOf(other) === collector)) this.#served.delete(collector);
  }

  #session(id: string): Session {
    return this.#sessions.find((session) => session.id === id)!;
  }

  #next(): number {
    this.#turn += 1;
    return this.#turn;
  }
}
