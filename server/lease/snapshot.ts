/**
 * The durable state as a stream of small values, and back. Order: `meta`, `resource`, `policy`, `own_policy`, `address`, `pair`,
 * `collector`, `session`, `leases`, `ended`, `waiter`, `key`, `overruled`, `stage`; each value begins with its kind and the version of its fields.
 * Resources come before what names them, so that a restored state has them in the order of the one that was written. A
 * later version of a kind only adds fields at its end: what an earlier one lacks is absent. But `leases` of version 2 go by
 * the holders that those before them have named (snapshot-holders.ts), and can't be read without them.
 */
import { NewerDataError } from '../coordinator/domain.ts';
import { keysOf } from './apply-lease.ts';
import { refreshPolicy } from './apply-policy.ts';
import { ensureCollector } from './collectors.ts';
import { existing } from './existing.ts';
import { encodeOwner } from './holder.ts';
import { encodeLeases, restoreLeases } from './lease-columns.ts';
import { indexLease, sessionOf, usageChanged } from './lease-index.ts';
import { type StateRecord, VERSIONS } from './snapshot-format.ts';
import {
  decodeLease,
  encodeAddress,
  encodeLease,
  encodeWaiter,
  restoreAddress,
  restorePair,
  restoreSession,
  restoreWaiter,
} from './snapshot-records.ts';
import { ensureResource, type LeaseState } from './state.ts';

/** Changes of a stage in one record. */
const STAGE_CHANGES = 100;

export function* encodeState(state: LeaseState): Generator<StateRecord> {
  const { epoch, today, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy, lastWaiter, turns } = state;
  const counts = [epoch, today.day, lastToken, reservedToken, lastAddressId, lastStage] as const;
  yield ['meta', VERSIONS.meta, ...counts, defaultPolicy, lastWaiter, turns, state.lastPolicyVersion];
  for (const { id, grants, lastGrantMs } of state.resources.values()) {
    yield ['resource', VERSIONS.resource, id, grants, lastGrantMs === -Infinity ? null : lastGrantMs];
  }
  for (const [resource, policy] of state.configuredPolicies) yield ['policy', VERSIONS.policy, resource, policy];
  for (const [resource, { policy, version }] of state.ownPolicies) {
    yield ['own_policy', VERSIONS.own_policy, resource, policy, version];
  }
  for (const address of state.addresses.values()) yield* encodeAddress(address);
  for (const { client, served } of state.collectors.values()) {
    yield ['collector', VERSIONS.collector, client!, [...served]];
  }
  for (const session of state.sessions.values()) {
    const { collector, owner } = session;
    yield [
      'session',
      VERSIONS.session,
      session.id,
      session.secretHash,
      session.client ?? null,
      session.resumeWindowMs,
      session.noticeMs ?? null,
      session.suspendedUntilMs ?? null,
      session.end,
      session.unaskedEnds,
      collector.client === undefined ? [...collector.served] : [],
      owner ? encodeOwner(owner) : null,
    ];
  }
  yield* encodeLeases(state);
  for (const lease of state.ended) yield ['ended', VERSIONS.ended, encodeLease(lease), lease.end, lease.endedAtMs];
  for (const waiter of state.waiters.values()) yield encodeWaiter(waiter);
  for (const [holder, keys] of state.keys) {
    for (const { key, body, waiter, leases, liveCount, endedAtMs } of keys.entries()) {
      yield ['key', VERSIONS.key, holder, key, body, waiter ?? null, leases, liveCount, endedAtMs ?? null];
    }
  }
  for (const [address, digest] of state.overruled) yield ['overruled', VERSIONS.overruled, address, digest];
  for (const [stage, changes] of state.stages) {
    for (let index = 0; index < changes.length; index += STAGE_CHANGES) {
      yield ['stage', VERSIONS.stage, stage, changes.slice(index, index + STAGE_CHANGES)];
    }
  }
}

export function restoreState(state: LeaseState, value: unknown): void {
  const record = value as StateRecord;
  const latest = Object.hasOwn(VERSIONS, record[0]) ? VERSIONS[record[0]] : 0;
  if (!(record[1] >= 1 && record[1] <= latest)) throw unknownRecord(record);
  if (state.restored && record[0] !== 'leases') throw new Error('a snapshot lacks some of its leases');
  switch (record[0]) {
    case 'meta': {
      const [, , epoch, day, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy] = record;
      const [lastWaiter = 0, turns = 0, lastPolicyVersion = 0] = [record[9], record[10], record[11]];
      const counts = {
        epoch,
        lastToken,
        reservedToken,
        lastAddressId,
        lastStage,
        lastWaiter,
        turns,
        lastPolicyVersion,
      };
      Object.assign(state, counts, { defaultPolicy });
      state.today.day = day;
      return;
    }
    case 'resource': {
      const resource = ensureResource(state, record[2]);
      resource.grants = record[3];
      resource.lastGrantMs = record[4] ?? -Infinity;
      return;
    }
    case 'policy':
      state.configuredPolicies.set(record[2], record[3]);
      return refreshPolicy(state, record[2]);
    case 'own_policy':
      state.ownPolicies.set(record[2], { policy: record[3], version: record[4] });
      return refreshPolicy(state, record[2]);
    case 'address':
      return restoreAddress(state, record);
    case 'pair':
      return restorePair(state, record);
    case 'collector': {
      const { served } = ensureCollector(state, record[2]);
      for (const [resource, turn] of record[3]) served.set(resource, turn);
      return;
    }
    case 'session':
      return restoreSession(state, record);
    case 'lease': {
      const lease = decodeLease(state, record[2]);
      const address = existing(state.addresses, lease.addressId);
      const resource = ensureResource(state, lease.resource);
      indexLease(state, lease, address, resource, sessionOf(state, lease.holder));
      // Strategies go by the leases that an address has.
      return usageChanged(state, address);
    }
    case 'leases':
      return restoreLeases(state, record);
    case 'ended': {
      state.ended.add(decodeLease(state, record[2]), record[3], record[4]);
      return;
    }
    case 'waiter':
      return restoreWaiter(state, record);
    case 'key': {
      const [, , holder, key, body, waiter, leases, liveCount, endedAtMs] = record;
      const [own, ended] = [waiter ?? undefined, endedAtMs ?? undefined];
      // Written out: on Node 20 what is added to a spread gives each object a hidden class of its own.
      keysOf(state, holder).put({ key, body, waiter: own, leases: [...leases], liveCount, endedAtMs: ended });
      return;
    }
    case 'overruled':
      return state.overruled.set(record[2], record[3]);
    case 'stage': {
      const [, , stage, changes] = record;
      const staged = state.stages.get(stage);
      if (staged) staged.push(...changes);
      else state.stages.set(stage, [...changes]);
      return;
    }
    default:
      throw unknownRecord(record);
  }
}

function unknownRecord([kind, version]: readonly unknown[]): Error {
  return new NewerDataError(`record ${String(kind)} version ${String(version)} in a snapshot`);
}
