/** What the parts of the follower share: the model, what is asked for at the moment, and what notices follow. */
import assert from 'node:assert/strict';
import type { LeaseEnd, RevokeReason } from '../../../protocol/codes.ts';
import type { AddressRecord, Grant } from '../../../protocol/frames.ts';
import type { LeaseNotice } from '../../lease/commands.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import type { LeaseModel } from './lease-model.ts';
import type { ModelAddress, ModelLease, ModelWaiter } from './model-records.ts';
import { StrategyChecks } from './strategy-checks.ts';

export type EventOf<Type extends LeaseEvent['type']> = Extract<LeaseEvent, { type: Type }>;

/** What the operation at hand asks for, beside what time brings. */
export interface Asked {
  /** Leases that are to end now, and how. */
  ends: Map<number, { readonly end: LeaseEnd; readonly reason?: RevokeReason }>;
  /** Leases whose revocation is to be announced. */
  revocations: Map<number, { readonly reason: RevokeReason; readonly deadlineMs: number }>;
  /** Events, as text, that nothing but the operation allows. */
  events: string[];
  pool: { readonly records: readonly AddressRecord[]; readonly replace: boolean } | undefined;
  /** What a repetition of the acquire has to repeat. */
  body: string;
}

export function nothingAsked(): Asked {
  return { ends: new Map(), revocations: new Map(), events: [], pool: undefined, body: '' };
}

export class Following {
  readonly model: LeaseModel;
  readonly strategies: StrategyChecks;
  asked = nothingAsked();
  /** Notices that follow from the events of the decision at hand. */
  expected: LeaseNotice[] = [];

  constructor(model: LeaseModel) {
    this.model = model;
    this.strategies = new StrategyChecks(model);
  }

  /** What is granted of an address at this moment. */
  grantOf(address: ModelAddress, token: number, resource: number, ttlMs: number, clamped: boolean): Grant {
    const record = { ...address.record, rpw: this.model.rpw(address) + 1 };
    return { lease: token, resource, address: record, ttl_ms: ttlMs, ...(clamped ? { clamped } : {}) };
  }

  addressOf(event: { readonly addressId: number }): ModelAddress {
    const address = this.model.addresses.find(({ id }) => id === event.addressId);
    assert.ok(address, `there is no address ${event.addressId}`);
    return address;
  }

  lease(token: number): ModelLease {
    const lease = this.model.unended().find((one) => one.token === token);
    assert.ok(lease, `lease ${token} has ended, or never was`);
    return lease;
  }

  waiter(number: number): ModelWaiter {
    const waiter = this.model.waiters.find((one) => one.number === number);
    assert.ok(waiter, `nobody waits as ${number}`);
    return waiter;
  }

  expect(lease: ModelLease, notice: Untold<LeaseNotice>): void {
    if (lease.holder.kind !== 'session') return;
    this.expected.push({ ...notice, session: lease.holder.session } as LeaseNotice);
  }

  /** Only the operation at hand allows this, and once. */
  take(event: LeaseEvent): void {
    const index = this.asked.events.indexOf(eventText(event));
    assert.notEqual(index, -1, `nobody asked for ${eventText(event)}`);
    this.asked.events.splice(index, 1);
  }
}

/** A notice of whichever kind, without whom it is for. */
type Untold<Notice> = Notice extends unknown ? Omit<Notice, 'session'> : never;

/** By which an operation names an event that it brings. */
export function eventText(event: LeaseEvent): string {
  switch (event.type) {
    case 'AcquireQueued': {
      const { session, resource, request, ttlMs, untilMs, where, strategy, sticky, count, key } = event;
      return JSON.stringify([
        'queued',
        session,
        resource,
        request,
        ttlMs,
        untilMs,
        where,
        strategy,
        sticky,
        count,
        key,
      ]);
    }
    case 'WaitEnded':
      return `waiter ${event.waiter} ${event.end}`;
    case 'SessionSuspended':
      return `suspended ${event.session} until ${event.untilMs} ${event.end}`;
    case 'PairQuarantined':
      return `quarantined ${event.addressId}/${event.resource} ${event.reason} until ${event.untilMs ?? Infinity}`;
    case 'AddressQuarantined':
      return `quarantined ${event.addressId} ${event.reason} until ${event.untilMs ?? Infinity}`;
    default: {
      return JSON.stringify(event);
    }
  }
}
