/** Policies of resources by API. */
import { configuredPolicy } from './apply-policy.ts';
import type { DeletePolicy, SetPolicy, Stale } from './commands.ts';
import type { LeaseDecision } from './decide.ts';
import { policyFaults, wholePolicy } from './policy.ts';
import { tooManyResources } from './resources-bound.ts';
import type { LeaseState } from './state.ts';
import { isShort, storageFull } from './storage.ts';

export function setPolicy(state: LeaseState, command: SetPolicy): LeaseDecision {
  const { resource, policy, resourcesMax } = command;
  const stale = staleness(state, command);
  if (stale) return { events: [], answer: stale };
  const own = state.ownPolicies.get(resource);
  if (own && JSON.stringify(own.policy) === JSON.stringify(policy)) {
    return { events: [], answer: { type: 'policy_set', version: own.version } };
  }
  if (isShort(state)) return storageFull();
  const excess = tooManyResources(state, [resource], resourcesMax, { path: 'resource' });
  if (excess) return { events: [], answer: excess };
  const faults = policyFaults(wholePolicy(configuredPolicy(state, resource), policy));
  if (faults.length > 0) {
    return { events: [], answer: { type: 'rejected', code: 'bad_field', message: faults.join('; '), path: 'policy' } };
  }
  const version = state.lastPolicyVersion + 1;
  return { events: [{ type: 'PolicySet', resource, policy, version }], answer: { type: 'policy_set', version } };
}

export function deletePolicy(state: LeaseState, command: DeletePolicy): LeaseDecision {
  const { resource } = command;
  const stale = staleness(state, command);
  if (stale) return { events: [], answer: stale };
  if (!state.ownPolicies.has(resource)) return { events: [], answer: { type: 'no_policy' } };
  return { events: [{ type: 'PolicyDeleted', resource }], answer: { type: 'policy_deleted' } };
}

function staleness(state: LeaseState, { resource, version }: SetPolicy | DeletePolicy): Stale | undefined {
  const current = state.ownPolicies.get(resource)?.version ?? 0;
  return version === undefined || version === current ? undefined : { type: 'stale', version: current };
}
