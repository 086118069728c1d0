import { assertNever } from '../../protocol/assert.ts';
import { applyGrant, applyLeaseEnd, applyRenewal, applyRepeat, applyReport, applyRevocation } from './apply-lease.ts';
import { applyPairEvent } from './apply-pair.ts';
import { applyPolicyEvent } from './apply-policy.ts';
import { applySessionEvent } from './apply-session.ts';
import { applyWaitEvent } from './apply-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { usageChanged } from './lease-index.ts';
import { wake } from './pair.ts';
import { applyPoolChanges, forgetResources } from './pool-changes.ts';
import type { LeaseState } from './state.ts';
import { applyUsage } from './unwritten-usage.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: LeaseState, event: LeaseEvent): void {
  switch (event.type) {
    case 'DayTurned':
      state.today.day = Math.max(state.today.day, event.day);
      for (const resource of state.resources.values()) {
        resource.pool.forgetRpw();
        // A figure has fallen, and with it what a condition on it holds for.
        wake(state, resource);
      }
      return;
    case 'TokensReserved':
      state.reservedToken = event.until;
      return;
    case 'Configured':
    case 'PolicySet':
    case 'PolicyDeleted':
      return applyPolicyEvent(state, event);
    case 'PoolStaged': {
      const stage = state.stages.get(event.stage) ?? [];
      for (const change of event.changes) {
        stage.push(change);
        if (change[0] === 'add') state.lastAddressId = Math.max(state.lastAddressId, change[1]);
      }
      state.stages.set(event.stage, stage);
      state.lastStage = Math.max(state.lastStage, event.stage);
      return;
    }
    case 'PoolCommitted':
      applyPoolChanges(state, state.stages.get(event.stage) ?? [], event.source);
      state.stages.delete(event.stage);
      return forgetResources(state);
    case 'PoolDropped':
      state.stages.delete(event.stage);
      return;
    case 'RecordOverruled':
      return state.overruled.set(event.address, event.digest);
    case 'EpochStarted':
    case 'SessionOpened':
    case 'SessionSuspended':
    case 'SuspensionsExtended':
    case 'SessionResumed':
    case 'SessionEnded':
      return applySessionEvent(state, event);
    case 'LeaseGranted':
      return applyGrant(state, event);
    case 'GrantRepeated':
      return applyRepeat(state, event);
    case 'LeaseRenewed':
      return applyRenewal(state, event);
    case 'LeaseReported':
      return applyReport(state, event);
    case 'LeaseEnded':
      return applyLeaseEnd(state, event);
    case 'RevocationAnnounced':
      return applyRevocation(state, event);
    case 'UsageWritten':
      for (const address of applyUsage(state, event)) usageChanged(state, address);
      return;
    case 'CutsNoticed':
      state.cut.splice(0, event.count);
      return;
    case 'ExpiryNoticed':
      state.notices.delete(existing(state.leases, event.lease));
      return;
    case 'StorageChanged':
      state.storage = event.level;
      return;
    case 'AcquireQueued':
    case 'WaitRepeated':
    case 'WaitEnded':
    case 'WaitersMatched':
    case 'PairReserved':
    case 'ReservationsDropped':
    case 'QueueNoticed':
      return applyWaitEvent(state, event);
    case 'CooldownBegan':
    case 'ProbationEnded':
    case 'CooldownEnded':
    case 'PairQuarantined':
    case 'AddressQuarantined':
    case 'PairQuarantineEnded':
    case 'AddressQuarantineEnded':
    case 'AddressHealthChanged':
    case 'AddressDrainChanged':
      return applyPairEvent(state, event);
    default:
      assertNever(event);
  }
}
