import type { Rejected } from './commands.ts';
import { type LeaseState, type Resource } from './state.ts';

/** The resources that there are; `withoutPool`: those that are more than what addresses serve. */
export function knownResources(state: LeaseState, withoutPool = false): Set<number> {
  const known = [...state.resources.values()].filter((resource) => isKnown(state, resource, withoutPool));
  return new Set(known.map(({ id }) => id));
}

/** Where `ids` bring in more than `resourcesMax` allows; undefined: they don't, or nobody named a bound. */
export function tooManyResources(
  state: LeaseState,
  ids: Iterable<number>,
  resourcesMax = Infinity,
  { path = 'resource_ids', withoutPool = false } = {},
): Rejected | undefined {
  const others = [...new Set(ids)].filter((id) => !isKnown(state, state.resources.get(id), withoutPool));
  if (others.length === 0 || resourcesMax === Infinity) return undefined;
  const excess = others[Math.max(0, resourcesMax - knownResources(state, withoutPool).size)];
  if (excess === undefined) return undefined;
  const message = `${path}: ${excess} would be one resource more than ${resourcesMax} (resources_max)`;
  return { type: 'rejected', code: 'bad_field', message, path };
}

function isKnown(state: LeaseState, resource: Resource | undefined, withoutPool: boolean): boolean {
  if (!resource) return false;
  const serves = !withoutPool && resource.addressCount > 0;
  return serves || resource.leaseCount > 0 || state.policies.has(resource.id);
}
