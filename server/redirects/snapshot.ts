/**
 * The durable state as a stream of small values, and back: for each configuration a `redirect` record and the `version`
 * records of it, the oldest first; then `active`. Each begins with its kind and the version of its fields. A later
 * version of a kind only adds fields at its end.
 */
import { NewerDataError } from '../coordinator/domain.ts';
import { addRedirect, redirectOf } from './apply.ts';
import type { RedirectState } from './state.ts';

export type StateRecord =
  | readonly [kind: 'redirect', format: 1, id: number, createdUtcMs: number]
  | readonly [
      kind: 'version',
      format: 1,
      id: number,
      version: number,
      cdnHost: string,
      distributionRate: number,
      utcMs: number,
      restored: number | null,
    ]
  | readonly [kind: 'active', format: 1, id: number];

/** The latest format of each kind: the one that is written. */
const FORMATS = { redirect: 1, version: 1, active: 1 } as const satisfies Record<StateRecord[0], number>;

export function* encodeState({ redirects, activeId }: RedirectState): Generator<StateRecord> {
  for (const { id, createdUtcMs, versions } of redirects.values()) {
    yield ['redirect', FORMATS.redirect, id, createdUtcMs];
    for (const { version, cdnHost, distributionRate, utcMs, restored } of versions) {
      yield ['version', FORMATS.version, id, version, cdnHost, distributionRate, utcMs, restored ?? null];
    }
  }
  if (activeId !== undefined) yield ['active', FORMATS.active, activeId];
}

export function restoreState(state: RedirectState, value: unknown): void {
  const record = knownRecord(value);
  switch (record[0]) {
    case 'redirect':
      return addRedirect(state, { id: record[2], createdUtcMs: record[3], versions: [] });
    case 'version': {
      const [, , id, version, cdnHost, distributionRate, utcMs, restored] = record;
      redirectOf(state, id).versions.push({
        version,
        cdnHost,
        distributionRate,
        utcMs,
        restored: restored ?? undefined,
      });
      return;
    }
    case 'active':
      state.activeId = redirectOf(state, record[2]).id;
  }
}

/** Throws on what this build doesn't know. */
export function knownRecord(value: unknown): StateRecord {
  const record = value as StateRecord;
  const latest = Object.hasOwn(FORMATS, record[0]) ? FORMATS[record[0]] : 0;
  if (record[1] >= 1 && record[1] <= latest) return record;
  throw new NewerDataError(`record redirects/${String(record[0])} version ${String(record[1])} in a snapshot`);
}
