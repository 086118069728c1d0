import { assertNever } from '../../protocol/assert.ts';
import type { Decision, DecisionContext } from '../coordinator/domain.ts';
import type { LeaseAnswer, LeaseCommand, LeaseNotice, StartEpoch } from './commands.ts';
import { dayEvents } from './day.ts';
import { acquire, explain } from './decide-acquire.ts';
import { addAddress, removeAddress, updateAddress } from './decide-address.ts';
import { due } from './decide-due.ts';
import { decideImport } from './decide-import.ts';
import { release, renew, report } from './decide-lease.ts';
import { drainAddress, liftQuarantine, quarantine, setAddressHealth } from './decide-pair.ts';
import { deletePolicy, setPolicy } from './decide-policy.ts';
import { revoke } from './decide-revoke.ts';
import { decideDrop, decideEndSession, decideOpen, decideRevokeSession, extendSuspensions } from './decide-session.ts';
import { cancel } from './decide-waiting.ts';
import type { LeaseEvent } from './events.ts';
import type { LeaseState } from './state.ts';
import { setStorage } from './storage.ts';

export type LeaseDecision = Decision<LeaseCommand, LeaseEvent, LeaseAnswer, LeaseNotice>;

/** The answer to every command: what happens, who is told what. Changes nothing. */
export function decide(state: LeaseState, command: LeaseCommand, context: DecisionContext): LeaseDecision {
  switch (command.type) {
    case 'StartEpoch':
      return startEpoch(state, command, context);
    case 'Configure': {
      const { defaultPolicy, policies } = command;
      const isSame =
        JSON.stringify([defaultPolicy, [...policies]]) ===
        JSON.stringify([state.defaultPolicy, [...state.configuredPolicies]]);
      return { events: isSame ? [] : [{ type: 'Configured', defaultPolicy, policies: [...policies] }], answer: DONE };
    }
    case 'SetPolicy':
      return setPolicy(state, command);
    case 'DeletePolicy':
      return deletePolicy(state, command);
    case 'ImportPool':
      return decideImport(state, command, context);
    case 'AddAddress':
      return addAddress(state, command, context);
    case 'UpdateAddress':
      return updateAddress(state, command, context);
    case 'RemoveAddress':
      return removeAddress(state, command, context);
    case 'OpenSession':
      return decideOpen(state, command, context);
    case 'DropSession':
      return decideDrop(state, command, context);
    case 'EndSession':
      return decideEndSession(state, command, context);
    case 'RevokeSession':
      return decideRevokeSession(state, command, context);
    case 'ExtendSuspensions':
      return extendSuspensions(state, command);
    case 'SetStorage':
      return setStorage(state, command);
    case 'AcquireLease':
      return acquire(state, command, context);
    case 'ExplainAcquire':
      return explain(state, command, context);
    case 'CancelAcquire':
      return cancel(state, command, context);
    case 'RenewLeases':
      return renew(state, command, context);
    case 'ReleaseLease':
      return release(state, command, context);
    case 'ReportLease':
      return report(state, command, context);
    case 'RevokeLeases':
      return revoke(state, command, context);
    case 'Quarantine':
      return quarantine(state, command, context);
    case 'LiftQuarantine':
      return liftQuarantine(state, command);
    case 'SetAddressHealth':
      return setAddressHealth(state, command);
    case 'DrainAddress':
      return drainAddress(state, command);
    case 'Due':
      return due(state, command, context);
    default:
      return assertNever(command);
  }
}

const DONE = { type: 'done' } as const;

function startEpoch(state: LeaseState, command: StartEpoch, { nowMs, utcMs }: DecisionContext): LeaseDecision {
  const { epoch, tokenFloor, suspendMs } = command;
  const started: LeaseEvent = { type: 'EpochStarted', epoch, atMs: nowMs, tokenFloor, suspendMs };
  return { events: [started, ...dayEvents(state, utcMs)], answer: DONE };
}
