/**
 * The durable state as a stream of small values, and back. Order: `client`, `key`, `levels`; each value begins with its
 * kind and the version of its fields. A later version of a kind only adds fields at its end.
 */
import { NewerDataError } from '../coordinator/domain.ts';
import type { Role } from './api-key.ts';
import { addKey, setLimit } from './apply.ts';
import type { LevelRecord } from './events.ts';
import type { Client, ClientsState } from './state.ts';

export type ClientRecord = readonly [
  kind: 'client',
  version: number,
  client: string,
  limit: readonly [capacity: number, ratePerSec: number] | null,
  limitSinceMs: number,
  createdUtcMs: number,
  updatedUtcMs: number,
  changes: number,
];
export type KeyRecord = readonly [
  kind: 'key',
  version: number,
  key: string,
  client: string,
  role: Role,
  secretHash: string,
  createdUtcMs: number,
  endsUtcMs: number | null,
];
export type LevelsRecord = readonly [kind: 'levels', version: number, levels: readonly LevelRecord[]];
export type StateRecord = ClientRecord | KeyRecord | LevelsRecord;

/** Of every kind so far. */
const VERSION = 1;
const LEVELS_IN_RECORD = 500;

export function* encodeState({ clients, keys, levels }: ClientsState): Generator<StateRecord> {
  for (const { id, limit, limitSinceMs, createdUtcMs, updatedUtcMs, version } of clients.values()) {
    const pair = limit ? ([limit.capacity, limit.ratePerSec] as const) : null;
    yield ['client', VERSION, id, pair, limitSinceMs, createdUtcMs, updatedUtcMs, version];
  }
  for (const { id, client, role, secretHash, createdUtcMs, endsUtcMs } of keys.values()) {
    yield ['key', VERSION, id, client, role, secretHash, createdUtcMs, endsUtcMs ?? null];
  }
  let records: LevelRecord[] = [];
  for (const [client, { tokens, atMs }] of levels) {
    records.push([client, tokens, atMs]);
    if (records.length < LEVELS_IN_RECORD) continue;
    yield ['levels', VERSION, records];
    records = [];
  }
  if (records.length > 0) yield ['levels', VERSION, records];
}

export function restoreState(state: ClientsState, value: unknown): void {
  const record = value as StateRecord;
  if (record[1] !== VERSION) throw unknownRecord(record);
  switch (record[0]) {
    case 'client': {
      const [, , id, limit, limitSinceMs, createdUtcMs, updatedUtcMs, version] = record;
      const times = { limitSinceMs, createdUtcMs, updatedUtcMs };
      const client: Client = { id, limit: undefined, ...times, version, keys: new Set() };
      state.clients.set(id, client);
      return setLimit(state, client, limit ? { capacity: limit[0], ratePerSec: limit[1] } : undefined);
    }
    case 'key': {
      const [, , id, client, role, secretHash, createdUtcMs, endsUtcMs] = record;
      return addKey(state, { id, client, role, secretHash, createdUtcMs, endsUtcMs: endsUtcMs ?? undefined });
    }
    case 'levels':
      for (const [client, tokens, atMs] of record[2]) state.levels.set(client, { tokens, atMs });
      return;
    default:
      throw unknownRecord(record);
  }
}

function unknownRecord([kind, version]: readonly unknown[]): Error {
  return new NewerDataError(`record clients/${String(kind)} version ${String(version)} in a snapshot`);
}
