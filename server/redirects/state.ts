import type { StorageLevel } from '../coordinator/domain.ts';
import type { RedirectRule, RedirectView } from './commands.ts';

/** What a configuration said from some time on. */
export interface Version extends RedirectRule {
  readonly version: number;
  readonly utcMs: number;
  /** The version that this one went back to. */
  readonly restored?: number | undefined;
}

export interface Redirect {
  readonly id: number;
  readonly createdUtcMs: number;
  /** Rising by one, the current one last. Invariant: 1 to VERSIONS_MAX of them. */
  readonly versions: Version[];
}

export interface RedirectState {
  /** Invariant: ids are 1 to its size, in this order; REDIRECTS_MAX at most. */
  readonly redirects: Map<number, Redirect>;
  /** Undefined: there is none yet. */
  activeId: number | undefined;
  /** As the coordinator last said; not durable. */
  storage: StorageLevel;
}

export function createRedirectState(): RedirectState {
  return { redirects: new Map(), activeId: undefined, storage: 'ample' };
}

export function currentOf({ versions }: Redirect): Version {
  return versions.at(-1)!;
}

export function viewOf(redirect: Redirect): RedirectView {
  const { version, cdnHost, distributionRate, utcMs } = currentOf(redirect);
  const { id, createdUtcMs } = redirect;
  return { id, cdnHost, distributionRate, createdUtcMs, updatedUtcMs: utcMs, version };
}
