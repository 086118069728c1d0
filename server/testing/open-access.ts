import { Access } from '../clients/access.ts';
import { createClientsState } from '../clients/state.ts';
import type { Clock } from '../coordinator/scheduler.ts';

/** Nobody needs a key, and nobody is limited: the defaults. */
export function openAccess(clock: Clock): Access {
  const state = createClientsState();
  return new Access({ state: () => state, needsKey: false, defaultLimit: undefined, adminKey: undefined, clock });
}
