/** Frames as a client writes and reads them. */
import type { AcquireTerms } from './client-api.ts';
import { LeaseholdError } from './client-errors.ts';
import type { CoordinatorFrame, Grant, GrantedFrame } from './frames.ts';

/** The fields that have a value: on the wire an absent one is not there at all. */
export function present<Fields extends object>(fields: Fields) {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };
}

/** What is asked for, as `acquire` and `explain` name it. */
export function termsOf({ resource, ttlMs, where, strategy, sticky, waitMs }: AcquireTerms) {
  return { resource, ttl_ms: ttlMs, ...present({ where, strategy, sticky, wait_ms: waitMs }) };
}

/** The answer, where it is of the kind that the request asks for; throws what the coordinator answered otherwise. */
export function answered<Type extends CoordinatorFrame['type']>(
  frame: CoordinatorFrame,
  type: Type,
): Extract<CoordinatorFrame, { type: Type }> {
  if (frame.type === type) return frame as Extract<CoordinatorFrame, { type: Type }>;
  if (frame.type !== 'error') throw new LeaseholdError('bad_frame', `${frame.type} where ${type} was due`);
  const { code, message, path, retry_after_ms: retryAfterMs } = frame;
  throw new LeaseholdError(code, message, { path, retryAfterMs });
}

export function grantsOf(frame: GrantedFrame): readonly Grant[] {
  return 'leases' in frame ? frame.leases : [frame];
}
