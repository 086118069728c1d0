/** Events and snapshot records of clients as people read them: fields by name, in snake_case, without secrets. */
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent } from './events.ts';
import type { StateRecord } from './snapshot.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** What stands for a hash: of a random secret it gives nothing away, but nobody needs it either. */
const MASKED = '***';

/** Throws on what this build doesn't know. */
export function describeEvent(record: EventRecord): Fields {
  const { type: _type, ...fields } = decodeEvent(record) as { type: string } & Record<string, unknown>;
  const named = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(named.map(([name, value]) => [inSnakeCase(name), describeField(name, value)]));
}

/** Behind kind and version, as snapshot.ts names them. */
const RECORD_FIELDS: Readonly<Record<StateRecord[0], readonly string[]>> = {
  client: ['client', 'limit', 'limitSinceMs', 'createdUtcMs', 'updatedUtcMs', 'changes'],
  key: ['key', 'client', 'role', 'secretHash', 'createdUtcMs', 'endsUtcMs'],
  levels: ['levels'],
};

/** A record of `encodeState`. */
export function describeRecord(value: unknown): { kind: string; version: number; fields: Fields }[] {
  const [kind, version, ...values] = value as StateRecord;
  const named = RECORD_FIELDS[kind]
    .map((name, index) => [name, values[index] as unknown] as const)
    .filter(([, field]) => field !== null && field !== undefined)
    .map(([name, field]) => [inSnakeCase(name), describeField(name, field)] as const);
  return [{ kind, version, fields: Object.fromEntries(named) }];
}

function describeField(name: string, value: unknown): unknown {
  switch (name) {
    case 'secretHash':
      return MASKED;
    case 'limit': {
      const [capacity, rate] = value as readonly number[];
      return { capacity, rate_per_sec: rate };
    }
    case 'levels':
      return (value as readonly unknown[][]).map(([client, tokens, at]) => ({ client, tokens, at_ms: at }));
    default:
      return value;
  }
}

function inSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
