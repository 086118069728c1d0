/**
 * What has happened to the redirects' configurations; all that the journal holds of them. Requests are not counted here.
 *
 * On disk an event is `['redirects', name, version, …fields]` with the fields in the order of FIELDS, absent ones as nil at
 * their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import { type EventRecord, NewerDataError, type StorageLevel } from '../coordinator/domain.ts';

export type RedirectEvent =
  | {
      readonly type: 'RedirectCreated';
      readonly id: number;
      readonly cdnHost: string;
      readonly distributionRate: number;
      readonly utcMs: number;
    }
  /** The configuration as it is now, whole. `restored`: the version that it went back to. */
  | {
      readonly type: 'RedirectChanged';
      readonly id: number;
      readonly version: number;
      readonly cdnHost: string;
      readonly distributionRate: number;
      readonly utcMs: number;
      readonly restored?: number | undefined;
    }
  | { readonly type: 'RedirectActivated'; readonly id: number }
  /** Not written: there might be no room for it. */
  | { readonly type: 'StorageChanged'; readonly level: StorageLevel };

export const REDIRECT_DOMAIN = 'redirects';
/** Of every event so far. */
const VERSION = 1;
/** What stands before the fields: domain, name and version. */
const EVENT_HEAD = 3;

const FIELDS = {
  RedirectCreated: ['id', 'cdnHost', 'distributionRate', 'utcMs'],
  RedirectChanged: ['id', 'version', 'cdnHost', 'distributionRate', 'utcMs', 'restored'],
  RedirectActivated: ['id'],
  StorageChanged: ['level'],
} as const satisfies { [Type in RedirectEvent['type']]: readonly (keyof Extract<RedirectEvent, { type: Type }>)[] };

/** False for what is applied, not written, and made anew by whoever restarts. */
export function isDurable(event: RedirectEvent): boolean {
  return event.type !== 'StorageChanged';
}

export function encodeEvent(event: RedirectEvent): EventRecord {
  const record: [string, string, number, ...unknown[]] = [REDIRECT_DOMAIN, event.type, VERSION];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const field of FIELDS[event.type]) record.push(values[field] ?? null);
  while (record.length > EVENT_HEAD && record[record.length - 1] === null) record.pop();
  return record;
}

/** Throws on what this build doesn't know. */
export function decodeEvent([domain, type, version, ...values]: EventRecord): RedirectEvent {
  const isOurs = domain === REDIRECT_DOMAIN && version === VERSION && Object.hasOwn(FIELDS, type);
  const fields: readonly string[] | undefined = isOurs ? FIELDS[type as RedirectEvent['type']] : undefined;
  if (!fields || values.length > fields.length) throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  const named = fields.map((field, index) => [field, values[index] ?? undefined]);
  return Object.fromEntries([['type', type], ...named]) as RedirectEvent;
}
