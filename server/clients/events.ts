/**
 * What has happened to clients, their keys and the levels of their buckets; all that the journal holds of them.
 *
 * On disk an event is `['clients', name, version, …fields]` with the fields in the order of FIELDS, absent ones as nil at
 * their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import { type EventRecord, NewerDataError, type StorageLevel } from '../coordinator/domain.ts';
import type { Role } from './api-key.ts';

export type ClientsEvent =
  /** Both parts of a limit are there, or none: the default. `atMs` by the coordinator's clock. */
  | {
      type: 'ClientCreated';
      client: string;
      atMs: number;
      utcMs: number;
      capacity?: number | undefined;
      ratePerSec?: number | undefined;
    }
  /** The limit as it is now, whole. */
  | {
      type: 'ClientUpdated';
      client: string;
      atMs: number;
      utcMs: number;
      capacity?: number | undefined;
      ratePerSec?: number | undefined;
    }
  /** Its keys went with it. */
  | { type: 'ClientDeleted'; client: string }
  | { type: 'KeyIssued'; key: string; client: string; role: Role; secretHash: string; utcMs: number }
  /** It has been replaced: good until `endsUtcMs` by the wall clock. */
  | { type: 'KeyRetired'; key: string; endsUtcMs: number }
  | { type: 'KeyEnded'; key: string; end: KeyEnd }
  | { type: 'LevelsKept'; levels: readonly LevelRecord[]; forgotten: readonly string[] }
  /** When to look for keys that have come to their end. Not written: a restart looks at once. */
  | { type: 'LookPlanned'; atMs: number }
  /** Not written: there might be no room for it. */
  | { type: 'StorageChanged'; level: StorageLevel };

export type KeyEnd = 'revoked' | 'expired';
export type LevelRecord = readonly [client: string, tokens: number, atMs: number];

export const CLIENTS_DOMAIN = 'clients';

/** False for what dies with the process. */
export function isDurable({ type }: ClientsEvent): boolean {
  return type !== 'LookPlanned' && type !== 'StorageChanged';
}

const FIELDS = {
  ClientCreated: ['client', 'atMs', 'utcMs', 'capacity', 'ratePerSec'],
  ClientUpdated: ['client', 'atMs', 'utcMs', 'capacity', 'ratePerSec'],
  ClientDeleted: ['client'],
  KeyIssued: ['key', 'client', 'role', 'secretHash', 'utcMs'],
  KeyRetired: ['key', 'endsUtcMs'],
  KeyEnded: ['key', 'end'],
  LevelsKept: ['levels', 'forgotten'],
  LookPlanned: ['atMs'],
  StorageChanged: ['level'],
} as const satisfies { [Type in ClientsEvent['type']]: readonly (keyof Extract<ClientsEvent, { type: Type }>)[] };

/** Of every event so far. */
const VERSION = 1;
/** What stands before the fields: domain, name and version. */
const EVENT_HEAD = 3;

export function encodeEvent(event: ClientsEvent): EventRecord {
  const record: [string, string, number, ...unknown[]] = [CLIENTS_DOMAIN, event.type, VERSION];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const field of FIELDS[event.type]) record.push(values[field] ?? null);
  while (record.length > EVENT_HEAD && record[record.length - 1] === null) record.pop();
  return record;
}

/** Throws on what this build doesn't know. */
export function decodeEvent([domain, type, version, ...values]: EventRecord): ClientsEvent {
  const isOurs = domain === CLIENTS_DOMAIN && version === VERSION && Object.hasOwn(FIELDS, type);
  const fields: readonly string[] | undefined = isOurs ? FIELDS[type as ClientsEvent['type']] : undefined;
  if (!fields || values.length > fields.length) throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  const named = fields.map((field, index) => [field, values[index] ?? undefined]);
  return Object.fromEntries([['type', type], ...named]) as ClientsEvent;
}
