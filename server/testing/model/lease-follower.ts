/**
 * Follows the decisions of the lease domain event by event. Each event has to be one that the model allows at that moment,
 * and is then applied to it; each decision brings just the notices that follow from its events. What must have happened
 * when nothing is due any more is in `checkSettled`.
 */
import assert from 'node:assert/strict';
import type { LeaseNotice } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { Decided } from '../lease-driver.ts';
import { type EventOf, Following } from './following.ts';
import { GrantFollower } from './grant-follower.ts';
import type { LeaseModel } from './lease-model.ts';
import { DAY_MS, endsAtMs } from './model-records.ts';
import { PairFollower } from './pair-follower.ts';
import { withdrawalOf } from './pair-model.ts';
import { park, regroup, unpark } from './queue-model.ts';
import { WaitingFollower } from './waiting-follower.ts';

/** Looks at a command: when its first decision comes, and at the one that is answered, before and behind its events. */
export interface AnswerChecks {
  begin?(): void;
  before?(decided: Decided): void;
  after?(decided: Decided): void;
}

export class LeaseFollower extends Following {
  readonly waiting: WaitingFollower;
  /** What the last import has changed. */
  imported: ReturnType<LeaseModel['importPool']> | undefined;
  readonly #grants: GrantFollower;
  readonly #pairs: PairFollower;
  readonly #idOf: (address: string) => number;

  constructor(model: LeaseModel, idOf: (address: string) => number) {
    super(model);
    this.waiting = new WaitingFollower(this);
    this.#grants = new GrantFollower(this);
    this.#pairs = new PairFollower(this);
    this.#idOf = idOf;
  }

  follow(decisions: readonly Decided[], checks: AnswerChecks = {}): void {
    const { model } = this;
    for (const decided of decisions) {
      model.moveTo(decided.atMs);
      if (decided.kind === 'command') checks.begin?.();
      if (decided.answer) checks.before?.(decided);
      this.expected = [];
      for (const waiter of this.waiting.timedOut(decided)) this.waiting.expectTimeout(waiter);
      for (const event of decided.events) {
        this.#observe(event, decided);
        model.forgetRemoved();
      }
      this.#pairs.checkBans();
      sameNotices(decided.notices, this.expected);
      if (decided.answer) checks.after?.(decided);
    }
  }

  /** Nothing is due any more: whatever time or the operation asked for has happened. */
  checkSettled(): void {
    const { model, asked } = this;
    const isYetToCome = (ms = Infinity) => ms > model.nowMs;
    assert.deepEqual([...asked.ends], [], 'leases that should have ended');
    assert.deepEqual([...asked.revocations], [], 'revocations that should have been announced');
    assert.deepEqual(asked.events, [], 'what should have happened');
    for (const lease of model.unended()) {
      assert.ok(isYetToCome(endsAtMs(lease)), `lease ${lease.token} should have ended`);
      assert.equal(withdrawalOf(model, lease), undefined, `lease ${lease.token} should be revoked`);
    }
    for (const { id, suspendedUntilMs } of model.sessions) {
      assert.ok(isYetToCome(suspendedUntilMs), `session ${id} should have ended`);
    }
    for (const address of model.addresses) {
      for (const { quarantine } of [address, ...address.pairs]) {
        assert.ok(isYetToCome(quarantine?.untilMs), `a quarantine of ${address.id} should be over`);
      }
      for (const pair of address.pairs) assert.ok(isYetToCome(pair.coolingUntilMs), `${address.id} has rested enough`);
    }
    this.waiting.checkSettled();
  }

  #observe(event: LeaseEvent, decided: Decided): void {
    const { model } = this;
    switch (event.type) {
      case 'TokensReserved':
        model.reservedToken = event.until;
        return;
      case 'DayTurned':
        assert.equal(event.day, Math.floor(model.utcMs / DAY_MS), 'the day');
        model.today = Math.max(model.today, event.day);
        return;
      case 'LeaseGranted':
        return this.#grants.granted(event, decided);
      case 'LeaseEnded':
        return this.#grants.ended(event, decided);
      case 'RevocationAnnounced':
        return this.#grants.announced(event, decided);
      case 'LeaseRenewed':
      case 'ExpiryNoticed':
        return this.#prolonged(event);
      case 'GrantRepeated':
        for (const token of event.leases) this.lease(token).otherRequests.push(event.request);
        return;
      case 'AcquireQueued':
      case 'WaitRepeated':
      case 'WaitEnded':
      case 'WaitersMatched':
      case 'PairReserved':
      case 'ReservationsDropped':
      case 'QueueNoticed':
        return this.waiting.observe(event, decided);
      case 'CooldownBegan':
      case 'ProbationEnded':
      case 'UsageWritten':
      case 'CutsNoticed':
        return assert.fail(`${event.type}: this process holds nothing`);
      case 'LeaseReported':
      case 'CooldownEnded':
      case 'PairQuarantined':
      case 'AddressQuarantined':
      case 'PairQuarantineEnded':
      case 'AddressQuarantineEnded':
      case 'AddressHealthChanged':
      case 'AddressDrainChanged':
        return this.#pairs.observe(event);
      case 'PoolStaged':
      case 'PoolDropped':
      case 'RecordOverruled':
      case 'StorageChanged':
      case 'PolicySet':
      case 'PolicyDeleted':
        return;
      case 'PoolCommitted':
        assert.ok(this.asked.pool, 'an import');
        this.strategies.forgetRings();
        this.imported = model.importPool(this.asked.pool.records, this.asked.pool.replace, this.#idOf);
        return model.forgetResources();
      case 'Configured':
        model.defaultPolicy = event.defaultPolicy;
        model.policies = new Map(event.policies);
        model.forgetResources();
        return regroup(model);
      default:
        return this.#presence(event);
    }
  }

  #prolonged(event: EventOf<'LeaseRenewed' | 'ExpiryNoticed'>): void {
    const { model } = this;
    const lease = this.lease(event.lease);
    if (event.type === 'LeaseRenewed') {
      const askedMs = Math.min(Math.ceil(model.nowMs) + event.ttlMs, lease.revoking?.atMs ?? Infinity);
      assert.equal(event.deadlineMs, Math.max(lease.deadlineMs, askedMs), `deadline of lease ${lease.token}`);
      const { ttlMs, clamped, deadlineMs } = event;
      Object.assign(lease, { ttlMs, clamped, deadlineMs, noticed: false });
      return;
    }
    assert.ok((model.noticeAtMs(lease) ?? Infinity) <= model.nowMs && !lease.noticed, `told of ${lease.token}`);
    assert.ok(endsAtMs(lease) > model.nowMs, `lease ${lease.token} has ended`);
    lease.noticed = true;
    const remainingMs = Math.floor(endsAtMs(lease) - model.nowMs);
    this.expect(lease, { type: 'LeaseExpiring', lease: lease.token, remainingMs });
  }

  #presence(
    event: EventOf<
      'EpochStarted' | 'SessionOpened' | 'SessionSuspended' | 'SuspensionsExtended' | 'SessionResumed' | 'SessionEnded'
    >,
  ): void {
    const { model } = this;
    switch (event.type) {
      case 'EpochStarted':
        this.strategies.forgetRings();
        model.lastToken = Math.max(model.lastToken, model.reservedToken, event.tokenFloor);
        for (const session of model.sessions) {
          session.suspendedUntilMs ??= model.nowMs + Math.max(session.windowMs, event.suspendMs);
          park(model, session);
        }
        return;
      case 'SessionOpened': {
        const { session: id, resumeWindowMs: windowMs, noticeMs } = event;
        model.sessions.push({ id, windowMs, noticeMs, suspendedUntilMs: undefined, unasked: [], served: new Map() });
        return;
      }
      case 'SessionSuspended': {
        this.take(event);
        const session = model.session(event.session)!;
        session.suspendedUntilMs = event.untilMs;
        return park(model, session);
      }
      case 'SuspensionsExtended':
        this.take(event);
        for (const session of model.sessions) {
          if (session.suspendedUntilMs !== undefined) session.suspendedUntilMs += event.byMs;
        }
        return;
      case 'SessionResumed': {
        const session = model.session(event.session)!;
        const { resumeWindowMs: windowMs, noticeMs } = event;
        Object.assign(session, { windowMs, noticeMs, suspendedUntilMs: undefined });
        for (const lease of model.heldBy({ kind: 'session', session: session.id })) lease.noticed = false;
        return unpark(model, session);
      }
      case 'SessionEnded': {
        const isOver = (model.session(event.session)!.suspendedUntilMs ?? Infinity) <= model.nowMs;
        if (!isOver) this.take(event);
        const held = model.heldBy({ kind: 'session', session: event.session });
        assert.deepEqual(held, [], 'leases of a session that has ended');
        return model.endSession(event.session);
      }
    }
  }
}

/** In any order; an estimate is anybody's guess. */
function sameNotices(actual: readonly LeaseNotice[], expected: readonly LeaseNotice[]): void {
  const withoutEstimate = (notice: LeaseNotice) => {
    if (notice.type !== 'WaitAnswered' || notice.answer.type !== 'queued') return notice;
    const { estimateMs: _, ...answer } = notice.answer;
    return { ...notice, answer };
  };
  const texts = (notices: readonly LeaseNotice[]) =>
    notices.map((notice) => JSON.stringify(withoutEstimate(notice), sortedKeys)).toSorted();
  assert.deepEqual(texts(actual), texts(expected), 'notices');
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
