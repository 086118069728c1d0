/** Bans, quarantines, health and draining: what keeps an address or a pair from being given. */
import type { DecisionContext } from '../coordinator/domain.ts';
import { type Address } from './address.ts';
import type { DrainAddress, LiftQuarantine, Quarantine, Rejected, SetAddressHealth } from './commands.ts';
import type { LeaseDecision } from './decide.ts';
import type { LeaseEvent } from './events.ts';
import { type Bans, levelAt, type QuarantineReason, type QuarantineRecord } from './pair.ts';
import { BAN_DECAY_MS, BAN_MAX_MS } from './policy.ts';
import { type Lease, type LeaseState, policyOf } from './state.ts';

const DONE = { type: 'done' } as const;

/** A site has banned the lease's address: the pair goes into quarantine, and the address once enough resources did so. */
export function banEvents(state: LeaseState, lease: Lease, nowMs: number): LeaseEvent[] {
  const { banMs = 0, banAddressAfter = Infinity } = policyOf(state, lease.resource);
  const address = state.addresses.get(lease.addressId);
  if (banMs <= 0 || !address) return [];
  const { resource } = lease;
  const pair = address.pairs?.get(resource);
  const events: LeaseEvent[] = [
    { type: 'PairQuarantined', resource, addressId: address.id, ...banTerms(state, resource, pair, nowMs) },
  ];
  const others = [...(address.pairs?.values() ?? [])].filter(
    (other) => other.resource !== resource && levelAt(other.bans, nowMs, decayMs(state, other.resource)) > 0,
  );
  if (others.length + 1 >= banAddressAfter) {
    events.push({ type: 'AddressQuarantined', addressId: address.id, ...banTerms(state, resource, address, nowMs) });
  }
  return events;
}

/** The next step of the ladder: twice as long for each ban that has not been forgotten yet. */
function banTerms(
  state: LeaseState,
  resource: number,
  banned: { readonly bans: Bans | undefined; readonly quarantine: QuarantineRecord | undefined } | undefined,
  nowMs: number,
): { reason: QuarantineReason; level: number; atMs: number; untilMs: number | undefined } {
  const { banMs = 0, banMaxMs = BAN_MAX_MS } = policyOf(state, resource);
  const level = levelAt(banned?.bans, nowMs, decayMs(state, resource));
  const ownUntilMs = Math.ceil(nowMs) + Math.min(banMs * 2 ** level, banMaxMs);
  const { reason: presentReason = 'banned', untilMs: presentUntilMs = 0 } = banned?.quarantine ?? {};
  const untilMs = Math.max(ownUntilMs, presentUntilMs);
  return {
    // An operator's word stands until its time is over: beyond that it is the ban's, probation and all.
    reason: presentUntilMs >= ownUntilMs ? presentReason : 'banned',
    level: level + 1,
    atMs: nowMs,
    untilMs: untilMs === Infinity ? undefined : untilMs,
  };
}

function decayMs(state: LeaseState, resource: number): number {
  return policyOf(state, resource).banDecayMs ?? BAN_DECAY_MS;
}

export function quarantine(state: LeaseState, command: Quarantine, { nowMs }: DecisionContext): LeaseDecision {
  const { addressId, resource, forMs } = command;
  const address = state.addresses.get(addressId);
  if (!address) return unknownAddress(addressId);
  const { quarantine: present } = (resource === undefined ? address : address.pairs?.get(resource)) ?? {};
  const ownUntilMs = forMs === undefined ? Infinity : Math.ceil(nowMs) + forMs;
  // The operator's latest word replaces an earlier one; what bans ask for longer stays theirs, probation and all.
  const isLonger = present?.reason === 'banned' && present.untilMs > ownUntilMs;
  const { reason, untilMs } = isLonger ? present : { reason: 'operator' as const, untilMs: ownUntilMs };
  const terms = { addressId, reason, level: 0, atMs: nowMs, untilMs: untilMs === Infinity ? undefined : untilMs };
  if (resource === undefined) return { events: [{ type: 'AddressQuarantined', ...terms }], answer: DONE };
  if (!address.serves(resource)) return unknownPair(addressId, resource);
  return { events: [{ type: 'PairQuarantined', resource, ...terms }], answer: DONE };
}

export function liftQuarantine(state: LeaseState, { addressId, resource }: LiftQuarantine): LeaseDecision {
  const address = state.addresses.get(addressId);
  if (!address) return unknownAddress(addressId);
  if (resource === undefined) {
    const isOut = address.quarantine ?? address.bans ?? address.probationAfter;
    if (isOut === undefined) return { events: [], answer: DONE };
    return { events: [{ type: 'AddressQuarantineEnded', addressId, isLifted: true }], answer: DONE };
  }
  const pair = address.pairs?.get(resource);
  const isOut = pair && (pair.quarantine ?? pair.bans ?? pair.probationAfter) !== undefined;
  if (!isOut) return address.serves(resource) ? { events: [], answer: DONE } : unknownPair(addressId, resource);
  return { events: [{ type: 'PairQuarantineEnded', addressId, resource, isLifted: true }], answer: DONE };
}

export function setAddressHealth(state: LeaseState, { addressId, isHealthy }: SetAddressHealth): LeaseDecision {
  return changeAddress(state, addressId, (address) =>
    address.isUnhealthy === isHealthy ? { type: 'AddressHealthChanged', addressId, isHealthy } : undefined,
  );
}

export function drainAddress(state: LeaseState, { addressId, isDraining }: DrainAddress): LeaseDecision {
  return changeAddress(state, addressId, (address) =>
    address.isDraining === isDraining ? undefined : { type: 'AddressDrainChanged', addressId, isDraining },
  );
}

function changeAddress(
  state: LeaseState,
  addressId: number,
  change: (address: Address) => LeaseEvent | undefined,
): LeaseDecision {
  const address = state.addresses.get(addressId);
  if (!address) return unknownAddress(addressId);
  const event = change(address);
  return { events: event ? [event] : [], answer: DONE };
}

export function unknownAddress(addressId: number): { events: []; answer: Rejected } {
  const message = `address_id: no address ${addressId}`;
  return { events: [], answer: { type: 'rejected', code: 'bad_field', message, path: 'address_id' } };
}

function unknownPair(addressId: number, resource: number): { events: []; answer: Rejected } {
  const message = `resource: address ${addressId} doesn't serve ${resource}`;
  return { events: [], answer: { type: 'rejected', code: 'unknown_resource', message, path: 'resource' } };
}
