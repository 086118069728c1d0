/** Events and records for people: fields by the names that HTTP has for such things. */
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent } from './events.ts';
import { knownRecord, type StateRecord } from './snapshot.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Throws on what this build doesn't know. */
export function describeEvent(record: EventRecord): Fields {
  const { type: _type, ...fields } = decodeEvent(record);
  return named(Object.entries(fields));
}

/** Behind kind and version, as snapshot.ts has them. */
const RECORD_FIELDS: Readonly<Record<StateRecord[0], readonly string[]>> = {
  redirect: ['id', 'createdUtcMs'],
  version: ['id', 'version', 'cdnHost', 'distributionRate', 'utcMs', 'restored'],
  active: ['id'],
};

/** A record of `encodeState`. */
export function describeRecord(value: unknown): { kind: string; version: number; fields: Fields }[] {
  const [kind, version, ...values] = knownRecord(value);
  return [{ kind, version, fields: named(RECORD_FIELDS[kind].map((name, index) => [name, values[index]])) }];
}

function named(fields: readonly (readonly [name: string, value: unknown])[]): Fields {
  const there = fields.filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(there.map(([name, value]) => [inSnakeCase(name), value]));
}

function inSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
