import type { LeaseEnd, Strategy } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';

/** What an operator sets for a resource. Durations in ms; what is absent doesn't apply. */
export interface ResourcePolicy {
  /** Live leases at most. */
  readonly maxLeases?: number;
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
