/** Events and records for people: fields by the names that the wire has for such things. */
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent } from './events.ts';
import { knownRecord, type StateRecord } from './snapshot.ts';

export type Fields = Readonly<Record<string, unknown>>;

const NAMES: Readonly<Record<string, string>> = { atMs: 'at_ms', upToMs: 'up_to_ms' };

/** Throws on what this build doesn't know. */
export function describeEvent(record: EventRecord): Fields {
  const { type: _type, ...fields } = decodeEvent(record);
  const named = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(named.map(([name, value]) => [NAMES[name] ?? name, value]));
}

/** Behind kind and version, as snapshot.ts has them. */
const RECORD_FIELDS: Readonly<Record<StateRecord[0], readonly string[]>> = {
  counter: ['counter', 'value'],
  key: ['holder', 'key', 'counter', 'by', 'value', 'at_ms'],
};

/** A record of `encodeState`. */
export function describeRecord(value: unknown) {
  const [kind, version, ...values] = knownRecord(value);
  const fields: Fields = Object.fromEntries(RECORD_FIELDS[kind].map((name, index) => [name, values[index]]));
  return [{ kind, version, fields }];
}
