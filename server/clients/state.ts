import type { StorageLevel } from '../coordinator/domain.ts';
import type { Role } from './api-key.ts';
import type { Level, Limit } from './token-bucket.ts';

/** Invariants: every key is in `keys` and in `keys` of its client; `limitedCount` counts the clients with a limit. */
export interface ClientsState {
  readonly clients: Map<string, Client>;
  /** By key id. */
  readonly keys: Map<string, ApiKey>;
  /** Those whose role is operator. */
  readonly operatorKeys: Set<ApiKey>;
  /** Those that have an end. */
  readonly ending: Set<ApiKey>;
  limitedCount: number;
  /** Levels of buckets as they were last kept, by client id; IPs among them. */
  readonly levels: Map<string, Level>;

  // ---- dies with the process

  /** When to look whether a key has come to its end; 0: at once. */
  lookAtMs: number;
  storage: StorageLevel;
}

/** Whoever has keys or a limit of its own. */
export interface Client {
  readonly id: string;
  /** Its own; undefined: the default. A new object whenever it changes. */
  limit: Limit | undefined;
  /** Since when that is so, by the coordinator's clock: before, the bucket filled as it had been told before. */
  limitSinceMs: number;
  readonly createdUtcMs: number;
  updatedUtcMs: number;
  /** Counts its changes, from 1. */
  version: number;
  readonly keys: Set<ApiKey>;
}

export interface ApiKey {
  readonly id: string;
  readonly client: string;
  readonly role: Role;
  readonly secretHash: string;
  readonly createdUtcMs: number;
  /** By the wall clock: from then on it isn't good any more. Undefined: it is good until it is revoked. */
  endsUtcMs: number | undefined;
}

export function createClientsState(): ClientsState {
  return {
    clients: new Map(),
    keys: new Map(),
    operatorKeys: new Set(),
    ending: new Set(),
    limitedCount: 0,
    levels: new Map(),
    lookAtMs: 0,
    storage: 'ample',
  };
}
