/** Who waits: queued, told its place, served in its turn, and out of the line again. */
import assert from 'node:assert/strict';
import type { Decided } from '../lease-driver.ts';
import type { EventOf, Following } from './following.ts';
import type { LeaseModel } from './lease-model.ts';
import { isSame, type ModelWaiter, pairOf } from './model-records.ts';
import { boundOf, eligible, whyOf } from './pair-model.ts';
import { active, enqueue, nextStep, positions, reservedFor, staleReservations } from './queue-model.ts';

/** Places are looked at once a second, and nobody is told twice within one. */
const TOLD_APART_MS = 1_000;
const TOLD_LATE_MS = 2 * TOLD_APART_MS;

type WaitEvent = EventOf<
  | 'AcquireQueued'
  | 'WaitRepeated'
  | 'WaitEnded'
  | 'WaitersMatched'
  | 'PairReserved'
  | 'ReservationsDropped'
  | 'QueueNoticed'
>;

export class WaitingFollower {
  readonly #following: Following;
  readonly #model: LeaseModel;

  constructor(following: Following) {
    this.#following = following;
    this.#model = following.model;
  }

  observe(event: WaitEvent, { answer }: Decided): void {
    const model = this.#model;
    if (event.type === 'AcquireQueued') return this.#queued(event);
    if (event.type === 'WaitersMatched') return this.checkServed(event.resource);
    if (event.type === 'QueueNoticed') {
      const isAnswer = answer?.type === 'queued';
      for (const [number, position] of event.places) this.#told(this.#following.waiter(number), position, isAnswer);
      // Whose place is at this moment the one that it was told has been told in time.
      for (const [waiter, place] of positions(model, event.resource)) {
        if (place === waiter.toldPosition) waiter.untoldSinceMs = undefined;
      }
      return;
    }
    const waiter = this.#following.waiter(event.waiter);
    switch (event.type) {
      case 'WaitRepeated': {
        const request = { id: event.request, atMs: model.nowMs };
        waiter.requests = waiter.areRequestsStale ? [request] : [...waiter.requests, request];
        waiter.areRequestsStale = false;
        return;
      }
      case 'WaitEnded':
        if (event.end === 'cancelled') this.#following.take(event);
        else assert.ok(waiter.untilMs <= model.nowMs, `waiter ${waiter.number} may wait longer`);
        model.keys = model.keys.filter((entry) => entry.waiter !== waiter);
        return model.removeWaiter(waiter);
      case 'PairReserved': {
        const next = nextStep(model, waiter.resource);
        assert.ok(next?.waiter === waiter && next.kind === 'reserve', `it isn't the turn of waiter ${waiter.number}`);
        const address = this.#following.addressOf(event);
        assert.ok(eligible(model, waiter.resource, waiter.terms.where).includes(address), 'what can be had is kept');
        pairOf(address, waiter.resource).reservedFor = waiter;
        return;
      }
      case 'ReservationsDropped': {
        const stale = staleReservations(model, waiter).map(({ id }) => id);
        assert.deepEqual(new Set(event.addressIds), new Set(stale), `dropped by waiter ${waiter.number}`);
        for (const id of event.addressIds) {
          pairOf(this.#following.addressOf({ addressId: id }), waiter.resource).reservedFor = undefined;
        }
      }
    }
  }

  /** Nobody has waited too long, nobody is told late of its place, and whoever could be served has been. */
  checkSettled(): void {
    const model = this.#model;
    for (const waiter of model.waiters) {
      const { number, resource } = waiter;
      assert.ok(waiter.untilMs > model.nowMs, `waiter ${number} has waited long enough`);
      const place = positions(model, resource).get(waiter);
      const isTold = place === undefined || place === waiter.toldPosition;
      waiter.untoldSinceMs = isTold ? undefined : (waiter.untoldSinceMs ?? model.nowMs);
      const isInTime = isTold || model.nowMs - waiter.untoldSinceMs! < TOLD_LATE_MS;
      assert.ok(isInTime, `waiter ${number} isn't told its place, ${place}`);
    }
    for (const resource of new Set(model.waiters.map((waiter) => waiter.resource))) this.checkServed(resource);
  }

  /** Whoever of the waiting could be given something has been given it, and nothing is kept in vain. */
  checkServed(resource: number): void {
    const model = this.#model;
    assert.equal(nextStep(model, resource)?.waiter.number, undefined, `of resource ${resource} could be served`);
    for (const waiter of active(model, resource)) {
      const stale = staleReservations(model, waiter).map(({ id }) => id);
      assert.deepEqual(stale, [], `kept in vain for waiter ${waiter.number}`);
    }
  }

  #queued(event: EventOf<'AcquireQueued'>): void {
    const model = this.#model;
    const { waiter: number, resource, request, ttlMs, atMs, untilMs, where, strategy, sticky, count, key } = event;
    this.#following.take(event);
    const waiter: ModelWaiter = {
      number,
      session: model.session(event.session)!,
      resource,
      requests: [{ id: request, atMs }],
      areRequestsStale: false,
      ttlMs,
      terms: { where, strategy, sticky },
      count,
      key,
      untilMs,
      turn: 0,
      parkedAtGrants: undefined,
      toldPosition: 0,
      toldAtMs: -Infinity,
      untoldSinceMs: undefined,
    };
    enqueue(model, waiter);
    if (key === undefined) return;
    const holder = { kind: 'session', session: waiter.session.id } as const;
    model.keys = model.keys.filter((one) => one.key !== key || !isSame(one.holder, holder));
    model.keys.push({ holder, key, body: this.#following.asked.body, waiter, leases: [] });
  }

  /** At most once a second, and only what is new. */
  #told(waiter: ModelWaiter, position: number, isAnswer: boolean): void {
    const model = this.#model;
    assert.equal(position, positions(model, waiter.resource).get(waiter), `place of waiter ${waiter.number}`);
    assert.notEqual(position, waiter.toldPosition, `waiter ${waiter.number} knows its place`);
    assert.ok(
      model.nowMs - waiter.toldAtMs >= TOLD_APART_MS,
      `waiter ${waiter.number} was told less than a second ago`,
    );
    Object.assign(waiter, { toldPosition: position, toldAtMs: model.nowMs, untoldSinceMs: undefined });
    for (const { id } of isAnswer ? [] : waiter.requests) {
      const answer = { type: 'queued', position } as const;
      this.#following.expected.push({ type: 'WaitAnswered', session: waiter.session.id, request: id, answer });
    }
  }

  timedOut({ events }: Decided): ModelWaiter[] {
    return events.flatMap((event) => {
      return event.type === 'WaitEnded' && event.end === 'timeout' ? [this.#following.waiter(event.waiter)] : [];
    });
  }

  expectTimeout(waiter: ModelWaiter): void {
    const model = this.#model;
    const { resource, terms, count = 1 } = waiter;
    // Nobody is there to be told.
    if (waiter.session.suspendedUntilMs !== undefined) return;
    assert.equal(reservedFor(model, waiter).length, 0, 'a wait that is over keeps nothing');
    const why = whyOf(model, resource, terms.where, count, boundOf(model, resource, count));
    const retryAfterMs = why.soonest_ms === undefined ? {} : { retryAfterMs: why.soonest_ms };
    for (const { id } of waiter.requests) {
      const answer = { type: 'refused', reason: 'wait_timeout', why, ...retryAfterMs } as const;
      this.#following.expected.push({ type: 'WaitAnswered', session: waiter.session.id, request: id, answer });
    }
  }
}
