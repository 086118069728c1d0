/** Policies by API, over those of the configuration. The whole of one is put together here and nowhere else. */
import { regroupWaiters } from './apply-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { policyFaults, type ResourcePolicy, wholePolicy } from './policy.ts';
import { forgetResources } from './pool-changes.ts';
import { ensureResource, type LeaseState } from './state.ts';

type PolicyEvent = Extract<LeaseEvent, { type: 'Configured' | 'PolicySet' | 'PolicyDeleted' }>;

export function applyPolicyEvent(state: LeaseState, event: PolicyEvent): void {
  switch (event.type) {
    case 'Configured': {
      state.defaultPolicy = event.defaultPolicy;
      state.configuredPolicies = new Map(event.policies);
      state.policies = new Map(event.policies);
      for (const resource of state.ownPolicies.keys()) refreshPolicy(state, resource);
      for (const id of state.policies.keys()) ensureResource(state, id);
      for (const resource of state.resources.values()) regroupWaiters(state, resource);
      break;
    }
    case 'PolicySet': {
      const { resource, policy, version } = event;
      state.lastPolicyVersion = version;
      state.ownPolicies.set(resource, { policy, version });
      refreshPolicy(state, resource);
      regroupWaiters(state, ensureResource(state, resource));
      break;
    }
    case 'PolicyDeleted':
      existing(state.ownPolicies, event.resource);
      state.ownPolicies.delete(event.resource);
      refreshPolicy(state, event.resource);
      regroupWaiters(state, existing(state.resources, event.resource));
      break;
  }
  forgetResources(state);
}

/** Brings the policy that the resource goes by to what configuration and API say. */
export function refreshPolicy(state: LeaseState, resource: number): void {
  const own = state.ownPolicies.get(resource);
  const configured = state.configuredPolicies.get(resource);
  if (own) state.policies.set(resource, wholePolicy(configuredPolicy(state, resource), own.policy));
  else if (configured) state.policies.set(resource, configured);
  else state.policies.delete(resource);
}

/** Policies by API that don't fit a configuration which is another now: what is wrong with the whole, by resource. */
export function unfitPolicies(state: LeaseState): Map<number, readonly string[]> {
  const unfit = new Map<number, readonly string[]>();
  for (const resource of state.ownPolicies.keys()) {
    const faults = policyFaults(existing(state.policies, resource));
    if (faults.length > 0) unfit.set(resource, faults);
  }
  return unfit;
}

/** What the resource goes by where nobody says anything by API. */
export function configuredPolicy(state: LeaseState, resource: number): ResourcePolicy {
  return state.configuredPolicies.get(resource) ?? state.defaultPolicy;
}
