import type { LeaseEnd, Strategy } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';

/** What an operator sets for a resource. Durations in ms; what is absent doesn't apply. */
export interface ResourcePolicy {
  /** Live leases at most. */
  readonly maxLeases?: number;
  /** Those of one client at most: over all that it is behind, see collectors.ts. */
  readonly maxLeasesPerClient?: number;
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
  /** And-ed to every request's own condition. */
  readonly where?: Where;
  /** Of requests that name none. Absent: round_robin. */
  readonly strategy?: Strategy;
  /** How long a pair rests after a lease of it ended so. */
  readonly cooldownMs?: Readonly<Partial<Record<LeaseEnd, number>>>;
  /** `safe`: a pair that its holder didn't hand back rests until the holder's own deadline. Absent: `fast`. */
  readonly handover?: 'fast' | 'safe';
  /** Quarantine of a pair at its first ban; doubles with each level. Absent: a ban is only counted. */
  readonly banMs?: number;
  /** The longest quarantine. Absent: BAN_MAX_MS. */
  readonly banMaxMs?: number;
  /** The level falls by one in this time without a ban. Absent: BAN_DECAY_MS. */
  readonly banDecayMs?: number;
  /** Distinct resources whose bans put the address itself into quarantine. */
  readonly banAddressAfter?: number;
  /** Share of the pool, above which quarantined pairs make grants slow. */
  readonly slowShare?: number;
  /** Least time between two grants then. Absent: SLOW_INTERVAL_MS. */
  readonly slowIntervalMs?: number;
  /** Between the announcement and the end of a lease whose address is removed, withdrawn, unhealthy or quarantined. */
  readonly revokeDeadlineMs?: number;
}

export const BAN_MAX_MS = 86_400_000;
export const BAN_DECAY_MS = 86_400_000;
export const SLOW_INTERVAL_MS = 1_000;

/** What `own` doesn't say is as in `defaults`, field by field, and cool-downs kind by kind. */
export function wholePolicy(defaults: ResourcePolicy, own: Partial<ResourcePolicy>): ResourcePolicy {
  const whole = { ...defaults, ...own };
  if (!defaults.cooldownMs || !own.cooldownMs) return whole;
  return { ...whole, cooldownMs: { ...defaults.cooldownMs, ...own.cooldownMs } };
}

/** What no field of a whole policy can know of itself. */
export function policyFaults(policy: ResourcePolicy): string[] {
  const { ttlMinMs, ttlMaxMs, banMs, banMaxMs, banDecayMs, banAddressAfter, slowShare, slowIntervalMs } = policy;
  const faults: string[] = [];
  const needs = (field: string, value: number | undefined, needed: string, neededValue: number | undefined) => {
    if (value !== undefined && neededValue === undefined) faults.push(`${field} means nothing without ${needed}`);
  };
  if (ttlMinMs > ttlMaxMs) faults.push(`ttl_min_ms (${ttlMinMs}) is above ttl_max_ms (${ttlMaxMs})`);
  needs('ban_max_ms', banMaxMs, 'ban_ms', banMs);
  needs('ban_decay_ms', banDecayMs, 'ban_ms', banMs);
  needs('ban_address_after', banAddressAfter, 'ban_ms', banMs);
  needs('slow_interval_ms', slowIntervalMs, 'slow_share', slowShare);
  const banBoundMs = banMaxMs ?? BAN_MAX_MS;
  if (banMs !== undefined && banMs > banBoundMs) {
    const usual = banMaxMs === undefined ? ', its default' : '';
    faults.push(`ban_ms (${banMs}) is above ban_max_ms (${banBoundMs}${usual})`);
  }
  return faults;
}
