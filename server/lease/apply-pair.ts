import { assertNever } from '../../protocol/assert.ts';
import { type Address, ensurePair } from './address.ts';
import { endAddressProbation, endPairProbation, forgetIfGone } from './apply-lease.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { armRest, reviewLeases } from './lease-index.ts';
import { isPlain, type Pair, type QuarantineRecord, refreshAddress, refreshPair } from './pair.ts';
import { type LeaseState } from './state.ts';

type PairEvent = Extract<
  LeaseEvent,
  {
    type:
      | 'CooldownBegan'
      | 'CooldownEnded'
      | 'ProbationEnded'
      | 'PairQuarantined'
      | 'AddressQuarantined'
      | 'PairQuarantineEnded'
      | 'AddressQuarantineEnded'
      | 'AddressHealthChanged'
      | 'AddressDrainChanged';
  }
>;

/** What an address or a pair has become beside being leased. */
export function applyPairEvent(state: LeaseState, event: PairEvent): void {
  const address = existing(state.addresses, event.addressId);
  switch (event.type) {
    case 'CooldownBegan': {
      const pair = ensurePair(address, event.resource);
      pair.coolingUntilMs = event.untilMs;
      return pairChanged(state, pair);
    }
    case 'ProbationEnded':
      if (event.resource === undefined) return endAddressProbation(state, address);
      return endPairProbation(state, address, event.resource);
    case 'CooldownEnded': {
      const pair = ensurePair(address, event.resource);
      pair.coolingUntilMs = undefined;
      return pairChanged(state, pair);
    }
    case 'PairQuarantined': {
      const pair = ensurePair(address, event.resource);
      pair.quarantine = quarantineOf(event);
      if (event.level > 0) pair.bans = { level: event.level, atMs: event.atMs };
      return pairChanged(state, pair);
    }
    case 'PairQuarantineEnded': {
      const pair = ensurePair(address, event.resource);
      if (event.isLifted) pair.bans = undefined;
      else if (pair.quarantine?.reason === 'banned') pair.probationAfter = state.lastToken;
      if (event.isLifted) pair.probationAfter = undefined;
      pair.quarantine = undefined;
      return pairChanged(state, pair);
    }
    case 'AddressQuarantined':
      address.quarantine = quarantineOf(event);
      if (event.level > 0) address.bans = { level: event.level, atMs: event.atMs };
      if (address.quarantine.untilMs === Infinity) state.quarantined.delete(address);
      else state.quarantined.set(address, address.quarantine.untilMs);
      return addressChanged(state, address);
    case 'AddressQuarantineEnded':
      if (event.isLifted) {
        address.probationAfter = undefined;
        forgetBans(address);
      } else if (address.quarantine?.reason === 'banned') address.probationAfter = state.lastToken;
      address.quarantine = undefined;
      state.quarantined.delete(address);
      return addressChanged(state, address);
    case 'AddressHealthChanged':
      address.isUnhealthy = !event.isHealthy;
      return addressChanged(state, address);
    case 'AddressDrainChanged':
      address.isDraining = event.isDraining;
      return addressChanged(state, address);
    default:
      assertNever(event);
  }
}

/** Of the address and of its pairs, which together had put it there. */
function forgetBans(address: Address): void {
  address.bans = undefined;
  for (const pair of address.pairs?.values() ?? []) {
    pair.bans = undefined;
    if (isPlain(pair)) address.pairs!.delete(pair.resource);
  }
}

function quarantineOf({ reason, untilMs }: Extract<PairEvent, { reason: unknown }>): QuarantineRecord {
  return { reason, untilMs: untilMs ?? Infinity };
}

function pairChanged(state: LeaseState, pair: Pair): void {
  const { address, resource } = pair;
  armRest(state, pair);
  if (isPlain(pair)) address.pairs!.delete(resource);
  reviewLeases(state, address);
  if (!forgetIfGone(state, address)) refreshPair(state, address, resource);
}

function addressChanged(state: LeaseState, address: Address): void {
  reviewLeases(state, address);
  if (!forgetIfGone(state, address)) refreshAddress(state, address);
}
