/** What the room in the journal allows: ends always, what is new only while there is more than the reserve. */
import type { Rejected, SetStorage } from './commands.ts';
import type { LeaseDecision } from './decide.ts';
import type { LeaseState } from './state.ts';

const RETRY_AFTER_MS = 1_000;

export function setStorage(state: LeaseState, { level }: SetStorage): LeaseDecision {
  return { events: level === state.storage ? [] : [{ type: 'StorageChanged', level }], answer: { type: 'done' } };
}

/** Nothing new may be begun: what there is has to end first, or somebody has to make room. */
export function isShort({ storage }: LeaseState): boolean {
  return storage !== 'ample';
}

export function storageFull(): { readonly events: []; readonly answer: Rejected } {
  const message = 'the disk is nearly full: nothing new is taken; try again later';
  return { events: [], answer: { type: 'rejected', code: 'storage_full', message, retryAfterMs: RETRY_AFTER_MS } };
}
