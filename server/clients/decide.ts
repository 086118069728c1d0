import { assertNever } from '../../protocol/assert.ts';
import type { Decision, DecisionContext } from '../coordinator/domain.ts';
import { isKeyless } from './client-id.ts';
import {
  CLIENTS_MAX,
  type ClientsAnswer,
  type ClientsCommand,
  type ClientsNotice,
  type ClientsRefusal,
  type CreateClient,
  type DeleteClient,
  DONE,
  type IssueKey,
  KEYS_PER_CLIENT_MAX,
  type KeepLevels,
  type RevokeKey,
  type RotateKey,
  type UpdateClient,
} from './commands.ts';
import type { ClientsEvent, KeyEnd } from './events.ts';
import type { ApiKey, Client, ClientsState } from './state.ts';
import type { Limit } from './token-bucket.ts';

export type ClientsDecision = Decision<ClientsCommand, ClientsEvent, ClientsAnswer, ClientsNotice>;

/** Levels in one event: far less than a batch takes, however long their clients' ids. */
const LEVELS_AT_ONCE = 500;
/** Keys ended in one decision. */
const ENDS_AT_ONCE = 500;
/** The wall clock may be set at any time: while a key has an end, it is looked at so often at least. */
const LOOK_MS_MAX = 60_000;
const STORAGE_RETRY_MS = 1_000;

/** The answer to every command: what happens, who is told what. Changes nothing. */
export function decide(state: ClientsState, command: ClientsCommand, context: DecisionContext): ClientsDecision {
  switch (command.type) {
    case 'CreateClient':
      return createClient(state, command, context);
    case 'UpdateClient':
      return updateClient(state, command, context);
    case 'DeleteClient':
      return deleteClient(state, command);
    case 'IssueKey':
      return issueKey(state, command, context);
    case 'RevokeKey':
      return revokeKey(state, command);
    case 'RotateKey':
      return rotateKey(state, command, context);
    case 'KeepLevels':
      return keepLevels(command);
    case 'SetStorage': {
      const { level } = command;
      return { events: level === state.storage ? [] : [{ type: 'StorageChanged', level }], answer: DONE };
    }
    case 'EndKeys':
      return endKeys(state, context);
    default:
      return assertNever(command);
  }
}

function createClient(state: ClientsState, { client, limit }: CreateClient, context: DecisionContext): ClientsDecision {
  if (state.clients.has(client)) return rejected('duplicate_client', 'there is a client of this id', 'client_id');
  if (isShort(state)) return storageFull();
  if (state.clients.size >= CLIENTS_MAX) return rejected('too_many', `there are ${CLIENTS_MAX} clients already`);
  const { nowMs: atMs, utcMs } = context;
  return done({ type: 'ClientCreated', client, atMs, utcMs, ...limit });
}

function updateClient(state: ClientsState, command: UpdateClient, context: DecisionContext): ClientsDecision {
  const client = state.clients.get(command.client);
  if (!client) return unknownClient();
  const limit = limitAfter(client.limit, command);
  if (limit !== undefined && 'type' in limit) return { events: [], answer: limit };
  if (limit?.capacity === client.limit?.capacity && limit?.ratePerSec === client.limit?.ratePerSec) return done();
  if (isShort(state)) return storageFull();
  const { nowMs: atMs, utcMs } = context;
  return done({ type: 'ClientUpdated', client: client.id, atMs, utcMs, ...limit });
}

/** Both parts or none: half a limit would mean one thing today and another under the next default. */
function limitAfter(own: Limit | undefined, { capacity, ratePerSec, defaultLimit }: UpdateClient) {
  if (capacity === null || ratePerSec === null) {
    if ((capacity ?? ratePerSec ?? null) === null) return undefined;
    const path = capacity === null ? 'rate_per_sec' : 'capacity';
    return refusal('bad_field', 'null takes the whole limit away: the other part says another one', path);
  }
  if (capacity === undefined && ratePerSec === undefined) return own;
  const whole = { ...defaultLimit, ...own, ...given({ capacity, ratePerSec }) };
  if (whole.capacity === undefined) return refusal('bad_field', 'missing: there is no default for it', 'capacity');
  if (whole.ratePerSec === undefined)
    return refusal('bad_field', 'missing: there is no default for it', 'rate_per_sec');
  return { capacity: whole.capacity, ratePerSec: whole.ratePerSec };
}

function given({ capacity, ratePerSec }: { capacity: number | undefined; ratePerSec: number | undefined }) {
  return { ...(capacity === undefined ? {} : { capacity }), ...(ratePerSec === undefined ? {} : { ratePerSec }) };
}

function deleteClient(state: ClientsState, command: DeleteClient): ClientsDecision {
  const client = state.clients.get(command.client);
  if (!client) return unknownClient();
  if (leavesNoOperator(state, client.keys, command)) return lastOperatorKey();
  const notices = Array.from(client.keys, ended);
  return { events: [{ type: 'ClientDeleted', client: client.id }], notices, answer: DONE };
}

function issueKey(state: ClientsState, command: IssueKey, { utcMs }: DecisionContext): ClientsDecision {
  const client = state.clients.get(command.client);
  if (!client) return unknownClient();
  if (isKeyless(client.id)) {
    return rejected(
      'bad_field',
      'this client is known by its IP, or by the configuration: it has no keys',
      'client_id',
    );
  }
  const { key, role, secretHash } = command;
  const refused = noRoomForKey(state, client, key);
  return refused ?? done({ type: 'KeyIssued', key, client: client.id, role, secretHash, utcMs });
}

function revokeKey(state: ClientsState, command: RevokeKey): ClientsDecision {
  const key = keyOf(state, command);
  if (!key) return unknownKey();
  if (leavesNoOperator(state, new Set([key]), command)) return lastOperatorKey();
  return { ...endOf(key, 'revoked'), answer: DONE };
}

function rotateKey(state: ClientsState, command: RotateKey, { utcMs }: DecisionContext): ClientsDecision {
  const key = keyOf(state, command);
  if (!key) return unknownKey();
  const { overlapMs, newKey, newSecretHash: secretHash } = command;
  const endsAtOnce = overlapMs === 0;
  // What ends now makes room for what comes.
  const refused = noRoomForKey(state, state.clients.get(key.client)!, newKey, endsAtOnce ? 1 : 0);
  if (refused) return refused;
  const issued = { type: 'KeyIssued', key: newKey, client: key.client, role: key.role, secretHash, utcMs } as const;
  if (endsAtOnce) {
    const { events, notices } = endOf(key, 'revoked');
    return { events: [...events, issued], notices, answer: DONE };
  }
  const endsUtcMs = Math.min(key.endsUtcMs ?? Infinity, utcMs + overlapMs);
  return done({ type: 'KeyRetired', key: key.id, endsUtcMs }, issued);
}

function noRoomForKey(state: ClientsState, client: Client, key: string, going = 0): ClientsDecision | undefined {
  if (isShort(state)) return storageFull();
  if (client.keys.size - going >= KEYS_PER_CLIENT_MAX) {
    return rejected('too_many', `a client has at most ${KEYS_PER_CLIENT_MAX} keys, those that run out included`);
  }
  // 64 random bits among 1.6 million: once in ten million times; asked again, it is another one.
  return state.keys.has(key) ? rejected('too_many', 'the id of the new key is taken: try again') : undefined;
}

/** A slice of them; nothing of it is new, so it is taken while there is any room at all. */
function keepLevels({ levels, forgotten }: KeepLevels): ClientsDecision {
  if (levels.length + forgotten.length === 0) return done();
  const records = levels.slice(0, LEVELS_AT_ONCE).map(([client, { tokens, atMs }]) => [client, tokens, atMs] as const);
  const rest = LEVELS_AT_ONCE - records.length;
  const event = { type: 'LevelsKept', levels: records, forgotten: forgotten.slice(0, rest) } as const;
  if (levels.length + forgotten.length <= LEVELS_AT_ONCE) return done(event);
  const next = { type: 'KeepLevels', levels: levels.slice(LEVELS_AT_ONCE), forgotten: forgotten.slice(rest) } as const;
  return { events: [event], next };
}

/** Those whose time is over by the wall clock, and when to look for the next one. */
function endKeys(state: ClientsState, { nowMs, utcMs }: DecisionContext): ClientsDecision {
  const events: ClientsEvent[] = [];
  const notices: ClientsNotice[] = [];
  let nextUtcMs = utcMs + LOOK_MS_MAX;
  for (const key of state.ending) {
    if (key.endsUtcMs! > utcMs) nextUtcMs = Math.min(nextUtcMs, key.endsUtcMs!);
    else if (events.length === ENDS_AT_ONCE) nextUtcMs = utcMs;
    else {
      events.push({ type: 'KeyEnded', key: key.id, end: 'expired' });
      notices.push(ended(key));
    }
  }
  events.push({ type: 'LookPlanned', atMs: nowMs + nextUtcMs - utcMs });
  return { events, notices, answer: DONE };
}

function endOf(key: ApiKey, end: KeyEnd) {
  return { events: [{ type: 'KeyEnded', key: key.id, end }] satisfies ClientsEvent[], notices: [ended(key)] };
}

function ended({ id: key, client }: ApiKey): ClientsNotice {
  return { type: 'KeyEnded', key, client };
}

/** A key is found only where it belongs. */
function keyOf({ keys }: ClientsState, { client, key }: RevokeKey | RotateKey): ApiKey | undefined {
  const found = keys.get(key);
  return found?.client === client ? found : undefined;
}

/** One that runs out doesn't count as left: what is refused now would come by itself then. */
function leavesNoOperator(
  { operatorKeys }: ClientsState,
  going: ReadonlySet<ApiKey>,
  { hasAdminKey = false }: DeleteClient | RevokeKey,
): boolean {
  if (hasAdminKey) return false;
  let endsOne = false;
  for (const key of operatorKeys) {
    if (going.has(key)) endsOne = true;
    else if (key.endsUtcMs === undefined) return false;
  }
  return endsOne;
}

function isShort({ storage }: ClientsState): boolean {
  return storage !== 'ample';
}

// ---- answers

function done(...events: ClientsEvent[]): ClientsDecision {
  return { events, answer: DONE };
}

function refusal(code: ClientsRefusal, message: string, path?: string) {
  const text = path === undefined ? message : `${path}: ${message}`;
  return { type: 'rejected', code, message: text, ...(path === undefined ? {} : { path }) } as const;
}

function rejected(code: ClientsRefusal, message: string, path?: string): ClientsDecision {
  return { events: [], answer: refusal(code, message, path) };
}

function unknownClient(): ClientsDecision {
  return rejected('unknown_client', 'there is no such client', 'client_id');
}

function unknownKey(): ClientsDecision {
  return rejected('unknown_key', 'the client has no such key', 'key_id');
}

function lastOperatorKey(): ClientsDecision {
  const message =
    'without the last key of an operator anybody who reaches the HTTP port would be one: set LEASEHOLD_ADMIN_KEY, or make ' +
    'another such key first';
  return rejected('last_operator_key', message);
}

function storageFull(): ClientsDecision {
  const message = 'the disk is nearly full: nothing new is taken; try again later';
  return { events: [], answer: { type: 'rejected', code: 'storage_full', message, retryAfterMs: STORAGE_RETRY_MS } };
}
