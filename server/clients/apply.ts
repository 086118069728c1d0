import { assertNever } from '../../protocol/assert.ts';
import type { ClientsEvent } from './events.ts';
import type { ApiKey, Client, ClientsState } from './state.ts';
import type { Limit } from './token-bucket.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: ClientsState, event: ClientsEvent): void {
  switch (event.type) {
    case 'ClientCreated': {
      const { client: id, atMs, utcMs } = event;
      if (state.clients.has(id)) throw new Error(`client ${id} is created twice`);
      const times = { limitSinceMs: atMs, createdUtcMs: utcMs, updatedUtcMs: utcMs };
      const client: Client = { id, limit: undefined, ...times, version: 1, keys: new Set() };
      state.clients.set(id, client);
      return setLimit(state, client, limitOf(event));
    }
    case 'ClientUpdated': {
      const client = existing(state.clients, event.client);
      client.limitSinceMs = event.atMs;
      client.updatedUtcMs = event.utcMs;
      client.version += 1;
      return setLimit(state, client, limitOf(event));
    }
    case 'ClientDeleted': {
      const client = existing(state.clients, event.client);
      for (const key of client.keys) removeKey(state, key);
      setLimit(state, client, undefined);
      state.clients.delete(client.id);
      return;
    }
    case 'KeyIssued': {
      const { key: id, client, role, secretHash, utcMs: createdUtcMs } = event;
      return addKey(state, { id, client, role, secretHash, createdUtcMs, endsUtcMs: undefined });
    }
    case 'KeyRetired': {
      const key = existing(state.keys, event.key);
      key.endsUtcMs = event.endsUtcMs;
      state.ending.add(key);
      state.lookAtMs = 0;
      return;
    }
    case 'KeyEnded':
      return removeKey(state, existing(state.keys, event.key));
    case 'LevelsKept':
      for (const [client, tokens, atMs] of event.levels) state.levels.set(client, { tokens, atMs });
      for (const client of event.forgotten) state.levels.delete(client);
      return;
    case 'LookPlanned':
      state.lookAtMs = event.atMs;
      return;
    case 'StorageChanged':
      state.storage = event.level;
      return;
    default:
      assertNever(event);
  }
}

export function addKey(state: ClientsState, key: ApiKey): void {
  if (state.keys.has(key.id)) throw new Error(`key ${key.id} is issued twice`);
  existing(state.clients, key.client).keys.add(key);
  state.keys.set(key.id, key);
  if (key.role === 'operator') state.operatorKeys.add(key);
  if (key.endsUtcMs !== undefined) state.ending.add(key);
}

export function setLimit(state: ClientsState, client: Client, limit: Limit | undefined): void {
  state.limitedCount += Number(limit !== undefined) - Number(client.limit !== undefined);
  client.limit = limit;
}

function removeKey(state: ClientsState, key: ApiKey): void {
  existing(state.clients, key.client).keys.delete(key);
  state.keys.delete(key.id);
  state.operatorKeys.delete(key);
  state.ending.delete(key);
}

function limitOf({ capacity, ratePerSec }: { capacity?: number | undefined; ratePerSec?: number | undefined }) {
  return capacity === undefined || ratePerSec === undefined ? undefined : { capacity, ratePerSec };
}

function existing<Value>(values: ReadonlyMap<string, Value>, id: string): Value {
  const value = values.get(id);
  if (value === undefined) throw new Error(`no ${id} in the clients' state`);
  return value;
}
