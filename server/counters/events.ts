/**
 * What has happened to counters; all that the journal holds of them.
 *
 * On disk an event is `['counters', name, version, …fields]` with the fields in the order of FIELDS, absent ones as nil at
 * their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import { type EventRecord, NewerDataError, type StorageLevel } from '../coordinator/domain.ts';

export type CounterEvent =
  /** `value`: what it came to. With a key, all that its repetition is answered by; without one the last three are absent. */
  | {
      readonly type: 'CounterAdded';
      readonly counter: string;
      readonly by: number;
      readonly value: number;
      readonly holder?: string | undefined;
      readonly key?: string | undefined;
      readonly atMs?: number | undefined;
    }
  | { readonly type: 'CounterDeleted'; readonly counter: string }
  /** Those whose counts were made by then. */
  | { readonly type: 'KeysForgotten'; readonly upToMs: number }
  /** Not written: there might be no room for it. */
  | { readonly type: 'StorageChanged'; readonly level: StorageLevel };

export const COUNTER_DOMAIN = 'counters';
/** Of every event so far. */
const VERSION = 1;
/** What stands before the fields: domain, name and version. */
const EVENT_HEAD = 3;

const FIELDS = {
  CounterAdded: ['counter', 'by', 'value', 'holder', 'key', 'atMs'],
  CounterDeleted: ['counter'],
  KeysForgotten: ['upToMs'],
  StorageChanged: ['level'],
} as const satisfies { [Type in CounterEvent['type']]: readonly (keyof Extract<CounterEvent, { type: Type }>)[] };

/** False for what is applied, not written, and made anew by whoever restarts. */
export function isDurable(event: CounterEvent): boolean {
  return event.type !== 'StorageChanged';
}

export function encodeEvent(event: CounterEvent): EventRecord {
  const record: [string, string, number, ...unknown[]] = [COUNTER_DOMAIN, event.type, VERSION];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const field of FIELDS[event.type]) record.push(values[field] ?? null);
  while (record.length > EVENT_HEAD && record[record.length - 1] === null) record.pop();
  return record;
}

/** Throws on what this build doesn't know. */
export function decodeEvent([domain, type, version, ...values]: EventRecord): CounterEvent {
  const fields = Object.hasOwn(FIELDS, type) ? FIELDS[type as CounterEvent['type']] : undefined;
  if (domain !== COUNTER_DOMAIN || !fields || version !== VERSION || values.length > fields.length) {
    throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  }
  const event: Record<string, unknown> = { type };
  for (const [index, field] of fields.entries()) event[field] = values[index] ?? undefined;
  return event as unknown as CounterEvent;
}
