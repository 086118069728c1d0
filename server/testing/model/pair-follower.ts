/** What pairs and addresses become beside being leased: reports with their bans, rests, quarantines, health, draining. */
import assert from 'node:assert/strict';
import type { EventOf, Following } from './following.ts';
import type { LeaseModel } from './lease-model.ts';
import { DAY_MS, pairOf } from './model-records.ts';
import { bansOf, type ModelBan, marksOf } from './pair-model.ts';

type PairEvent = EventOf<
  | 'LeaseReported'
  | 'CooldownEnded'
  | 'PairQuarantined'
  | 'AddressQuarantined'
  | 'PairQuarantineEnded'
  | 'AddressQuarantineEnded'
  | 'AddressHealthChanged'
  | 'AddressDrainChanged'
>;

export class PairFollower {
  readonly #following: Following;
  readonly #model: LeaseModel;
  /** Quarantines that follow from the report at hand. */
  #bans: ModelBan[] = [];

  constructor(following: Following) {
    this.#following = following;
    this.#model = following.model;
  }

  observe(event: PairEvent): void {
    switch (event.type) {
      case 'LeaseReported':
        return this.#reported(event);
      case 'CooldownEnded': {
        const pair = pairOf(this.#following.addressOf(event), event.resource);
        assert.ok((pair.coolingUntilMs ?? Infinity) <= this.#model.nowMs, 'a pair that rests');
        pair.coolingUntilMs = undefined;
        return;
      }
      case 'PairQuarantined':
      case 'AddressQuarantined':
        return this.#quarantined(event);
      case 'PairQuarantineEnded':
      case 'AddressQuarantineEnded':
        return this.#quarantineEnded(event);
      case 'AddressHealthChanged':
        this.#following.take(event);
        this.#following.addressOf(event).isUnhealthy = !event.isHealthy;
        return;
      case 'AddressDrainChanged':
        this.#following.take(event);
        this.#following.addressOf(event).isDraining = event.isDraining;
    }
  }

  /** A decision is over: what a ban brings has come with it. */
  checkBans(): void {
    assert.deepEqual(this.#bans, [], 'quarantines that a ban should have brought');
  }

  #reported(event: EventOf<'LeaseReported'>): void {
    const model = this.#model;
    const lease = model.leases.find(({ token }) => token === event.lease)!;
    assert.ok(model.today >= Math.floor(model.utcMs / DAY_MS), 'a report on a day that is over');
    if (event.outcome === 'banned' && !lease.isBanned) {
      this.#bans = bansOf(model, lease);
      lease.isBanned = true;
    }
    if (event.outcome === 'ok' && model.addresses.includes(lease.address)) {
      for (const marks of [lease.address, pairOf(lease.address, lease.resource)]) {
        if (lease.token > (marks.probationAfter ?? Infinity)) marks.probationAfter = undefined;
      }
    }
    model.report(lease, event.requests);
  }

  #quarantined(event: EventOf<'PairQuarantined' | 'AddressQuarantined'>): void {
    const resource = event.type === 'PairQuarantined' ? event.resource : undefined;
    const untilMs = event.untilMs ?? Infinity;
    const { reason, level } = event;
    if (level === 0) this.#following.take(event);
    else assert.deepEqual({ resource, reason, level, untilMs }, this.#bans.shift());
    const marks = marksOf(this.#following.addressOf(event), resource);
    marks.quarantine = { reason, untilMs };
    if (level > 0) marks.bans = { level, atMs: this.#model.nowMs };
  }

  /** By time, on probation where it was for bans; lifted, forgotten. */
  #quarantineEnded(event: EventOf<'PairQuarantineEnded' | 'AddressQuarantineEnded'>): void {
    const model = this.#model;
    const address = this.#following.addressOf(event);
    const marks = marksOf(address, 'resource' in event ? event.resource : undefined);
    if (event.isLifted) {
      this.#following.take(event);
      Object.assign(marks, { bans: undefined, probationAfter: undefined });
      // The bans that put an address there are those of its pairs.
      if (event.type === 'AddressQuarantineEnded') for (const pair of address.pairs) pair.bans = undefined;
    } else {
      assert.ok((marks.quarantine?.untilMs ?? Infinity) <= model.nowMs, 'a quarantine ends too early');
      if (marks.quarantine!.reason === 'banned') marks.probationAfter = model.lastToken;
    }
    marks.quarantine = undefined;
  }
}
